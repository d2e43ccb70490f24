// Landlock grants files and folders, and rules speak of names. Where the two can part, nothing is left to the kernel, and no call
// goes on as the caller's own.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { allow, checkSupport, deny, type Policy, spawnSandboxed } from 'holdfast';
import { afterAll, describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { attack, expectHeld, type Race, scene } from './race.ts';

const landlock = checkSupport().landlockAbi ?? 0;

type Child = ReturnType<typeof spawnSandboxed>;

async function run(command: string, args: string[], policy: Policy, prepare: (child: Child) => void = () => {}) {
  const child = spawnSandboxed(command, args, { policy, cwd: '/', stdio: ['ignore', 'pipe', 'ignore'] });
  prepare(child);
  let told = '';
  child.stdout?.on('data', (chunk) => {
    told += chunk;
  });
  const closed = once(child as never, 'close');
  const { classes } = await child.plan();
  await closed;
  return { told, classes };
}

/** As a plan may, and as whoever listens makes it. */
const both = [
  ['left to the kernel', () => {}],
  ['held', (child: Child) => child.on('violation', () => {})],
] as const;

const plain: Policy = { defaults: { proc: false } };

describe('a file with other names', () => {
  test.each(both)('is given by the name that was said (%s)', async (_, prepare) => {
    const folder = temporaryFolder('names');
    for (const name of ['given', 'hidden']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'given/file'), 'secret');
    linkSync(join(folder, 'given/file'), join(folder, 'hidden/file'));
    const files = { read: [join(folder, 'given/file')], write: [join(folder, 'given/file')], metadata: ['/'] };
    const script = `cat ${folder}/hidden/file; echo more >> ${folder}/hidden/file; cat ${folder}/given/file`;
    const { told, classes } = await run('/bin/sh', ['-c', script], { ...plain, files }, prepare);
    expect(told).toBe('secret');
    if (landlock > 0)
      expect(classes.read.obstacles.map(({ why }) => why)).toContainEqual(expect.stringContaining('names'));
  });

  test.each(both)('is not read by another because it may be executed (%s)', async (_, prepare) => {
    const folder = temporaryFolder('names');
    for (const name of ['given', 'hidden']) mkdirSync(join(folder, name));
    copyFileSync('/bin/cat', join(folder, 'given/cat'));
    chmodSync(join(folder, 'given/cat'), 0o755);
    linkSync(join(folder, 'given/cat'), join(folder, 'hidden/cat'));
    const policy = { ...plain, exec: [], files: { deny: [join(folder, 'hidden')], metadata: ['/'] } };
    const { told, classes } = await run(join(folder, 'given/cat'), [join(folder, 'hidden/cat')], policy, prepare);
    expect(told).toBe('');
    expect(['landlock', 'continued']).not.toContain(classes.read.layer);
  });
});

describe('a folder that a hook lets be moved', () => {
  const moved = async (prepare: (child: Child) => void) => {
    const folder = temporaryFolder('moved');
    for (const name of ['given', 'hidden']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'given/file'), 'secret');
    const files = { read: [join(folder, 'given')], write: [join(folder, 'given')], deny: [join(folder, 'hidden')] };
    const script = `mv ${folder}/given ${folder}/hidden/given && echo moved; cat ${folder}/hidden/given/file`;
    return run('/bin/sh', ['-c', script], { ...plain, files: { ...files, metadata: ['/'] } }, (child) => {
      prepare(child);
      child.onRename(() => allow());
    });
  };
  test.each(both)('does not take its rights along (%s)', async (_, prepare) => {
    const { told, classes } = await moved(prepare);
    expect(told).not.toContain('secret');
    expect(['landlock']).not.toContain(classes.read.layer);
  });

  test('is asked about by its new name, whatever races', { timeout: patient(120_000) }, async () => {
    const { folder, inside } = scene();
    const hidden = join(folder, 'B');
    rmSync(hidden, { recursive: true });
    mkdirSync(join(folder, 'C'));
    writeFileSync(join(folder, 'C/file'), 'secret');
    const programs = ['/usr/bin', '/bin', program('race_path')];
    const files = { read: [inside, join(folder, 'C'), ...programs], write: [inside, join(folder, 'C')] };
    const policy = {
      ...plain,
      exec: programs,
      files: { ...files, metadata: ['/'] },
    };
    const script = `mv ${folder}/C ${hidden} && exec ${program('race_path')} thread open 2000 ${inside} ${hidden}`;
    const { told } = await run('/bin/sh', ['-c', script], policy, (child) => {
      child.onRename({ path: join(folder, 'C') }, () => allow());
      child.onOpen({ path: hidden }, () => deny());
    });
    expectHeld({ race: JSON.parse(told) as Race });
  });
});

