// `npm run demo`: a real `npm install` of a package with an install script, in a sandbox. Nothing outside a folder of its
// own in the temporary folder is touched. `npm run demo -- --unprotected` is the same without the sandbox: the twin that
// shows that the script means it.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deny, spawnSandboxed } from 'holdfast';
import colors from 'picocolors';

const unprotected = process.argv.includes('--unprotected');
const here = dirname(fileURLToPath(import.meta.url));
const work = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-demo-')));
const home = join(work, 'home');
const project = join(work, 'project');
const tarball = join(work, 'left-path-1.0.0.tgz');
const installed = join(project, 'node_modules/left-path');

// ---- The scene: a home with secrets, a project with a lock file, a neighbour process, and the world outside.

const secrets = { key: 'demo-private-key-5e1f', token: 'npm_demoToken9c44', environment: 'demo-db-password-71d0' };
const bashrc = 'alias ll="ls -l"\n';
for (const folder of [join(home, '.ssh'), project, join(work, 'tmp')]) mkdirSync(folder, { recursive: true });
writeFileSync(
  join(home, '.ssh/id_ed25519'),
  `-----BEGIN PRIVATE KEY-----\n${secrets.key}\n-----END PRIVATE KEY-----\n`,
);
writeFileSync(join(home, '.npmrc'), `//registry.example/:_authToken=${secrets.token}\n`);
writeFileSync(join(home, '.bashrc'), bashrc);
writeFileSync(join(project, 'package.json'), '{ "name": "project", "version": "1.0.0", "private": true }\n');
writeFileSync(join(project, 'deno.lock'), '# the lock file\n');
cpSync(join(here, 'package'), join(work, 'package'), { recursive: true });
spawnSync('tar', ['-czf', tarball, '-C', work, 'package'], { stdio: 'inherit' });
chmodSync(work, 0o755);

let connections = 0;
const outside = createServer((socket) => {
  connections += 1;
  socket.on('error', () => {}).end();
}).listen(0, '127.0.0.1');
await new Promise((resolve) => outside.once('listening', resolve));

const neighbour = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
  env: { DATABASE_PASSWORD: secrets.environment },
  stdio: 'ignore',
});

// ---- The install.

const marker = `HOLDFAST_DEMO=${work}`;
const command = ['npm', 'install', tarball, '--offline', '--foreground-scripts', '--ignore-scripts=false'];
const options = {
  cwd: project,
  env: {
    PATH: process.env.PATH,
    HOME: home,
    TMPDIR: join(work, 'tmp'),
    HOLDFAST_DEMO: work,
    NEIGHBOUR_PID: String(neighbour.pid),
    OUTSIDE_PORT: String(outside.address().port),
    npm_config_cache: join(work, 'tmp/npm-cache'),
    npm_config_userconfig: '/dev/null',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    npm_config_loglevel: 'error',
  },
  stdio: ['ignore', 'pipe', 'pipe'],
};

const short = (text) => text.replaceAll(project, '.').replaceAll(home, '~').replaceAll(work, '…');
const shown = new Set();

function show(good, call, what, verdict, by = '') {
  const line = `${call.padEnd(8)} ${short(what).padEnd(46)} ${verdict.padEnd(19)} ${by}`;
  if (shown.has(line)) return;
  shown.add(line);
  console.log(good ? `  ${colors.green(`✓ ${line}`)}` : `  ${colors.red(`✗ ${line}`)}`);
}

function echo(stream) {
  let rest = '';
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.trim() !== '') console.log(colors.dim(`  │ ${short(line)}`));
  });
}

