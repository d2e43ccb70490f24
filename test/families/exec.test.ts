import { chmodSync, copyFileSync, mkdirSync, realpathSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, checkSupport, deny, type ExecCall, type Policy, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, policyFor } from '../lifecycle/tree.ts';

const exec = program('proc_exec');
const show = program('proc_show');
const result = ({ code, signal, stdout, stderr }: Outcome) => ({ code, signal, stdout, stderr });
const isRoot = process.getuid?.() === 0;

/** A folder with a copy of a program, scripts for it, and links. */
function scene(): string {
  const folder = temporaryFolder('exec');
  copyFileSync(show, join(folder, 'show'));
  chmodSync(join(folder, 'show'), 0o755);
  mkdirSync(join(folder, 'a b'));
  const script = (name: string, text: string, mode = 0o755) => writeFileSync(join(folder, name), text, { mode });
  script('script', `#!${folder}/show one argument with blanks \necho never\n`);
  script('spaces', `#!  \t${folder}/show\n`);
  script('chain1', `#!${folder}/script\n`);
  script('chain2', `#!${folder}/chain1\n`);
  for (let i = 0; i < 8; i++) script(`deep${i}`, `#!${folder}/${i === 0 ? 'show' : `deep${i - 1}`}\n`);
  script('long', `#!${folder}/show ${'x'.repeat(400)}\n`);
  script('nul', `#!${folder}/show\0 hidden\n`);
  script('blanks', `#!${folder}/show trailing \t `);
  script('cut', `#!${folder}/show ${'y '.repeat(130)}\n`);
  script('cut-name', `#!${folder}/${'n'.repeat(300)}\n`);
  script('no-newline', `#!${folder}/show`);
  script('missing', '#!/nosuch/interpreter\n');
  script('relative', '#!show relative\n');
  script('nothing', '#!\n');
  script('empty', '');
  script('no-line', 'echo by the shell: "$1"\n');
  script('garbage', '\x7fELF and then nothing');
  script('no-mode', `#!${folder}/show\n`, 0o644);
  script('crlf', '#!/bin/sh\r\necho x\n');
  script('a b/with blank', `#!${folder}/show\n`);
  symlinkSync('script', join(folder, 'link'));
  symlinkSync('loop', join(folder, 'loop'));
  symlinkSync('show', join(folder, 'other-name'));
  return folder;
}

async function same(folder: string, command: string, args: string[], options: object = {}): Promise<Outcome> {
  const both = { cwd: folder, env: { PATH: `${folder}:/usr/bin:/bin`, SHOWN: 'yes', SHLVL: '1' }, ...options };
  const bare = await runBare(command, args, both);
  const held = await runSandboxed(command, args, { ...both, policy: policyFor(folder) });
  expect(result(held), JSON.stringify(held.violations)).toEqual(result(bare));
  // With a hook, the argument list is compared at the exec stop, too.
  const hooked = await runSandboxed(command, args, {
    ...both,
    policy: policyFor(folder),
    hooks: (child) => child.onExec(() => undefined),
  });
  expect(result(hooked), JSON.stringify(hooked.violations)).toEqual(result(bare));
  return bare;
}

