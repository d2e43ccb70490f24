// loadPolicy: files with comments, where mistakes stand in them, files that start from others, and what is no such file.
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HoldfastError, loadPolicy, type PolicyProblem } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = temporaryFolder();

function file(name: string, text: string | Uint8Array): string {
  const path = join(root, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function problemsOf(path: string | URL, options = {}): readonly PolicyProblem[] {
  try {
    loadPolicy(path, options);
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: 'ERR_HOLDFAST_INVALID_POLICY' });
    return (error as HoldfastError).problems ?? [];
  }
  return [];
}

test('a file with comments is a policy, whose relative paths are of its own folder', async () => {
  file('project/in/file', 'here');
  const path = file(
    'project/policy.jsonc',
    `\uFEFF// What it may read.
    {
      "$schema": "./node_modules/holdfast/dist/policy.schema.json",
      /* and no more */
      "files": { "read": ["in", "$CWD/x", "~/.cache"], "deny": [{ "path": "./in/not", "access": ["read"] }] },
      "exec": [{ "path": "**/cat" }, "bin/tool"], // both
      "defaults": { "cwd": false },
    }`,
  );
  const policy = loadPolicy(path, { cwd: '/c' });
  expect(policy).toMatchObject({
    files: { read: [join(root, 'project/in'), '/c/x', expect.stringMatching(/^\/.*\.cache$/)] },
    exec: [{ path: '**/cat' }, join(root, 'project/bin/tool')],
  });
  expect(policy.files?.deny).toEqual([{ path: join(root, 'project/in/not'), access: ['read'] }]);
  expect(Object.isFrozen(policy.files?.read)).toBe(true);
  const run = await runSandboxed('/bin/cat', [join(root, 'project/in/file')], { policy, cwd: root });
  expect(run.stdout).toBe('here');
  expect(loadPolicy(pathToFileURL(path), { cwd: '/c' })).toEqual(policy);
  expect(loadPolicy(relative(process.cwd(), path), { cwd: '/c' })).toEqual(policy);
});

test('patterns are of the folder, too, or of none', async () => {
  file('pat[1]/lib/a.txt', 'here');
  file('pat[1]/x*y', 'star');
  const path = file(
    'pat[1]/p.json',
    '{"files": {"read": ["{src,lib}", "x\\\\*y", "a/*.txt"], "deny": ["*.key", "**/.env", "./b/*"]}, "defaults": {"cwd": false}}',
  );
  const policy = loadPolicy(path);
  const folder = join(root, 'pat\\[1\\]');
  expect(policy.files).toEqual({
    read: [`${folder}/{src,lib}`, `${folder}/x\\*y`, `${folder}/a/*.txt`],
    deny: ['*.key', '**/.env', `${folder}/b/*`],
  });
  const paths = ['lib/a.txt', 'x*y', 'p.json'].map((name) => join(root, 'pat[1]', name));
  expect((await runSandboxed('/bin/cat', paths, { policy, cwd: '/' })).stdout).toBe('herestar');
});

test('variables stand for what this process has', () => {
  const path = file('variables/p.json', '{"files": {"read": ["$CWD/x", "$PACKAGE/y"]}}');
  expect(loadPolicy(path, { package: '/p' }).files?.read).toEqual([join(process.cwd(), 'x'), '/p/y']);
});

test('each mistake has its line and column, and the message has them as well', () => {
  const path = file(
    'mistakes.json',
    `{
  "files": {
    "raed": ["/x"],
    "read": ["/ok",
      "$HOEM"],
    "deny": [{ "access": ["read"] }]
  },
  "network": { "connect": ["localhost"] }
}`,
  );
  expect(problemsOf(path).map(({ line, column, field, suggestion }) => [line, column, field, suggestion])).toEqual([
    [3, 5, 'files.raed', 'read'],
    [5, 7, 'files.read[1]', '$HOME'],
    [6, 14, 'files.deny[0].path', undefined],
    [8, 28, 'network.connect[0]', undefined],
  ]);
  for (const { message, file, line, column, field } of problemsOf(path)) {
    expect(file).toBe(path);
    expect(message.startsWith(`${path}:${line}:${column}: ${field}: `)).toBe(true);
  }
  expect(() => loadPolicy(path)).toThrow(`${path}: 4 mistakes\n  ${path}:3:5: files.raed: `);
});