function sandboxed() {
  const nodePrefix = dirname(dirname(realpathSync(process.execPath)));
  const child = spawnSandboxed(command[0], command.slice(1), {
    ...options,
    policy: {
      files: {
        read: [nodePrefix, project, tarball, join(work, 'tmp')],
        write: [project, join(work, 'tmp')],
        deny: [join(home, '.ssh')],
      },
    },
  });
  child.onOpen({ path: `${home}/**` }, (call) => {
    if (!call.path.endsWith('/.npmrc')) return;
    show(false, 'open', call.path, 'denied ENOENT', 'hook');
    return deny('ENOENT');
  });
  child.onOpen({ path: `${installed}/build/**` }, (call) => show(true, 'open', call.path, 'allowed', 'rule'));
  child.onConnect((call) => {
    show(false, 'connect', `${call.address}:${call.port}`, 'denied ECONNREFUSED', 'hook');
    return deny('ECONNREFUSED');
  });
  child.onRename((call) => {
    if (!call.from.endsWith('.lock')) return;
    show(false, 'rename', `${call.from} -> ${call.to}`, 'denied EPERM', 'hook');
    return deny('EPERM');
  });
  child.onExec((call) => {
    if (/(gcc|cc1|setsid|sleep)[^/]*$/.test(call.path)) show(true, 'exec', call.path, 'allowed', 'rule');
  });
  child.on('violation', ({ syscall, path = '', errno, rule, reason }) => {
    // Those of a hook were shown by the hook.
    if (rule !== 'hook' && (path.startsWith(home) || path.startsWith('/proc/'))) {
      show(false, syscall, path, `denied ${errno}`, rule ?? reason);
    }
  });
  return child;
}

console.log(colors.bold(`\n$ ${short(command.join(' '))}   ${unprotected ? '(unprotected)' : '(in a sandbox)'}\n`));
const child = unprotected ? spawn(command[0], command.slice(1), options) : sandboxed();
echo(child.stdout);
echo(child.stderr);
const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));

// ---- What really happened.

const contents = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : entry.isFile() ? [path] : [];
  });
}

/** Every process that still has the install's environment. */
function survivors() {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'utf8').includes(marker);
    } catch {
      return false;
    }
  });
}

const leaked = (secret) =>
  [project, join(work, 'tmp')].some((folder) => filesUnder(folder).some((path) => readFileSync(path).includes(secret)));
// The supervisor, which has the same environment, ends by itself just after `close`; a daemon would not.
let left = survivors();
for (let i = 0; left.length > 0 && i < 100; i++) {
  await new Promise((resolve) => setTimeout(resolve, 10));
  left = survivors();
}
const daemon = contents(join(installed, 'build/daemon.pid'))?.trim();
const checks = [
  ['npm install succeeded', code === 0],
  [
    'the package compiled its program, which works',
    spawnSync(join(installed, 'build/sum')).stdout?.toString() === '42\n',
  ],
  ['the package wrote into its own folder', contents(join(installed, 'build/settings.json')) === '{"ready":true}\n'],
  ['the private key was not read', !leaked(secrets.key)],
  ['the npm token was not read', !leaked(secrets.token)],
  ["the neighbour's environment was not read", !leaked(secrets.environment)],
  ['nothing reached the world outside', connections === 0],
  ['the start-up file is as it was', contents(join(home, '.bashrc')) === bashrc],
  ['the lock file is where it was', existsSync(join(project, 'deno.lock'))],
  [
    `the daemon${daemon ? ` (pid ${daemon})` : ''} is gone; nothing survives`,
    daemon !== undefined && left.length === 0,
  ],
];

console.log();
for (const [claim, holds] of checks)
  console.log(holds ? `  ${colors.green('✓')} ${claim}` : `  ${colors.red('✗')} ${claim}`);
const failed = checks.filter(([, holds]) => !holds).length;
console.log(
  failed === 0
    ? colors.bold(
        colors.green(
          `\nThe honest work was done, the rest was not: ${checks.length} of ${checks.length} checks hold.\n`,
        ),
      )
    : colors.bold(colors.red(`\n${failed} of ${checks.length} checks do not hold.\n`)),
);

for (const pid of left) process.kill(Number(pid), 'SIGKILL');
neighbour.kill();
outside.close();
rmSync(work, { recursive: true, force: true });
process.exitCode = failed === 0 ? 0 : 1;
