// Patterns in rules on files: what they speak of, and how they stand to plain rules.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allow, compilePolicy, type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { makeRules } from '../../lib/policy/policy.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

type Files = NonNullable<Policy['files']>;

/** A folder with files whose text is their name. */
function scene(...files: string[]) {
  const folder = temporaryFolder('patterns');
  for (const file of files) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), `${file}\n`);
  }
  return folder;
}

/** What of these can be read. */
async function readable(folder: string, files: Files, names: readonly string[], policy: Policy = {}) {
  const script = 'for name; do cat "$name"; done 2>/dev/null; true';
  const { stdout, violations } = await runSandboxed('sh', ['-c', script, 'sh', ...names.map((name) => `./${name}`)], {
    cwd: folder,
    policy: { ...policy, files, defaults: { cwd: false } },
  });
  return { read: stdout.split('\n').filter(Boolean), violations };
}

describe('a pattern that denies', () => {
  test.each<[string, (folder: string) => string | URL, string[]]>([
    ['a name anywhere', () => '**/.env', ['a.txt', 'b/c.txt', 'b/.env.d/k', 'x/y.pem']],
    ['a bare one anywhere', () => '*.pem', ['.env', 'a.txt', 'b/.env', 'b/c.txt', 'b/.env.d/k']],
    ['what a folder that it matches holds', () => '**/.env*', ['a.txt', 'b/c.txt', 'x/y.pem']],
    ['what lies below a folder', (at) => `${at}/b/**`, ['.env', 'a.txt', 'x/y.pem']],
    ['one component', () => './*/*.txt', ['.env', 'a.txt', 'b/.env', 'b/.env.d/k', 'x/y.pem']],
    ['a class', () => './[ax]*', ['.env', 'b/.env', 'b/c.txt', 'b/.env.d/k']],
    ['braces', () => './{a.txt,b/{c,d}.txt,x}', ['.env', 'b/.env', 'b/.env.d/k']],
    ['? for one character', () => './?.txt', ['.env', 'b/.env', 'b/c.txt', 'b/.env.d/k', 'x/y.pem']],
  ])('%s', async (_, deny, expected) => {
    const names = ['.env', 'a.txt', 'b/.env', 'b/c.txt', 'b/.env.d/k', 'x/y.pem'];
    const folder = scene('a.txt', 'b/c.txt', 'b/.env.d/k', 'x/y.pem', '.env');
    writeFileSync(join(folder, 'b/.env'), 'b/.env\n');
    const { read } = await readable(folder, { read: [folder], deny: [deny(folder)] }, names);
    expect(read).toEqual(expected);
  });

  test('is lifted by no rule, however deep, nor by a hook', async () => {
    const folder = scene('a/.env', 'a/b');
    const files = { read: [folder, join(folder, 'a/.env'), './a/*'], deny: ['**/.env'] };
    expect((await readable(folder, files, ['a/.env', 'a/b'])).read).toEqual(['a/b']);
    const asked: string[] = [];
    const { stdout } = await runSandboxed('cat', ['a/.env'], {
      cwd: folder,
      policy: { files },
      hooks: (child) =>
        child.onOpen(({ path }) => {
          asked.push(path);
          return allow();
        }),
    });
    expect(stdout).toBe('');
    expect(asked).not.toContain(join(folder, 'a/.env'));
  });

  test('holds for files that are made later, and for every way to ask', async () => {
    const folder = scene('a');
    const python = `
import os
def tell(what, act):
    try: print(what, act() or 'ok')
    except OSError as error: print(what, os.strerror(error.errno))
tell('make', lambda: open('x.key', 'w').close())
tell('mkdir', lambda: os.mkdir('d.key'))
tell('link', lambda: os.link('a', 'l.key'))
tell('symlink', lambda: os.symlink('a', 's.key'))
tell('rename', lambda: os.rename('a', 'r.key'))
tell('fifo', lambda: os.mkfifo('f.key'))
tell('stat', lambda: os.stat('k.key'))
tell('chmod', lambda: os.chmod('k.key', 0o600))
tell('unlink', lambda: os.unlink('k.key'))
tell('truncate', lambda: os.truncate('k.key', 0))
tell('away', lambda: os.rename('k.key', 'k'))
tell('second name', lambda: os.link('k.key', 'k'))
tell('replace', lambda: os.rename('a', 'k.key'))
tell('listing', lambda: ' '.join(sorted(os.listdir('.'))))
`;
    const child = spawnSandboxed('/usr/bin/python3', ['-c', `input()\n${python}`], {
      cwd: folder,
      policy: { files: { read: ['.'], write: ['.'], deny: ['*.key'] } },
    });
    writeFileSync(join(folder, 'k.key'), 'secret');
    child.stdin.end('\n');
    let text = '';
    for await (const chunk of child.stdout) text += chunk;
    expect(text.split('\n').filter((line) => !line.endsWith('Permission denied'))).toEqual(['listing a k.key', '']);
    expect(readFileSync(join(folder, 'k.key'), 'utf8')).toBe('secret');
  });

  test('by kinds of access', async () => {
    const folder = scene('a.json', 'b');
    const { stdout } = await runSandboxed('sh', ['-c', 'cat a.json; (echo >a.json) 2>&-; echo $?; echo x >b; cat b'], {
      cwd: folder,
      policy: { files: { read: ['.'], write: ['.'], deny: [{ path: '**/*.json', access: ['write'] }] } },
    });
    expect(stdout).toBe('a.json\n2\nx\n');
  });

  test('is told by its field', async () => {
    const folder = scene('.env');
    const { violations } = await readable(folder, { read: ['.'], deny: ['/nowhere', '**/.env'] }, ['.env']);
    expect(violations).toContainEqual(
      expect.objectContaining({ rule: 'files.deny[1]', path: join(folder, '.env'), access: 'read' }),
    );
  });

  test('names bytes, as filters do', async () => {
    const names = ['\u00e9', 'e\u0301', 'ab'];
    const folder = scene(...names);
    const read = async (deny: string) => (await readable(folder, { read: ['.'], deny: [deny] }, names)).read;
    expect(await read('./?')).toEqual(['e\u0301', 'ab']);
    expect(await read('./\u00e9*')).toEqual(['e\u0301', 'ab']);
    expect(await read('./e*')).toEqual(['\u00e9', 'ab']);
  });
});

