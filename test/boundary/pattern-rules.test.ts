// What a pattern refuses stays refused, whatever the tree does with names: links, renames of files and folders, other ways
// to the same place, races; and in every layer and on both sides of restrict().
import { once } from 'node:events';
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSupport, type HoldfastError, type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patience, patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { started } from './conversation.ts';
import { attack, expectHeld, expectUntouched, movingScene, scene } from './race.ts';

type Files = NonNullable<Policy['files']>;
const timeout = patient(120_000);
const landlock = checkSupport().landlockAbi ?? 0;

/** `p/s/key` says SECRET, `p/a/b` does not. */
function place() {
  const folder = temporaryFolder('pattern-rules');
  mkdirSync(join(folder, 'p/s/deep'), { recursive: true });
  mkdirSync(join(folder, 'p/a/s2'), { recursive: true });
  writeFileSync(join(folder, 'p/s/key'), 'SECRET\n');
  writeFileSync(join(folder, 'p/s/deep/key'), 'SECRET\n');
  writeFileSync(join(folder, 'p/.env'), 'SECRET\n');
  writeFileSync(join(folder, 'p/a/b'), 'b\n');
  return folder;
}

async function shell(folder: string, script: string, files: Files) {
  return runSandboxed('sh', ['-c', script], { cwd: join(folder, 'p'), policy: { files } });
}

const exchange = (one: string, other: string) =>
  `python3 -S -c 'import ctypes; print(end="x" if ctypes.CDLL(None).renameat2(-100, b"${one}", -100, b"${other}", 2) > 0 else "")'`;

const all = { read: ['..'], write: ['..'] };

describe('what a pattern denies does not get another name', () => {
  test.each<[string, string, string]>([
    ['the file is moved', '**/.env', 'mv .env e; cat e'],
    ['the file is linked', '**/.env', 'ln .env e; cat e'],
    ['the file is exchanged', '**/.env', `${exchange('.env', 'a/b')}; cat a/b`],
    ['a link is made to it', '**/.env', 'ln -s .env e; cat e'],
    ['its folder is moved', 's/**', 'mv s x; cat x/key'],
    ['its folder is moved, by a pattern anywhere', '**/s/**', 'mv s x; cat x/key'],
    ['its folder is moved, which the pattern names', '**/s', 'mv s x; cat x/key'],
    ['a folder above is moved', './s/**', 'mv ../p ../q; cat ../q/s/key'],
    [
      'a folder above is moved, by a pattern with a wildcard before',
      '../*/s/**',
      'mkdir ../d; mv ../p ../d/q; cat ../q/s/key',
    ],
    ['its folder is moved up', '../p/*/key', 'mv s/deep .; cat deep/key'],
    ['by ..', '**/.env', 'cat a/../.env'],
    ['by //', '**/.env', 'cat ..//p/./.env'],
    ['by /proc/self/cwd', '**/.env', 'cat /proc/self/cwd/.env'],
    ['by a folder’s descriptor', '**/s/key', 'exec 3<a; cat /proc/self/fd/3/../s/key'],
    ['by its folder as the working directory', '**/s/key', 'cd s; cat key ./key $PWD/key'],
    ['by a link on the way', '**/s/key', 'ln -s s t; cat t/key'],
  ])('%s', async (_, pattern, script) => {
    const deny = pattern === 's/**' ? './s/**' : pattern;
    const folder = place();
    const { stdout } = await shell(folder, script, { ...all, deny: [deny] });
    expect(stdout).not.toContain('SECRET');
    // And without the rule all of it works: the test says something.
    const free = await shell(place(), script, all);
    expect(free.stdout).toMatch(/^(?:SECRET\n)+$/);
  });

  test('nor what only may not be read', async () => {
    const deny: Files['deny'] = [
      { path: '**/*.key', access: ['read'] },
      { path: '**/s/**', access: ['read'] },
    ];
    const script = 'mv k.key k; mv s x; cat k x/key; ls';
    const folder = place();
    writeFileSync(join(folder, 'p/k.key'), 'SECRET\n');
    expect((await shell(folder, script, { ...all, deny })).stdout).toBe('a\nk.key\ns\n');
  });

  test('nor is a program executed that may not be', async () => {
    const folder = place();
    writeFileSync(join(folder, 'p/run.bin'), '#!/bin/sh\necho RUNS\n', { mode: 0o755 });
    const deny: Files['deny'] = [{ path: '*.bin', access: ['exec'] }];
    const { stdout } = await shell(folder, './run.bin; mv run.bin r; ./r; ln run.bin q; ./q', { ...all, deny });
    expect(stdout).toBe('');
  });
});