describe('extends', () => {
  test('may name files, whose mistakes and paths are their own', () => {
    file('base/base.json', '{"files": {"read": ["x"]}, "extends": "../base/more.jsonc"}');
    file('base/more.jsonc', '{"files": {"read": ["y"]} /* */}');
    const path = file('top/p.json', '{"extends": ["../base/base.json", "compute"], "files": {"read": ["z"]}}');
    expect(loadPolicy(path)).toEqual({
      extends: [
        { files: { read: [join(root, 'base/x')] }, extends: { files: { read: [join(root, 'base/y')] } } },
        'compute',
      ],
      files: { read: [join(root, 'top/z')] },
    });
    file('base/more.jsonc', '{\n "fils": {}}');
    expect(problemsOf(path)).toMatchObject([
      {
        file: join(root, 'base/more.jsonc'),
        line: 2,
        column: 2,
        field: 'extends[0].extends.fils',
        suggestion: 'files',
      },
    ]);
    file('base/more.jsonc', '{\n [}');
    expect(problemsOf(path)[0]).toMatchObject({ file: join(root, 'base/more.jsonc'), line: 2 });
  });

  test('from itself, or from nothing, is a mistake', () => {
    symlinkSync('circle.json', join(root, 'again.json'));
    expect(
      problemsOf(file('circle.json', '{\n"extends": ["./circle.json", "./again.json", "./nowhere.json", "/"]}')),
    ).toMatchObject([
      { line: 2, field: 'extends[0]', message: expect.stringContaining('starts from itself') },
      { line: 2, field: 'extends[1]', message: expect.stringContaining('starts from itself') },
      { line: 2, field: 'extends[2]', message: expect.stringContaining('ENOENT') },
      { line: 2, field: 'extends[3]' },
    ]);
  });
});

describe('what is no JSON', () => {
  test.each([
    ['a comma too few', '{\n  "files": {}\n  "exec": []}', 3],
    ['no end', '{\n  "files": {', 2],
    ['nothing', '', 1],
    ['only a comment', '// {}', 1],
    ['a single quote', "{\n'files': {}}", 2],
    ['text behind it', '{}\n{}', 2],
    ['a key twice', '{"files": {"read": ["/x"],\n"read": []}}', 2],
  ])('%s is told with its line', (_, text, line) => {
    expect(problemsOf(file('syntax.json', text))).toContainEqual(expect.objectContaining({ line }));
  });

  test.each([
    ['a list', '[]'],
    ['a text', '"compute"'],
    ['null', 'null'],
    ['a number', '3'],
  ])('%s is no policy', (_, text) => {
    expect(problemsOf(file('value.json', text))).toMatchObject([{ line: 1, column: 1, field: '' }]);
  });

  test('nested as deep as no policy', () => {
    expect(problemsOf(file('deep.json', '['.repeat(200_000)))).not.toEqual([]);
    expect(problemsOf(file('deep.json', ['{"extends":'.repeat(5000), '{}', '}'.repeat(5000)].join('')))).not.toEqual(
      [],
    );
  });

  test('what a name like __proto__ holds is no field', () => {
    expect(problemsOf(file('proto.json', '{"__proto__": {"files": {"read": ["/"]}}}'))).toMatchObject([
      { field: '__proto__' },
    ]);
  });
});

describe('what is no file', () => {
  test('is told, and nothing is waited for', () => {
    const fifo = join(root, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const large = file('large.json', '');
    truncateSync(large, 100 << 20);
    for (const path of [
      fifo,
      root,
      '/dev/zero',
      join(root, 'missing.json'),
      large,
      file('latin.json', Uint8Array.of(0x22, 0xe4, 0x22)),
    ]) {
      expect(problemsOf(path)).toMatchObject([{ file: path, field: '', message: expect.stringContaining(path) }]);
    }
    expect(() => loadPolicy(join(root, 'missing.json'))).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'ENOENT' }) }),
    );
  });

  test('nor a name', () => {
    for (const name of [undefined, '', 3, 'a\0b', new URL('http://x/y')]) {
      expect(() => loadPolicy(name as never)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION' }));
    }
  });
});

test('very many mistakes take no longer than as many lines', () => {
  const many = 40_000;
  const path = file('many.json', `{\n  "files": {},\n${'  "files": {},\n'.repeat(many)}  "exec": []\n}`);
  const start = performance.now();
  const problems = problemsOf(path);
  // Once a line was looked for from the beginning of the file, which took half a minute here.
  expect(performance.now() - start).toBeLessThan(patient(15_000));
  expect(problems).toHaveLength(many);
  for (const i of [0, 1, 777, many - 1])
    expect(problems[i]).toMatchObject({
      field: 'files',
      line: i + 3,
      column: 3,
      message: `${path}:${i + 3}:3: files: stands here again: it is on line 2 already`,
    });
  const bad = file('bad.json', `{ "files": { "read": [\n${'"$A",\n'.repeat(many)}] } }`);
  expect(problemsOf(bad).at(-1)).toMatchObject({ line: many + 1, column: 1 });
  expect(performance.now() - start).toBeLessThan(patient(30_000));
  expect(problemsOf(file('syntax.json', '{ "files":\n\n  {"read": [1 2]}}'))).toMatchObject([{ line: 3, column: 15 }]);
  expect(problemsOf(file('first.json', ']'))[0]).toMatchObject({ line: 1, column: 1 });
});