describe('every way to execute', () => {
  test.each(['plain', 'thread', 'many-threads', 'vfork', 'spawn', 'shared', 'fd', 'path-fd', 'at'])(
    '%s',
    async (how) => {
      const folder = scene();
      const { stdout, code } = await same(folder, exec, [how, join(folder, 'show'), 'one', 'two words', '']);
      expect(stdout).toMatch(/^leader yes\n0 \[.*show\]\n1 \[one\]\n2 \[two words\]\n3 \[\]\nSHOWN=yes\n$/);
      expect(code).toBe(33);
      await same(folder, exec, [how, join(folder, 'script'), 'argument']);
      // Of many threads that fail, each says so as often as it can before the first ends them all.
      if (how !== 'many-threads') await same(folder, exec, [how, join(folder, 'nosuch')]);
    },
  );

  test('a copy in memory only if a hook allows it, because no rule can name it', async () => {
    const folder = scene();
    const args = ['memfd', join(folder, 'show'), 'x'];
    const bare = await runBare(exec, args);
    expect(bare.code).toBe(33);
    const refused = await runSandboxed(exec, args, { policy: policyFor(folder) });
    expect(refused).toMatchObject({ code: 1, stdout: 'memfd EACCES\n' });
    expect(refused.violations).toContainEqual(
      expect.objectContaining({
        syscall: expect.stringMatching(/^execve(at)?$/),
        path: '/memfd:copy (deleted)',
        errno: 'EACCES',
        reason: expect.stringContaining('only a rule on / or a hook'),
      }),
    );
    expect(refused.violations[0]).not.toHaveProperty('suggestion');
    const everything = { ...policyFor(folder), exec: ['/'] };
    expect(result(await runSandboxed(exec, args, { policy: everything }))).toEqual(result(bare));
    const allowed = await runSandboxed(exec, args, {
      policy: policyFor(folder),
      hooks: (child) => child.onExec((call) => (call.path.startsWith('/memfd:') ? allow() : undefined)),
    });
    expect(result(allowed)).toEqual(result(bare));
  });

  test('/proc/self/exe', async () => {
    expect((await same(scene(), exec, ['self', 'again'])).code).toBe(42);
  });

  test('arguments that no kernel takes give its own errors', async () => {
    const { stdout } = await same(scene(), exec, ['bad', show]);
    expect(stdout).toContain('argv EFAULT');
    expect(stdout).toContain('long ENAMETOOLONG');
  });

  test('a hundred from threads, forks and vforks at once', { timeout: patient(60_000) }, async () => {
    const folder = scene();
    const script = `for i in $(seq 25); do for how in thread many-threads vfork spawn; do ${exec} $how ./show $i > /dev/null & done; wait; done; echo done`;
    const outcome = await runSandboxed('bash', ['-c', script], {
      cwd: folder,
      env: { PATH: '/usr/bin:/bin', SHLVL: '1' },
      policy: policyFor(folder),
    });
    expect(outcome).toMatchObject({ code: 0, stdout: 'done\n', stderr: '', violations: [] });
  });
});

describe('scripts', () => {
  test.each(['script', 'spaces', 'chain1', 'chain2', 'deep3', 'deep4', 'deep5', 'deep6', 'deep7', 'long', 'missing'])(
    '%s',
    async (name) => {
      const folder = scene();
      await same(folder, exec, ['plain', join(folder, name), 'an argument', '']);
      await same(folder, exec, ['plain', `./${name}`]);
    },
  );

  test.each([
    'nul',
    'blanks',
    'cut',
    'cut-name',
    'no-newline',
    'relative',
    'nothing',
    'empty',
    'no-line',
    'garbage',
    'no-mode',
    'crlf',
    'a b/with blank',
    'link',
    'loop',
    'other-name',
    'a b',
    'show/x',
  ])('%s', async (name) => {
    const folder = scene();
    await same(folder, exec, ['plain', `./${name}`, 'argument']);
    await same(folder, 'sh', ['-c', '"./$0" argument; echo $?', name]);
  });

  test('as the command itself, with and without an interpreter line', async () => {
    const folder = scene();
    expect((await same(folder, 'script', ['x'])).stdout).toContain('1 [one argument with blanks]');
    expect((await same(folder, join(folder, 'chain2'), ['x'])).code).toBe(33);
    expect((await same(folder, './no-line', ['x'])).stdout).toBe('by the shell: x\n');
    await same(folder, 'show', [], { argv0: 'another name' });
    await same(folder, 'show one "two three"', [], { shell: true });
    await same(folder, 'echo $0', [], { shell: '/bin/bash' });
  });
});