describe('a pattern that allows', () => {
  test.each<[string, string, string[]]>([
    ['in one folder', './*.txt', ['a.txt']],
    ['at any depth', './**/*.txt', ['a.txt', 'b/c.txt', 'b/d/e.txt']],
    ['with all below', './b/d*', ['b/d/e.txt', 'b/d/f']],
    ['a folder in between', './*/d', ['b/d/e.txt', 'b/d/f']],
    ['everywhere', '/**/holdfast-patterns-*/a.txt', ['a.txt']],
  ])('%s', async (_, pattern, expected) => {
    const names = ['a.txt', 'b/c.txt', 'b/d/e.txt', 'b/d/f', 'g'];
    const folder = scene(...names);
    expect((await readable(folder, { read: [pattern] }, names)).read).toEqual(expected);
  });

  test('lifts no denial', async () => {
    const folder = scene('a/b', 'a/c');
    const files = { read: ['./a/*'], deny: [folder] };
    expect((await readable(folder, files, ['a/b'])).read).toEqual([]);
    expect((await readable(folder, { ...files, read: ['./a/b'] }, ['a/b', 'a/c'])).read).toEqual(['a/b']);
  });

  test('lets the folders on the way be looked at, and nothing else', async () => {
    const folder = scene('p/q/a.txt', 'p/z.md', 'o/a.md');
    const script = 'for name in . p p/q p/q/a.txt o o/a.md; do stat -c %n "$name" 2>&-; done; ls p 2>&-; true';
    const { stdout } = await runSandboxed('sh', ['-c', script], {
      cwd: folder,
      policy: { files: { read: ['./p/*/*.txt'] }, defaults: { cwd: false } },
    });
    expect(stdout).toBe('.\np\np/q\np/q/a.txt\n');
  });

  test('writes, and the name of what it gives belongs to its folder', async () => {
    const folder = scene('out/a.log', 'out/b');
    const script = [
      'echo x >out/a.log && echo written',
      'echo y >out/new.log && echo made',
      '(echo y >out/new) 2>&- || echo not another',
      'rm -f out/a.log 2>&- || echo not removed',
      'mv out/new.log out/b 2>&- || echo not moved',
      'mkdir out/d.log && echo >out/d.log/x && rm out/d.log/x && echo below it all',
    ].join('; ');
    const { stdout } = await runSandboxed('sh', ['-c', script], {
      cwd: folder,
      policy: { files: { write: ['./out/*.log'] } },
    });
    expect(stdout).toBe('written\nmade\nnot another\nnot removed\nnot moved\nbelow it all\n');
  });

  test('programs, with exec', async () => {
    const folder = scene('bin/x');
    for (const name of ['tool-a', 'other'])
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 });
    const { stdout, stderr } = await runSandboxed('sh', ['-c', './bin/tool-a; ./bin/other 2>&-; true'], {
      cwd: folder,
      policy: { exec: ['/usr/bin/*sh', '/bin/sh', './bin/tool-*'] },
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('tool-a\n');
  });
});

