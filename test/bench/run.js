// Runs one subject of a measure once and says what it took.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSandboxed } from 'holdfast';
import { built, program } from './build.js';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../', import.meta.url));

export const work = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-bench-')));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

/** What the measured calls are made on: the length and depth of an ordinary path. */
export const file = join(work, 'file');
writeFileSync(file, 'contents\n');
const deep = join(work, 'a/much/deeper/path/than/the/other/one');
mkdirSync(deep, { recursive: true });
export const deepFile = join(deep, 'file');
writeFileSync(deepFile, 'contents\n');

/** Not a shim that starts a shell first: that would be the shim's measure. Undefined where there is no Python. */
export const python = (() => {
  const { error, stdout } = spawnSync(
    'python3',
    ['-c', 'import sys; print(sys.executable, sys.base_prefix, sep="\\n")'],
    {
      encoding: 'utf8',
    },
  );
  if (error) return undefined;
  const [path, prefix] = stdout.trim().split('\n');
  return { path, prefix };
})();

const nodePrefix = dirname(dirname(realpathSync(process.execPath)));
const folders = [
  '/usr',
  '/bin',
  '/lib',
  '/lib64',
  '/etc',
  '/opt',
  nodePrefix,
  built,
  work,
  ...(python ? [python.prefix] : []),
];
const network = { connect: ['127.0.0.1'], bind: ['127.0.0.1'] };
/** Wide enough for every real program here, and as narrow as a user would make it. */
export const policy = {
  files: { read: [...folders, '/proc', '/sys', '/dev'], write: [work, '/dev/null', '/dev/tty'] },
  network,
};

/** How a sandbox is asked for: what its subject is called, its policy, and whether somebody listens to violations. */
export const layers = {
  holdfast: { policy, listens: true },
  'holdfast, metadata': { policy: { ...policy, files: { ...policy.files, metadata: ['/'] } }, listens: true },
  // What the kernel can be left to decide: no folder of /proc in it, and each rule a folder that is there.
  'holdfast, kernel layers': {
    policy: { files: { read: folders, write: [work], metadata: ['/'] }, network, defaults: { proc: false } },
    listens: false,
  },
};

/** `spawnSandboxed` as one of `layers` asks for it. */
export function spawnOn({ policy, listens, engine, record }, command, args, options) {
  const asked = { ...(engine !== undefined && { engine }), ...(record && { record }) };
  const child = spawnSandboxed(command, args, { ...options, policy, ...asked });
  if (listens) child.on('violation', () => {});
  return child;
}

export const ms = () => Number(process.hrtime.bigint()) / 1e6;

/** Resolves when the child has ended well; rejects with what it said otherwise. */
export function ended(child, what) {
  let said = '';
  let out = '';
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    if (said.length < 4000) said += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${what} ended with ${code ?? signal}: ${said}${out.slice(-2000)}`));
    });
  });
}

const stdio = ['ignore', 'pipe', 'pipe'];

/** What loop.c says that an iteration took. */
export async function microseconds(child, what, { failing = false } = {}) {
  const out = await ended(child, what);
  const [nanoseconds, failed] = out.trim().split(' ').map(Number);
  if (!(nanoseconds > 0) || failed > 0 !== failing) throw new Error(`${what}: unexpected output: ${out}`);
  return nanoseconds / 1000;
}

/** Microseconds per iteration of loop.c without anything around it. */
export function bareLoop(call, argument, count) {
  const args = [call, String(argument), String(count)];
  return microseconds(spawn(program('loop'), args, { stdio }), `loop ${call}`);
}

/** Under the least supervisor: `how` as in floor.c. */
export function floorLoop(how, call, argument, count) {
  const args = [how, program('loop'), call, String(argument), String(count)];
  const failing = how.startsWith('answer-');
  return microseconds(spawn(program('floor'), args, { stdio }), `floor ${how}`, { failing });
}

/** `more`: loop.c's last two arguments. */
export function sandboxedLoop(call, argument, count, { hooks = () => {}, how = { policy }, more = [] } = {}) {
  const args = [call, String(argument), String(count), ...more.map(String)];
  const child = spawnOn(how, program('loop'), args, { stdio });
  hooks(child);
  return microseconds(child, `sandboxed loop ${call}`);
}

/** Microseconds for a question with nothing in it, through the real channel, to a callback that does nothing. */
export async function roundTrip(count) {
  const channel = require('node-gyp-build')(root).createChannel();
  const child = spawn(program('asker'), ['3', String(count)], { stdio: [...stdio, channel.remoteFd] });
  channel.closeRemote();
  channel.shareMemory();
  channel.waitSpawned(5000);
  channel.listen(
    () => {},
    () => {},
    (asks, end) => {
      // asker.cc's records: their head, a slot, a generation.
      const words = new Int32Array(asks, 0, end / 4);
      for (let i = 0; i < words.length; i += 10) channel.answer(words[i + 4], words[i + 8], 1, 0);
    },
  );
  channel.configure(new Uint8Array(8));
  channel.start(new Uint8Array(8));
  try {
    return await microseconds(child, 'asker');
  } finally {
    channel.close();
  }
}

/** loop.c's server, or another one that says its port first, for the time of `use`, which is given the port. */
export async function serving(
  use,
  server = spawn(program('loop'), ['serve'], { stdio: ['ignore', 'pipe', 'inherit'] }),
) {
  const port = await new Promise((resolve, reject) => {
    server.stdout.once('data', (chunk) => resolve(Number(chunk)));
    server.once('error', reject);
    server.once('exit', (code, signal) => reject(new Error(`the server ended with ${code ?? signal}`)));
  });
  try {
    return await use(port);
  } finally {
    server.kill('SIGKILL');
    await new Promise((resolve) => server.once('close', resolve));
  }
}