describe('a command that cannot be started gives the error of child_process', () => {
  const failing = (folder: string): [string, string, object?][] => [
    ['a name that is nowhere', 'nosuch'],
    ['a path that is not there', join(folder, 'nosuch')],
    ['a folder', join(folder, 'a b')],
    ['a file without its mode', join(folder, 'no-mode')],
    ['below a file', join(folder, 'show/x')],
    ['a link to itself', join(folder, 'loop')],
    ['a script without its interpreter', join(folder, 'missing')],
    ['a path that is too long', `/${'a'.repeat(5000)}`],
    ['a working directory that is not there', 'true', { cwd: '/nosuch' }],
  ];

  test.each(failing('.').map(([title], i) => [title, i] as const))('%s', async (_, i) => {
    const folder = scene();
    const [, command, options = {}] = failing(folder)[i] ?? ['', ''];
    const errors: object[] = [];
    for (const run of [runBare, runSandboxed] as const) {
      const failing = async () => run(command, ['x'], { cwd: folder, ...options } as object);
      const failure = await failing().then(
        () => undefined,
        (error: NodeJS.ErrnoException & { spawnargs: string[] }) => error,
      );
      const { message, code, errno, syscall, path, spawnargs } = failure ?? {};
      errors.push({ message, code, errno, syscall, path, spawnargs });
    }
    expect(errors[0]).toMatchObject({ code: expect.stringMatching(/^E/) });
    // What Node throws at once, because it is so rare, is an event here: with the same code.
    const { code, syscall } = errors[0] as NodeJS.ErrnoException;
    expect(errors[1]).toEqual(syscall === 'spawn' ? expect.objectContaining({ code }) : errors[0]);
  });
});

describe('what may be executed', () => {
  test('only what the policy allows, by its canonical name, in every way', async () => {
    const folder = scene();
    copyFileSync(show, join(folder, 'forbidden'));
    symlinkSync('forbidden', join(folder, 'hidden'));
    writeFileSync(join(folder, 'by-script'), `#!${folder}/forbidden\n`, { mode: 0o755 });
    const policy = {
      ...policyFor(folder),
      files: { ...policyFor(folder).files, deny: [{ path: join(folder, 'forbidden'), access: ['exec' as const] }] },
    };
    for (const how of ['plain', 'vfork', 'spawn', 'shared', 'thread', 'fd', 'path-fd', 'at']) {
      for (const name of ['forbidden', 'hidden', 'by-script']) {
        if (how === 'fd' && name === 'by-script') continue; // its interpreter would find the descriptor closed
        const args = [how, join(folder, name)];
        expect((await runBare(exec, args)).stdout).toContain('leader yes');
        const held = await runSandboxed(exec, args, { policy, cwd: folder });
        expect(held.stdout, `${how} ${name}`).not.toContain('leader');
        expect(held.violations, `${how} ${name}`).toContainEqual(
          expect.objectContaining({
            syscall: expect.stringMatching(/^execve(at)?$/),
            path: join(folder, 'forbidden'),
            errno: 'EACCES',
            rule: 'files.deny[0]',
            executable: exec,
          }),
        );
      }
    }
  });

  test('of what is denied nothing is told, not even what kind of file it is', async () => {
    const folder = scene();
    const closed = join(folder, 'closed');
    mkdirSync(closed);
    const contents = ['#!/nonexistent\n', 'xx', '\x7fELF\x01\x01\x01', '#!\n', '#!/bin/sh secret\n'];
    const names = contents.map((text, i) => {
      writeFileSync(join(closed, `${i}`), text, { mode: 0o755 });
      return join(closed, `${i}`);
    });
    const asked: unknown[] = [];
    for (const rules of [{ deny: [closed] }, {}]) {
      const files = { ...policyFor().files, read: ['/usr', '/lib', '/lib64', '/bin', '/etc', show, exec], ...rules };
      for (const hooks of [
        undefined,
        (child: SandboxedProcess) => child.onExec((call) => void asked.push(call.path)),
      ]) {
        if (hooks !== undefined && rules.deny === undefined) continue; // a hook may allow, so it is told
        const held = await runSandboxed('sh', ['-c', `for name in ${names.join(' ')}; do $name; echo $?; done`], {
          policy: { files },
          ...(hooks === undefined ? {} : { hooks }),
        });
        expect(held.stdout).toBe('126\n'.repeat(contents.length));
        expect(held.violations.filter(({ syscall }) => syscall === 'execve').map(({ path }) => path)).toEqual(names);
      }
    }
    expect(asked.filter((path) => path !== '/usr/bin/dash' && path !== '/bin/dash')).toEqual([]);
  });

  test('not from a folder that somebody outside has replaced, and that is said', async () => {
    const bin = join(temporaryFolder('replaced'), 'bin');
    const tool = join(bin, 'tool');
    const make = () => {
      mkdirSync(bin);
      copyFileSync('/usr/bin/true', tool);
    };
    make();
    const child = spawnSandboxed('sh', ['-c', `${tool}; echo $?; read line; ${tool}; echo $?`], {
      policy: { files: { read: [bin] }, exec: ['/usr', bin] },
    });
    const violations: unknown[] = [];
    child.on('violation', ({ syscall, path }) => violations.push([syscall, path]));
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      if (stdout === '') {
        renameSync(bin, `${bin}.old`);
        make();
        child.stdin.end('\n');
      }
      stdout += chunk;
    });
    await event(child, 'close');
    // Landlock knows the folder that was there at the start.
    const { landlockAbi = 0 } = checkSupport();
    expect(stdout).toBe(landlockAbi > 0 ? '0\n126\n' : '0\n0\n');
    expect(violations).toEqual(landlockAbi > 0 ? [['execve', tool]] : []);
  });

  test('with a list of programs, nothing else: not even what may be read', async () => {
    const folder = scene();
    const policy = { ...policyFor(folder), exec: [exec, join(folder, 'show'), '/usr/lib', '/lib64'] };
    const allowed = await runSandboxed(exec, ['plain', join(folder, 'show')], { policy });
    expect(allowed).toMatchObject({ code: 33, violations: [] });
    const refused = await runSandboxed(exec, ['plain', '/bin/true'], { policy });
    expect(refused).toMatchObject({ code: 1, stdout: 'execv EACCES\n' });
    expect(refused.violations).toContainEqual(expect.objectContaining({ syscall: 'execve', path: '/usr/bin/true' }));
    const inMemory = await runSandboxed(exec, ['memfd', join(folder, 'show')], { policy });
    expect(inMemory.stdout).not.toContain('leader');
    expect(inMemory.violations).toContainEqual(expect.objectContaining({ syscall: expect.stringMatching(/^execve/) }));
  });

  test('an interpreter that is not allowed stops its scripts', async () => {
    const folder = scene();
    const policy = { ...policyFor(folder), files: { ...policyFor(folder).files, deny: [join(folder, 'show')] } };
    const held = await runSandboxed(exec, ['plain', join(folder, 'chain2')], { policy });
    expect(held).toMatchObject({ code: 1, stdout: 'execv EACCES\n' });
    expect(held.violations).toContainEqual(
      expect.objectContaining({ path: join(folder, 'show'), rule: 'files.deny[0]' }),
    );
  });

  test('a program that may be executed but not read is refused, and said so; for root there is no such program', async () => {
    const folder = scene();
    chmodSync(join(folder, 'show'), 0o111);
    const held = await runSandboxed(exec, ['plain', join(folder, 'show')], { policy: policyFor(folder) });
    if (isRoot) {
      expect(held).toMatchObject({ code: 33, violations: [] });
      return;
    }
    expect(held).toMatchObject({ code: 1, stdout: 'execv EACCES\n' });
    expect(held.violations).toContainEqual(expect.objectContaining({ syscall: 'execve', path: join(folder, 'show') }));
  });

  test('the command itself, if the policy does not name it', async () => {
    const folder = scene();
    const outcome = await runSandboxed(join(folder, 'show'), [], { policy: { files: {} }, cwd: '/' });
    expect(outcome.code).toBe(33);
  });
});

