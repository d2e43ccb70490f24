// definePolicy: what variables stand for and where, relative paths, and all mistakes of a policy at once.
import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { compilePolicy, definePolicy, HoldfastError, loadPolicy, type Policy, type PolicyProblem } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = temporaryFolder();

function makeTree(name: string, files: Record<string, string>): string {
  const folder = temporaryFolder(name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

function problemsOf(make: () => unknown): readonly PolicyProblem[] {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: 'ERR_HOLDFAST_INVALID_POLICY' });
    return (error as HoldfastError).problems ?? [];
  }
  return [];
}

const fieldsOf = (policy: unknown) => problemsOf(() => definePolicy(policy as Policy)).map(({ field }) => field);

describe('variables', () => {
  const reading = (path: string, options = {}) => definePolicy({ files: { read: [path] } }, options).files?.read?.[0];

  test('stand for folders, at the start of paths and of the paths of sockets', () => {
    expect(reading('$HOME/.cache/x')).toBe(join(homedir(), '.cache/x'));
    expect(reading('~/.cache/x')).toBe(join(homedir(), '.cache/x'));
    expect(reading('$TMP/x')).toBe(join(tmpdir(), 'x'));
    expect(reading('$CWD/x', { cwd: root })).toBe(join(root, 'x'));
    expect(reading('$CWD', { cwd: pathToFileURL(root) })).toBe(root);
    expect(reading('$PACKAGE/x', { package: root })).toBe(join(root, 'x'));
    const all = definePolicy(
      {
        extends: [{ files: { deny: [{ path: '$CWD/x', access: ['read'] }] } }],
        exec: { allow: ['$CWD/x', { path: '$CWD/bin/*', argv: ['$CWD'], under: ['$CWD/y'] }], deny: ['$CWD/z'] },
        network: { connect: ['unix:$CWD/s'], deny: [{ address: 'unix:$CWD/t' }] },
      },
      { cwd: '/c' },
    );
    expect(all).toEqual({
      extends: [{ files: { deny: [{ path: '/c/x', access: ['read'] }] } }],
      // An argument is no path of ours.
      exec: { allow: ['/c/x', { path: '/c/bin/*', argv: ['$CWD'], under: ['/c/y'] }], deny: ['/c/z'] },
      network: { connect: ['unix:/c/s'], deny: [{ address: 'unix:/c/t' }] },
    });
  });

  test('the package is the nearest folder with a package.json', () => {
    const folder = makeTree('package', { 'package.json': '{}', 'a/b': '' });
    expect(reading('$PACKAGE/x', { cwd: join(folder, 'a') })).toBe(join(folder, 'x'));
    expect(problemsOf(() => reading('$PACKAGE', { cwd: '/proc' }))).toMatchObject([
      { field: 'files.read[0]', message: expect.stringContaining('no folder from /proc upwards has a package.json') },
    ]);
  });

  test.each([
    ['$HOEM/x', '$HOEM, which is no variable', '$HOME'],
    ['$PATH', '$PATH, which is no variable', undefined],
    ['$' + '{HOME}/x', 'write $HOME without braces', undefined],
    ['$HOME.cache', 'comes / or nothing', undefined],
    ['x/$HOME', 'in the middle', undefined],
    ['x$(CWD)', 'only shells expand', undefined],
  ])('%s is refused', (path, words, suggestion) => {
    const [problem, ...others] = problemsOf(() => reading(path));
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ field: 'files.read[0]', message: expect.stringContaining(words) });
    expect(problem?.suggestion).toBe(suggestion);
  });

  test('a file: URL means what it says, as at a spawn', async () => {
    const folder = makeTree('url', { '$HOME/$CWD/f': 'content' });
    const url = pathToFileURL(join(folder, '$HOME/$CWD/f')).href;
    expect(url).toContain('/$HOME/$CWD/f');
    expect(reading(url)).toBe(url);
    const file = join(folder, 'policy.json');
    writeFileSync(file, JSON.stringify({ files: { read: [url] } }));
    const run = (policy: Policy) => runSandboxed('cat', [fileURLToPath(url)], { policy, cwd: '/' });
    for (const policy of [loadPolicy(file), definePolicy({ files: { read: [url] } })])
      expect((await run(policy)).stdout).toBe('content');
  });

  test('that stand for the whole machine are refused', () => {
    const before = process.env.HOME;
    try {
      process.env.HOME = '/';
      expect(problemsOf(() => reading('$HOME'))).toMatchObject([
        { message: expect.stringContaining('stands for / here') },
      ]);
      expect(problemsOf(() => reading('~/'))).toHaveLength(1);
      expect(reading('~/.cache')).toBe('/.cache');
      process.env.HOME = '';
      expect(problemsOf(() => reading('~/.cache'))).toMatchObject([
        { message: expect.stringContaining('no absolute path') },
      ]);
    } finally {
      process.env.HOME = before;
    }
    expect(problemsOf(() => reading('$CWD', { cwd: '/' }))).toHaveLength(1);
  });

  test('are refused elsewhere, in words that say where they work', () => {
    for (const path of ['$CWD/x', '$HOME/x', '$TMP', '$PACKAGE']) {
      expect(() => compilePolicy({ files: { read: [path] } })).toThrow(
        /only definePolicy\(\) and loadPolicy\(\) expand/,
      );
    }
    expect(() => compilePolicy({ files: { read: ['$PATH'] } })).toThrow(/only shells expand: use process.env/);
  });

  test('a folder whose name looks like something else stays itself', async () => {
    const folder = makeTree('odd', { 'a*b [c] $x/file': 'here' });
    const policy = definePolicy({ files: { read: ['$CWD/file'] } }, { cwd: join(folder, 'a*b [c] $x') });
    const { stdout } = await runSandboxed('/bin/cat', [join(folder, 'a*b [c] $x', 'file')], { policy, cwd: '/' });
    expect(stdout).toBe('here');
  });
});