describe('what a pattern denies is not made by a rename', () => {
  test.each<[string, string, string, string]>([
    ['a folder becomes the one of the pattern', '**/hooks/**', 'mkdir x; echo >x/run; mv x hooks', 'hooks'],
    [
      'a folder above becomes that',
      '**/.git/hooks/**',
      'mkdir -p x/hook; echo >x/hook/r; mv x/hook x/hooks; mv x .git',
      '.git',
    ],
    ['a folder with the name moves there', '**/b2/c', 'mkdir -p x/c y; mv x y/b2', 'y/b2'],
    ['a file', '**/*.key', 'echo >x; mv x x.key', 'x.key'],
    ['an exchange', '**/hooks/**', `mkdir x hooks; echo >x/run; ${exchange('x', 'hooks')}`, 'hooks/run'],
  ])('%s', async (_, pattern, script, made) => {
    const folder = place();
    await shell(folder, script, { ...all, deny: [pattern] });
    expect(existsSync(join(folder, 'p', made))).toBe(false);
  });

  test('and other folders move as before, with what is denied in them', async () => {
    const folder = place();
    const script =
      'mv a c && cat c/b && mv c/s2 d && mkdir n && echo x >n/f && mv n m && cat m/f; mv m/f m/g; cat d/.env';
    const deny = ['**/.env', '**/*.{key,pem}', `${folder}/elsewhere/**`];
    writeFileSync(join(folder, 'p/a/s2/.env'), 'SECRET\n');
    expect((await shell(folder, script, { ...all, deny })).stdout).toBe('b\nx\n');
    expect(readdirSync(join(folder, 'p/d'))).toEqual(['.env']);
  });
});

describe('what a pattern allows', () => {
  test('is not come under by a rename of its folder', async () => {
    const folder = place();
    const files = { write: ['.'], read: ['./open/**/key', './a/*/key'] };
    const script =
      'mkdir open; mv s open/s; mv s open; mv s a/s; mv s/deep a; cat open/s/key open/key a/s/key a/deep/key';
    expect((await shell(folder, script, files)).stdout).toBe('');
  });

  test('gives no more than where it is: a link in it leads to what rules say of its end', async () => {
    const folder = place();
    symlinkSync('../.env', join(folder, 'p/a/link.txt'));
    const { stdout } = await runSandboxed('sh', ['-c', 'cat a/link.txt; ln -s ../.env a/new.txt; cat a/new.txt'], {
      cwd: join(folder, 'p'),
      policy: { files: { read: ['./a/*.txt'], write: ['./a/*.txt'] }, defaults: { cwd: false } },
    });
    expect(stdout).toBe('');
  });

  test('a link that the tree may have planted is not followed for it', async () => {
    const folder = place();
    symlinkSync(join(folder, 'p/s'), join(folder, 'p/a/planted'));
    const policy = { files: { read: ['./a/planted/*'], write: ['./a'] }, defaults: { cwd: false } };
    const warnings: string[] = [];
    const { stdout } = await runSandboxed('sh', ['-c', 'cat s/key a/planted/key'], {
      cwd: join(folder, 'p'),
      policy,
      hooks: (child) => child.on('warning', ({ rule }) => warnings.push(rule)),
    });
    expect(stdout).toBe('');
    expect(warnings).toContain('files.read[0]');
  });
});

describe('races', () => {
  test.each(['open', 'stat', 'rename', 'unlink'])('a path that changes during %s', { timeout }, async (call) => {
    const made = scene();
    const attacked = await attack(
      'race_path',
      ['thread', call, Math.ceil(1_000 / patience), made.inside, made.outside],
      {
        policy: { files: { read: [made.folder], write: [made.folder], deny: [`${made.folder}/[B-Z]/**`] } },
      },
    );
    expectHeld(attacked);
    expectUntouched(made);
  });

  test.each(['open', 'create', 'rename'])(
    'a folder and a link that change places during %s',
    { timeout },
    async (call) => {
      const made = movingScene();
      const policy = { files: { read: [made.folder], write: [made.folder], deny: ['**/B/**'] } };
      expectHeld(
        await attack('race_exchange', ['symlink', call, Math.ceil(1_000 / patience), made.inside], { policy }),
      );
      expectUntouched(made);
    },
  );

  test('a folder that takes the place of a file that gets a name with the pattern below it', { timeout }, async () => {
    const folder = temporaryFolder('pattern-race');
    mkdirSync(join(folder, 'folder/inner'), { recursive: true });
    writeFileSync(join(folder, 'folder/inner/secret'), 'secret\n');
    writeFileSync(join(folder, 'file'), '');
    expectHeld(
      await attack('race_rename', [folder, Math.ceil(1_000 / patience)], {
        policy: { files: { write: [folder], deny: [{ path: '**/ruled/**', access: ['write'] }] } },
      }),
    );
  });
});