describe('a hook on exec', () => {
  test('is told what is executed: program, arguments, interpreter', async () => {
    const folder = scene();
    const calls: ExecCall[] = [];
    await runSandboxed('sh', ['-c', './show a; ./chain1 "b c"; exec ./link'], {
      cwd: folder,
      policy: policyFor(folder),
      hooks: (child) =>
        child.onExec((call) => {
          calls.push(call);
        }),
    });
    expect(
      calls.map(({ path, argv, argc, interpreter, syscall }) => ({ path, argv, argc, interpreter, syscall })),
    ).toEqual([
      {
        path: expect.stringMatching(/\/(da)?sh$/),
        argv: ['sh', '-c', './show a; ./chain1 "b c"; exec ./link'],
        argc: 3,
        interpreter: undefined,
        syscall: 'execve',
      },
      { path: join(folder, 'show'), argv: ['./show', 'a'], argc: 2, interpreter: undefined, syscall: 'execve' },
      // What a `#!` line leads to is executed too, with the arguments that the kernel gives it.
      expect.objectContaining({ path: join(folder, 'script'), argv: [join(folder, 'script'), './chain1', 'b c'] }),
      expect.objectContaining({ path: join(folder, 'show'), argc: 5 }),
      {
        path: join(folder, 'chain1'),
        argv: ['./chain1', 'b c'],
        argc: 2,
        interpreter: join(folder, 'show'),
        syscall: 'execve',
      },
      expect.objectContaining({ path: join(folder, 'show'), argc: 3 }),
      { path: join(folder, 'script'), argv: ['./link'], argc: 1, interpreter: join(folder, 'show'), syscall: 'execve' },
    ]);
    expect(calls[1]?.executable).toMatch(/\/(da)?sh$/);
  });

  test('denies with its errno, and may allow what no rule does', async () => {
    const folder = scene();
    const denied = await runSandboxed(exec, ['plain', join(folder, 'show')], {
      policy: policyFor(folder),
      hooks: (child) => child.onExec({ path: '**/show' }, () => deny('ETXTBSY')),
    });
    expect(denied).toMatchObject({ code: 1, stdout: 'execv ETXTBSY\n' });
    expect(denied.violations).toContainEqual(
      expect.objectContaining({ syscall: 'execve', path: join(folder, 'show'), errno: 'ETXTBSY' }),
    );
  });

  test('may deny the command itself: an error, and no process', async () => {
    const child = spawnSandboxed('true', { policy: policyFor() });
    child.onExec(() => deny());
    const closed = event(child, 'close').catch(() => []);
    const [error] = (await event(child, 'error')) as [Error & { code?: string }];
    expect(error.code).toMatch(/EACCES|ERR_HOLDFAST_POLICY/);
    await closed;
  });

  test('sees long argument lists, cut at what fits into a message', async () => {
    const folder = scene();
    let seen: ExecCall | undefined;
    const outcome = await runSandboxed('bash', ['-c', './show $(seq 30000) | tail -2'], {
      cwd: folder,
      policy: policyFor(folder),
      hooks: (child) =>
        child.onExec({ path: '**/show' }, (call) => {
          seen = call;
        }),
    });
    expect(outcome.stdout).toBe('30000 [30000]\nSHOWN=\n');
    expect(seen?.argc).toBe(30001);
    expect(seen?.argv.slice(0, 4)).toEqual(['./show', '1', '2', '3']);
    expect(seen?.argv.length).toBeGreaterThan(1000);
    const tooLong = await same(folder, 'bash', [
      '-c',
      './show $(seq 400000) > /dev/null; echo $?; ./show "$(head -c 140000 /dev/zero | tr "\\0" x)"; echo $?',
    ]);
    expect(tooLong.stdout).toContain('126');
  });
});