describe('relative paths', () => {
  test('are of the command’s working directory, or of cwd', async () => {
    const folder = makeTree('relative', { 'in/file': 'here' });
    const run = (policy: Policy) =>
      runSandboxed('/bin/cat', [join(folder, 'in/file')], {
        policy: { ...policy, defaults: { cwd: false } },
        cwd: folder,
      });
    const rule: Policy = { files: { read: ['in'] } };
    expect((await run(definePolicy(rule))).stdout).toBe('here');
    expect((await run(definePolicy(rule, { cwd: folder }))).stdout).toBe('here');
    expect((await run(definePolicy(rule, { cwd: root }))).code).toBe(1);
    expect((await run(definePolicy({ files: { read: ['$CWD/in'] } }))).stdout).toBe('here');
  });

  test('names that are refused are not turned into paths that are not', () => {
    expect(problemsOf(() => definePolicy({ exec: ['ls', { path: 'ls' }] }, { cwd: root }))).toHaveLength(2);
  });
});

describe('mistakes', () => {
  test('come all at once, each with its field and what was meant', () => {
    const policy = {
      extends: ['compte', { files: { read: [''] } }],
      files: {
        raed: [],
        read: ['$HOEM', 3, 'ok', ''],
        write: 'out',
        deny: [
          { pth: '/x', access: ['raed'] },
          { path: '/x', access: [] },
        ],
      },
      network: { connect: ['localhost', '127.0.0.1:80', '1.2.3'], deny: [{ address: 'x', operations: ['conect'] }] },
      exec: { allow: ['ls', '/bin/ls'], written: 'no' },
      syscalls: {
        deny: ['opne', { call: 'socke' }, { call: 'socket', args: [{ index: 0, equals: 'AF_INTE' }] }],
        onyl: [],
      },
      scrach: true,
      'files.read': ['/'],
    };
    const kept = structuredClone(policy);
    const found = problemsOf(() => definePolicy(policy as never));
    expect(policy).toEqual(kept);
    const meant = Object.fromEntries(found.map(({ field, suggestion }) => [field, suggestion]));
    expect(meant).toEqual({
      'extends[0]': 'compute',
      'extends[1].files.read[0]': undefined,
      'files.raed': 'read',
      'files.read[0]': '$HOME',
      'files.read[1]': undefined,
      'files.read[3]': undefined,
      'files.write': undefined,
      'files.deny[0].pth': 'path',
      'files.deny[0].path': undefined,
      'files.deny[0].access': 'read',
      'files.deny[1].access': undefined,
      'network.connect[0]': undefined,
      'network.connect[2]': undefined,
      'network.deny[0].address': undefined,
      'network.deny[0].operations': 'connect',
      'exec.allow[0]': undefined,
      'exec.written': undefined,
      'syscalls.deny[0]': 'open',
      'syscalls.deny[1].call': 'socket',
      'syscalls.deny[2].args[0].equals': 'AF_INET',
      'syscalls.onyl': 'only',
      scrach: 'scratch',
      'files.read': undefined,
    });
    expect(found).toHaveLength(Object.keys(meant).length);
  });

  test('one is told as a spawn tells it; several have a line each', () => {
    const one = { files: { read: [''] } };
    const message = (make: () => unknown) => {
      try {
        make();
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(message(() => definePolicy(one))).toBe(message(() => compilePolicy(one)));
    expect(message(() => definePolicy({ files: { read: ['', ''] } })).split('\n')).toEqual([
      'policy: 2 mistakes',
      expect.stringMatching(/^ {2}policy\.files\.read\[0\]: /),
      expect.stringMatching(/^ {2}policy\.files\.read\[1\]: /),
    ]);
  });

  test('of a spawn have their field, too', () => {
    expect(problemsOf(() => compilePolicy({ files: { raed: [] } } as never))).toMatchObject([
      { field: 'files.raed', suggestion: 'read' },
    ]);
  });

  test.each([
    ['nothing', undefined],
    ['a name', 'compute'],
    ['a compiled policy', compilePolicy({})],
    ['a list', []],
    ['null', null],
  ])('%s is no policy', (_, policy) => {
    expect(fieldsOf(policy)).toEqual(['']);
  });

  test('are found in what inherits, has holes, repeats itself, or is very large', () => {
    const inherits = Object.create({ files: {} });
    expect(fieldsOf(inherits)).toEqual(['files']);
    expect(fieldsOf({ files: { read: Object.assign(Array(2), { 1: '/x' }) } })).toEqual(['files.read[0]']);
    expect(fieldsOf(JSON.parse('{"__proto__": {"files": {}}, "files": {"constructor": []}}'))).toEqual([
      'files.constructor',
      '__proto__',
    ]);
    const itself: { extends?: unknown } = {};
    itself.extends = itself;
    expect(fieldsOf(itself)).toHaveLength(1);
    const many = problemsOf(() => definePolicy({ files: { read: Array(5000).fill('') } }));
    expect(many.length).toBeGreaterThan(50);
    expect(many.length).toBeLessThan(200);
  });
});

test('what comes out is plain data that does not change', () => {
  const given = { files: { read: ['/x'] }, extends: [{ exec: ['/bin/ls'] }] };
  const made = definePolicy(given);
  expect(made).toEqual(given);
  expect(JSON.parse(JSON.stringify(made))).toEqual(given);
  given.files.read.push('/');
  expect(made.files?.read).toEqual(['/x']);
  expect(() => (made.files?.read as string[] | undefined)?.push('/')).toThrow(TypeError);
  expect(definePolicy({ extends: made })).toEqual({ extends: made });
});

test('options that are none, or no folders, are refused', () => {
  for (const options of [
    { cdw: '/' },
    { cwd: 3 },
    { cwd: '' },
    { package: new URL('http://x') },
    { cwd: 'a\0b' },
    null,
    [],
  ]) {
    expect(() => definePolicy({}, options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION' }),
    );
  }
});
