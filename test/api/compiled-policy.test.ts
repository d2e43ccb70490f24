// A policy that is checked once, for many commands.
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicy, type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { makeRules } from '../../lib/policy/policy.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const folder = temporaryFolder('compiled');
for (const name of ['one', 'two']) {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'file'), `${name}\n`);
}

test('it says what the policy says', () => {
  const policies: Policy[] = [
    {},
    { defaults: false },
    { scratch: true, exec: ['/usr/bin'], files: { ungranted: 'ENOENT', read: ['a', '../b', new URL('file:///c')] } },
    {
      files: { deny: [{ path: 'x', access: ['write'] }, '/y'] },
      network: { connect: ['*:443', 'unix:/s'], deny: ['[::1]'] },
    },
  ];
  for (const policy of policies) {
    for (const cwd of ['/', folder]) {
      for (const terminal of [false, true]) {
        const { compiled, ...got } = makeRules(compilePolicy(policy, { cwd }), cwd, terminal);
        expect(compiled).toBeDefined();
        expect(got).toEqual(makeRules(policy, cwd, terminal));
      }
    }
  }
  expect(makeRules(compilePolicy({}), '/')).toMatchObject(makeRules(undefined, '/'));
});

test('relative paths are those of its own cwd, the default one those of each command', async () => {
  const policy = compilePolicy({ files: { read: ['file'] } }, { cwd: join(folder, 'one') });
  const script = `cat ${folder}/one/file ${folder}/two/file 2>/dev/null`;
  expect((await runSandboxed('sh', ['-c', script], { policy, cwd: '/' })).stdout).toBe('one\n');
  expect((await runSandboxed('sh', ['-c', script], { policy, cwd: join(folder, 'two') })).stdout).toBe('one\ntwo\n');
  // And nothing of that one is left.
  expect((await runSandboxed('sh', ['-c', script], { policy, cwd: '/' })).stdout).toBe('one\n');
});

test('what is changed in the policy later changes nothing', async () => {
  const read = [join(folder, 'one')];
  const deny = [{ path: join(folder, 'one/secret'), access: ['read' as const] }];
  const given = { files: { read, deny } };
  const policy = compilePolicy(given, { cwd: '/' });
  const before = makeRules(policy, '/');
  read.push(join(folder, 'two'));
  deny.pop();
  given.files = { read: ['/'], deny: [] };
  expect(makeRules(policy, '/')).toEqual(before);
  // Nor does what is done with the rules of one command.
  makeRules(policy, folder).files.length = 0;
  expect(makeRules(policy, '/')).toEqual(before);
  const script = `cat ${folder}/one/file ${folder}/two/file 2>/dev/null`;
  expect((await runSandboxed('sh', ['-c', script], { policy, cwd: '/' })).stdout).toBe('one\n');
});

test('where a path leads is looked up when each command starts', async () => {
  const link = join(folder, 'link');
  symlinkSync('one', link);
  const policy = compilePolicy({ files: { read: [link] } });
  const read = async () =>
    (await runSandboxed('sh', ['-c', `cat ${folder}/one/file ${folder}/two/file 2>/dev/null`], { policy, cwd: '/' }))
      .stdout;
  expect(await read()).toBe('one\n');
  symlinkSync('two', `${link}-new`);
  renameSync(`${link}-new`, link);
  expect(await read()).toBe('two\n');
});

describe('what is refused', () => {
  test('fields, as at a spawn', () => {
    for (const policy of [
      { files: { raed: [] } },
      { files: { read: [''] } },
      { network: { connect: ['x'] } },
      7,
      null,
    ]) {
      const message = (act: () => unknown) => {
        try {
          act();
        } catch (error) {
          return `${(error as NodeJS.ErrnoException).code} ${(error as Error).message}`;
        }
        return '';
      };
      const told = message(() => compilePolicy(policy as never));
      expect(told).toMatch(/^ERR_HOLDFAST_INVALID_POLICY policy/);
      expect(told).toBe(message(() => spawnSandboxed('true', { policy: policy as never })));
    }
  });

  test('options', () => {
    expect(() => compilePolicy({}, { cdw: '/' } as never)).toThrow(/options\.cdw/);
    expect(() => compilePolicy({}, { cwd: 7 } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => compilePolicy({}, { cwd: 'a\0' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    expect(() => compilePolicy({}, null as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
  });

  test('what only looks like one', () => {
    const policy = compilePolicy({ files: { read: ['/'] } });
    expect(compilePolicy(policy)).toBe(policy);
    // Of another copy of this module, or without what makes it one: not taken for an empty policy.
    for (const other of [Object.assign(Object.create(Object.getPrototypeOf(policy)), policy), { ...policy }]) {
      expect(() => spawnSandboxed('true', { policy: other })).toThrow(/policy: .* another copy/);
    }
  });
});

test('a large one costs a spawn nothing to check', async () => {
  const read = Array.from({ length: 5000 }, (_, i) => `/missing/${i}`);
  let looked = 0;
  const watched = new Proxy([...read, join(folder, 'one')], {
    get: (list, key) => {
      looked++;
      return Reflect.get(list, key);
    },
  });
  const policy = compilePolicy({ files: { read: watched } });
  const once = looked;
  for (let i = 0; i < 3; i++) {
    expect((await runSandboxed('cat', [`${folder}/one/file`], { policy, cwd: '/' })).stdout).toBe('one\n');
  }
  expect(looked).toBe(once);
});