test('other processes in /proc stay closed where everything may be read', { timeout: patient(120_000) }, async () => {
  const other = spawn('sleep', ['100'], { argv0: 'secret', stdio: 'ignore' });
  try {
    const { folder, inside, outside } = scene();
    rmSync(join(outside, 'file'));
    symlinkSync(`/proc/${other.pid}/cmdline`, join(outside, 'file'));
    for (const exec of [undefined, ['/']]) {
      const policy = { files: { read: ['/', folder], write: [folder] }, ...(exec && { exec }) };
      expectHeld(await attack('race_path', ['thread', 'open', 3_000, inside, outside], { policy }));
      const { classes } = await run('/bin/true', [], { ...plain, ...policy });
      expect(['landlock', 'continued']).not.toContain(classes.read.layer);
    }
  } finally {
    other.kill('SIGKILL');
  }
});

test('a terminal that is opened does not become the controlling one', async () => {
  const files = { read: ['/dev/pts'], write: ['/dev/pts'], metadata: ['/'] };
  const { classes } = await run('/bin/true', [], { ...plain, files });
  for (const name of ['read', 'write', 'readWrite'] as const) expect(classes[name].layer).not.toBe('landlock');
  if (landlock > 0)
    expect(classes.read.obstacles.map(({ why }) => why)).toContainEqual(expect.stringContaining('terminal'));
});

/** A program there; undefined where nothing can be executed: a container mounts it so. */
function programInMemory(): string | undefined {
  if (!existsSync('/dev/shm')) return undefined;
  const folder = mkdtempSync('/dev/shm/holdfast-test-');
  copyFileSync('/bin/echo', join(folder, 'echo'));
  chmodSync(join(folder, 'echo'), 0o755);
  if (spawnSync(join(folder, 'echo')).status === 0) return folder;
  rmSync(folder, { recursive: true });
  return undefined;
}

const inMemory = programInMemory();
afterAll(() => {
  if (inMemory !== undefined) rmSync(inMemory, { recursive: true });
});

test.runIf(inMemory)(
  'programs in shared memory run where /dev may be read (needs /dev/shm without noexec)',
  async () => {
    const { told } = await run('/bin/sh', ['-c', `${inMemory}/echo ran`], { files: { read: ['/dev'] } });
    expect(told).toBe('ran\n');
  },
);

test.each(both)('what is missing where nothing may be looked at is not told (%s)', async (_, prepare) => {
  const folder = temporaryFolder('missing');
  mkdirSync(join(folder, 'in'));
  const files = { write: [folder], deny: [{ path: join(folder, 'in'), access: ['metadata'] as const }] };
  const script = `cd ${folder}; for way in in/none ${folder}/in/none; do mkdir $way/new; ln -s new $way/link; true > $way/file; done`;
  let errors = '';
  const child = spawnSandboxed('/bin/sh', ['-c', script], {
    policy: { ...plain, files },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  prepare(child);
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const { classes } = await child.plan();
  await once(child as never, 'close');
  if (classes.make.layer === 'landlock') return; // the kernel tells what is missing: docs/security.md
  expect(errors).not.toContain('No such file');
  expect(errors.match(/Permission denied/g)).toHaveLength(6);
});
