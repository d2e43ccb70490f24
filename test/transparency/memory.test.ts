// The sealed page is in nobody's way: programs linked low, hints, ranges at 0, and filters of a program's own.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Policy } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { holdsByStops } from '../helpers/engine.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const policyFor = (folder: string): Policy => ({
  files: { read: ['/'], write: [folder] },
  network: { connect: ['127.0.0.1'] },
});

async function same(command: string) {
  const bare = await runBare(command, [], { cwd: temporaryFolder('bare') });
  const folder = temporaryFolder('held');
  const held = await runSandboxed(command, [], { cwd: folder, policy: policyFor(folder) });
  expect(held).toEqual(bare);
  return bare.stdout;
}

test('hints, ranges at 0, and filters of its own answer as without us', async () => {
  const output = await same(program('low_memory'));
  expect(output).toContain('prctl, openat and mmap kill: 0\nchdir under it: 0\nconnect under it: 0\n');
  expect(output).toContain('connect after an exec under a filter: 0');
  expect(output).toContain('send, traced by nobody: ENOSYS');
});

test('a program linked at 0x200000, as lld does', async () => {
  const source = fileURLToPath(new URL('../programs/low_memory.c', import.meta.url));
  const linked = join(temporaryFolder('linked'), 'low');
  const flags = ['-no-pie', '-Wl,-Ttext-segment=0x200000', '-D_GNU_SOURCE', '-O1'];
  expect(spawnSync('gcc', [...flags, '-o', linked, source], { stdio: 'inherit' }).status).toBe(0);
  expect(await same(linked)).toContain('chdir with hints before it: 0');
});

test('a program that lies where the page would: the call is refused, and said to be', async () => {
  const source = fileURLToPath(new URL('../programs/low_memory.c', import.meta.url));
  const linked = join(temporaryFolder('linked'), 'lower');
  const flags = ['-no-pie', '-static', '-Wl,-z,norelro,-Ttext-segment=0x20000', '-D_GNU_SOURCE', '-O1'];
  expect(spawnSync('gcc', [...flags, '-o', linked, source], { stdio: 'inherit' }).status).toBe(0);
  const folder = temporaryFolder('held');
  const { stdout, violations } = await runSandboxed(linked, ['filtered'], { cwd: folder, policy: policyFor(folder) });
  expect(stdout).toContain('chdir after an exec under a filter: EPERM');
  // What a worker receives is made on a copy of the socket, and needs no page.
  expect(stdout).toContain(`connect after an exec under a filter: ${holdsByStops ? 'EPERM' : '0'}`);
  const needing = holdsByStops ? ['chdir', 'connect'] : ['chdir'];
  expect(violations).toMatchObject(
    needing.map((syscall) => ({ syscall, reason: expect.stringContaining('the sealed page could not be mapped') })),
  );
});