// docs/security.md, "What it does not promise": a program can be loaded by another instead of being executed.
describe('the dynamic loader as the program', () => {
  const loader = process.arch === 'x64' ? '/lib64/ld-linux-x86-64.so.2' : '/lib/ld-linux-aarch64.so.1';
  const python = realpathSync('/usr/bin/python3');
  const line = [python, '-c', 'print("ran")'];

  test('is what an exec hook hears of; what it loads, a hook on open does', async () => {
    const heard: string[] = [];
    const outcome = await runSandboxed('sh', ['-c', `exec ${loader} "$@"`, 'sh', ...line], {
      policy: policyFor('/'),
      hooks: (child) => {
        child.onExec((call) => void heard.push(`exec ${call.path} ${call.argv.includes(python)}`));
        child.onExec({ path: python }, () => deny());
        child.onOpen({ path: python }, (call) => void heard.push(`open ${call.path}`));
      },
    });
    expect(outcome.stdout).toBe('ran\n');
    expect(heard).toContain(`exec ${realpathSync(loader)} true`);
    expect(heard).toContain(`open ${python}`);
  });

  test.each([
    ['a hook on open', {}, (child: SandboxedProcess) => child.onOpen({ path: python }, () => deny())],
    ['a deny rule', { files: { deny: [python] } }, undefined],
    ['an exec list', { exec: ['/bin/sh', python] }, undefined],
  ] as const)('does not load what %s refuses', async (_, policy, hooks) => {
    const outcome = await runSandboxed('sh', ['-c', `${loader} "$@"; echo $?`, 'sh', ...line], {
      policy: policy as Policy,
      ...(hooks === undefined ? {} : { hooks }),
    });
    expect(outcome.stdout).not.toContain('ran');
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ path: expect.stringMatching(/python|ld-/), errno: 'EACCES' }),
    );
  });
});