describe('a leading ~', () => {
  test('is the home directory of who spawns', () => {
    const paths = (files: Files) =>
      makeRules({ files }, '/work')
        .files.filter(({ label }) => label !== 'defaults')
        .map(({ path, pattern }) => (pattern === undefined ? path : [path, pattern]));
    const home = homedir();
    expect(paths({ read: ['~/x'], deny: ['~/.ssh/**', '~'] })).toEqual([
      join(home, 'x'),
      [join(home, '.ssh'), '**'],
      home,
    ]);
    expect(paths({ deny: ['a/~/b', './~'] })).toEqual(['/work/a/~/b', '/work/~']);
  });

  test('works in hooks’ filters, as braces do', async () => {
    const folder = scene('a/x', 'b/x', 'c/x');
    const asked: string[] = [];
    const before = process.env.HOME;
    process.env.HOME = folder;
    try {
      await runSandboxed('cat', ['a/x', 'b/x', 'c/x'], {
        cwd: folder,
        policy: { files: { read: ['.'] } },
        hooks: (child) => child.onOpen({ path: '~/{a,b}/*' }, ({ path }) => void asked.push(path)),
      });
    } finally {
      process.env.HOME = before;
    }
    expect(asked).toEqual([join(folder, 'a/x'), join(folder, 'b/x')]);
  });
});

describe('what is meant as it is written', () => {
  test('a file: URL is no pattern, and \\ quotes', async () => {
    const folder = scene('a*b', 'aXb', '[id]', 'i');
    const read = async (rule: string | URL) =>
      (await readable(folder, { read: [rule] }, ['a*b', 'aXb', '[id]', 'i'])).read;
    expect(await read(pathToFileURL(join(folder, 'a*b')))).toEqual(['a*b']);
    expect(await read(pathToFileURL(join(folder, '[id]')).href)).toEqual(['[id]']);
    expect(await read('a\\*b')).toEqual(['a*b']);
    expect(await read('./\\[id\\]')).toEqual(['[id]']);
  });

  test('the folder before the first wildcard is followed as a rule’s path is', async () => {
    const folder = scene('real/a.txt', 'real/b');
    symlinkSync('real', join(folder, 'link'));
    expect((await readable(folder, { read: ['./link/*.txt'] }, ['link/a.txt', 'real/a.txt', 'real/b'])).read).toEqual([
      'real/a.txt',
      'real/a.txt',
    ]);
    expect((await readable(folder, { read: ['.'], deny: ['./link/*.txt'] }, ['real/a.txt', 'real/b'])).read).toEqual([
      'real/b',
    ]);
  });
});

describe('compiled, extended, restricted', () => {
  test('they say the same', async () => {
    const folder = scene('a.txt', 'b.key', 'c');
    const names = ['a.txt', 'b.key', 'c'];
    const compiled = compilePolicy({ files: { read: ['./*.{txt,key}'] } }, { cwd: folder });
    const { read } = await readable(folder, { deny: ['*.key'] }, names, { extends: compiled });
    expect(read).toEqual(['a.txt']);
  });
});

describe('bad patterns are refused by field', () => {
  test.each<[unknown, RegExp]>([
    [{ files: { read: ['*.json'] } }, /^policy\.files\.read\[0\]: '\*\.json' begins with no folder/],
    [{ files: { write: ['**/x'] } }, /^policy\.files\.write\[0\]: .* begins with no folder/],
    [{ files: { deny: ['/a/[b'] } }, /has a \[ without its \]/],
    [{ files: { deny: ['/a/{b'] } }, /has a \{ without its \}/],
    [{ files: { deny: ['/a/{b,c'] } }, /has a \{ without its \}/],
    [{ files: { deny: ['/a/{b}'] } }, /has braces with one alternative/],
    [{ files: { deny: ['/a/{1..3}'] } }, /has braces with one alternative/],
    [{ files: { deny: [`/${'{a,b}'.repeat(9)}`] } }, /more than 256 patterns/],
    [{ files: { deny: ['/a/*/'] } }, /ends with \//],
    [{ files: { deny: ['/a/*/../b'] } }, /has \.\. behind a wildcard/],
    [{ files: { deny: [{ path: '/a/\\' }] } }, /^policy\.files\.deny\[0\]\.path: .* ends with a \\/],
    [{ files: { deny: ['!*.txt'] } }, /starts with !/],
    [{ files: { deny: ['~root/*'] } }, /starts with ~ and a name/],
    [{ files: { deny: ['$HOME/*'] } }, /has a variable/],
    [{ exec: ['./{a'] }, /^policy\.exec\[0\]: .* has a \{ without/],
    [{ exec: ['{a,b}'] }, /^policy\.exec\[0\]: .* is a bare name/],
  ])('%j', (policy, message) => {
    const wrong = () => spawnSandboxed('true', [], { policy: policy as Policy });
    expect(wrong).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_POLICY' }));
    expect(wrong).toThrow(message);
  });
});
