// Where holdfast cannot run: what imports it goes on, and a start says why there is none. Bun and Deno themselves are in
// test/lifecycle/places; systems that are not here are played by a Node that says it is on them before anything is imported.

import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { fails, library, startIn } from '../helpers/places.ts';
import { runBare } from '../helpers/run.ts';

const timeout = patient(60_000);
const playing = (platform: string, arch: string) => {
  const text = `for (const [name, value] of [['platform', '${platform}'], ['arch', '${arch}']]) Object.defineProperty(process, name, { value });`;
  return ['--import', `data:text/javascript,${encodeURIComponent(text)}`];
};

describe.each([
  ['darwin', 'arm64', 'this is darwin'],
  ['win32', 'x64', 'this is win32'],
  ['freebsd', 'x64', 'this is freebsd'],
  ['linux', 'ia32', 'built for ia32'],
  ['linux', 'riscv64', 'built for riscv64'],
])('%s %s', (platform, arch, said) => {
  const node = [process.execPath, ...playing(platform, arch)];

  test('a start and checkSupport answer by a code, and say where this is', { timeout }, async () => {
    const seen = await startIn({ env: { ...process.env, NODE_OPTIONS: playing(platform, arch).join(' ') } });
    expect(seen).toMatchObject(fails('ERR_HOLDFAST_UNSUPPORTED_PLATFORM'));
    expect(seen.message).toContain(said);
  });

  test('everything that starts nothing works', { timeout }, async () => {
    const text = `
      import { allow, checkSupport, compilePolicy, createSandboxPool, deny, HoldfastError, spawnSandboxed } from ${JSON.stringify(library)};
      compilePolicy({ files: { read: ['/usr'] } });
      for (const wrong of [() => compilePolicy({ flies: 1 }), () => spawnSandboxed('true'), () => createSandboxPool({ size: 1 })])
        try { wrong(); console.log('no error'); } catch (error) { console.log(error instanceof HoldfastError, error.code); }
      console.log(typeof allow(), typeof deny(), checkSupport().supported);`;
    const { stdout, stderr } = await runBare(node[0] as string, [...node.slice(1), '--input-type=module', '-e', text]);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      'true ERR_HOLDFAST_INVALID_POLICY',
      'true ERR_HOLDFAST_UNSUPPORTED_PLATFORM',
      'true ERR_HOLDFAST_UNSUPPORTED_PLATFORM',
      'object object false',
      '',
    ]);
  });
});