describe('layers', () => {
  async function planned(files: Files, more: Partial<Policy> = {}) {
    const child = spawnSandboxed('true', [], { cwd: '/', policy: { files, defaults: { proc: false }, ...more } });
    const closed = once(child as never, 'close');
    const { classes } = await child.plan();
    await closed;
    return classes;
  }

  test('a pattern that may match in what is given keeps it held, and says so', async () => {
    const folder = place();
    const classes = await planned({ read: [folder], write: [folder], deny: ['**/.env'], metadata: ['/'] });
    for (const name of ['read', 'write', 'metadata', 'connect'] as const) {
      expect(classes[name].layer).not.toBe('landlock');
      expect(JSON.stringify(classes[name]), name).toContain("files.deny[0] ('/**/.env')");
    }
    const allowing = await planned({ read: [`${folder}/*.txt`] });
    expect(JSON.stringify(allowing.read)).toContain('files.read[0]');
    expect(JSON.stringify(allowing.read)).toContain('is a pattern');
  });

  test.skipIf(landlock < 3)('one that matches elsewhere leaves it to Landlock (needs its ABI 3)', async () => {
    const folder = place();
    const classes = await planned({ read: [join(folder, 'p/a')], deny: [`${folder}/p/s/**`] });
    expect(classes.read.layer).toBe('landlock');
  });

  test('what is left to Landlock, and what goes on, refuses the same', async () => {
    for (const listens of [true, false]) {
      const folder = place();
      linkSync(join(folder, 'p/a/b'), join(folder, 'p/a/second'));
      const script =
        'cat a/b s/key .env s/deep/key; ln -s s/key k; cat k; cat a/b; mv s a; mv .env a; cat a/.env a/s/key';
      const child = spawnSandboxed('sh', ['-c', script], {
        cwd: join(folder, 'p'),
        stdio: ['ignore', 'pipe', 'ignore'],
        policy: { files: { read: ['.'], write: ['.'], deny: ['./s/**', './.e*'] } },
      });
      if (listens) child.on('violation', () => {});
      let text = '';
      child.stdout.on('data', (chunk) => (text += chunk));
      await once(child as never, 'close');
      expect(text).toBe('b\nb\n');
    }
  });

  test.skipIf(landlock < 6 || sanitizer)(
    'the engine kernel refuses what needs a hold (needs ABI 6 of Landlock; a sanitizer keeps memory)',
    async () => {
      const folder = place();
      const failed = async (files: Files) => {
        const child = spawnSandboxed('true', [], {
          engine: 'kernel',
          cwd: '/',
          policy: { files: { metadata: ['/'], ...files }, defaults: { proc: false } },
        });
        const failures: HoldfastError[] = [];
        child.on('error', (error) => failures.push(error as HoldfastError));
        await new Promise((resolve) => child.on('close', resolve));
        return failures.map(({ code, message }) => `${code} ${message}`).join();
      };
      const deny = (path: string): Files['deny'] => [{ path, access: ['read', 'write', 'exec'] }];
      expect(await failed({ read: [folder], deny: deny('**/.env') })).toMatch(
        /^ERR_HOLDFAST_NEEDS_HOLD .*files\.deny\[0\]/s,
      );
      expect(await failed({ read: [`${folder}/*.txt`] })).toMatch(/^ERR_HOLDFAST_NEEDS_HOLD .*files\.read\[0\]/s);
      expect(await failed({ deny: [{ path: '/usr/bin/*x', access: ['exec'] }] })).toMatch(
        /^ERR_HOLDFAST_NEEDS_HOLD .*exec/s,
      );
      expect(await failed({ read: [join(folder, 'p/a')], deny: [{ path: `${folder}/p/s/*`, access: ['read'] }] })).toBe(
        '',
      );
    },
  );
});

describe('restrict()', () => {
  const reader = `import sys
for line in sys.stdin:
    try: answer = open(line.strip()).read().strip()
    except OSError as error: answer = error.strerror
    print(answer, flush=True)`;

  test('puts patterns on a tree that runs, in every layer, and none that gives more', { timeout }, async () => {
    const folder = place();
    const run = started('/usr/bin/python3', ['-S', '-c', reader], { files: { read: [`${folder}/**`] } });
    const read = (name: string) => {
      run.say(join(folder, 'p', name));
      return run.next();
    };
    expect(await read('.env')).toBe('SECRET');
    await run.child.restrict({ files: { deny: ['**/.env'] } });
    expect(await read('.env')).toBe('Permission denied');
    expect(await read('s/key')).toBe('SECRET');
    await expect(run.child.restrict({ files: { read: ['/etc/*'] } })).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_WIDER_POLICY',
      message: expect.stringContaining('files.read[0]'),
    });
    await run.child.restrict({ files: { read: [`${folder}/p/{a,s}/*`, '/usr', '/etc/ld.so.cache'] } });
    await run.child.restrict({ files: { read: [`${folder}/p/{a,s}/*`, '/usr'] } });
    expect(await read('s/key')).toBe('SECRET');
    await run.child.restrict({ files: { read: [`${folder}/p/a/b`] } });
    expect(await read('s/key')).toBe('Permission denied');
    expect(await read('a/b')).toBe('b');
    run.child.stdin.end();
    await run.closed;
  });

  test('takes back from Landlock what a pattern refuses', { timeout }, async () => {
    const folder = place();
    const run = started('/usr/bin/python3', ['-S', '-c', reader], {
      files: { read: [folder] },
      defaults: { proc: false },
    });
    const read = (name: string) => {
      run.say(join(folder, 'p', name));
      return run.next();
    };
    expect(await read('.env')).toBe('SECRET');
    await run.child.restrict({ files: { deny: ['*.{key,pem}', '.e[n]v'] } });
    expect(await read('.env')).toBe('Permission denied');
    expect(await read('a/b')).toBe('b');
    run.child.stdin.end();
    await run.closed;
  });
});
