// Runs one subject of a measure once and says what it took.
import { spawn } from 'node:child_process';
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
const folders = join(work, 'a/much/deeper/path/than/the/other/one');
mkdirSync(folders, { recursive: true });
export const deepFile = join(folders, 'file');
writeFileSync(deepFile, 'contents\n');

const nodePrefix = dirname(dirname(realpathSync(process.execPath)));
/** Wide enough for every real program here, and as narrow as a user would make it. */
export const policy = {
  files: {
    read: ['/usr', '/bin', '/lib', '/lib64', '/etc', '/opt', '/proc', '/sys', '/dev', nodePrefix, built, work],
    write: [work, '/dev/null', '/dev/tty'],
  },
  network: { connect: ['127.0.0.1'] },
};

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

export function sandboxedLoop(call, argument, count, hooks = () => {}) {
  const child = spawnSandboxed(program('loop'), [call, String(argument), String(count)], { stdio, policy });
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

/** loop.c's server for the time of `use`, which is given its port. */
export async function serving(use) {
  const server = spawn(program('loop'), ['serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise((resolve) => server.stdout.once('data', (chunk) => resolve(Number(chunk))));
  try {
    return await use(port);
  } finally {
    server.kill('SIGKILL');
  }
}
