import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicy, deny, type Policy, type Restriction, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { attack, expectHeld } from '../boundary/race.ts';
import { program } from '../helpers/build-programs.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** A folder with programs: `show` prints its arguments, `gyp` is a shell under another name, `script` runs `show`. */
function scene(): string {
  const folder = temporaryFolder('exec-policy');
  mkdirSync(join(folder, 'bin'));
  copyFileSync(program('proc_show'), join(folder, 'bin/show'));
  copyFileSync('/bin/dash', join(folder, 'bin/gyp'));
  for (const name of ['show', 'gyp']) chmodSync(join(folder, 'bin', name), 0o755);
  writeFileSync(join(folder, 'bin/script'), `#!${folder}/bin/show fixed\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'bin/gyp-script'), '#!/bin/sh\neval "$1"\n', { mode: 0o755 });
  return folder;
}

/** Runs each line by a shell of its own sandbox and says which of them ran. */
async function runs(folder: string, policy: Policy, lines: string[], shell = '/bin/sh') {
  const script = lines.map((line) => `${line} >/dev/null 2>&1; echo $?`).join('\n');
  const { stdout, violations } = await runSandboxed(shell, ['-c', script], { policy, cwd: folder });
  const codes = stdout.trim().split('\n').map(Number);
  // A shell looks around at its start, which is not what these are about.
  const about = violations.filter(({ path }) => path?.startsWith(folder));
  return { ran: codes.map((code) => code === 33), violations: about };
}

describe('arguments', () => {
  test('an allow entry gives the arguments that it names, and no others', async () => {
    const folder = scene();
    const { ran, violations } = await runs(
      folder,
      { files: { read: [folder] }, exec: ['/bin/sh', { path: join(folder, 'bin/show'), argv: ['status', 'a*'] }] },
      [
        'bin/show status a',
        'bin/show status a/b*c',
        'bin/show status',
        'bin/show status a more',
        'bin/show push a',
        'bin/show "" status a',
      ],
    );
    expect(ran).toEqual([true, true, false, false, false, false]);
    expect(violations).toHaveLength(4);
    expect(violations[0]).toMatchObject({
      path: join(folder, 'bin/show'),
      errno: 'EACCES',
      access: 'exec',
      reason: 'exec allows this program with other arguments, or to other callers',
    });
  });

  test.each<[string[], string[]]>([
    [[], ['']],
    [['**'], ['', 'a', 'a b c']],
    [['x*'], ['x', 'x/y', '"x y"']],
    [
      ['-C', '*', 'log', '**'],
      ['-C /x log', '-C /x log --all -3'],
    ],
    [
      ['**', '--dry-run'],
      ['--dry-run', 'push --dry-run --dry-run'],
    ],
    [['--file=?.c'], ['--file=e.c']],
    [['a\\*', '[x]'], ["'a*' '[x]'"]],
  ])('%j', async (argv, given) => {
    const folder = scene();
    const policy: Policy = { files: { read: [folder] }, exec: ['/bin/sh', { path: join(folder, 'bin/show'), argv }] };
    const others = argv[0] === '**' && argv.length === 1 ? [] : ['zzz yyy', 'push', 'ab x'];
    const { ran } = await runs(
      folder,
      policy,
      [...given, ...others].map((one) => `bin/show ${one}`),
    );
    expect(ran).toEqual([...given.map(() => true), ...others.map(() => false)]);
  });

  test('a deny entry refuses those that it names, also to a hook that would allow them', async () => {
    const folder = scene();
    const policy: Policy = {
      files: { read: [folder] },
      exec: { deny: [{ path: join(folder, 'bin/*'), argv: ['**', 'push', '**'] }] },
    };
    const lines = ['bin/show status', 'bin/show push', 'bin/show -C x push --force', 'bin/show pushed'];
    const { ran, violations } = await runs(folder, policy, lines);
    expect(ran).toEqual([true, false, false, true]);
    expect(violations.map(({ rule }) => rule)).toEqual(['exec.deny[0]', 'exec.deny[0]']);
  });

  test('a script is judged with its own arguments, its interpreter with those that the kernel gives it', async () => {
    const folder = scene();
    const [show, script] = [join(folder, 'bin/show'), join(folder, 'bin/script')];
    const both = (argv: string[]): Policy => ({
      files: { read: [folder] },
      exec: ['/bin/sh', { path: script, argv: ['one'] }, { path: show, argv }],
    });
    const lines = [`${script} one`, `${script} two`, `${show} fixed ${script} one`, `${show} one`];
    expect((await runs(folder, both(['fixed', script, 'one']), lines)).ran).toEqual([true, false, true, false]);
    expect((await runs(folder, both(['one']), lines)).ran).toEqual([false, false, false, true]);
  });

  test.each(['thread', 'vm', 'shared'])(
    'that change by %s during execve run only as they were judged',
    async (mode) => {
      const folder = temporaryFolder('exec-race');
      mkdirSync(join(folder, 'A'));
      copyFileSync(program('race_exec'), join(folder, 'A/program'));
      const attacked = await attack('race_exec', [mode, 'argument', 100, join(folder, 'A'), join(folder, 'B')], {
        policy: { files: { read: [folder] }, exec: [{ path: join(folder, 'A/program'), argv: ['good'] }] },
      });
      expectHeld(attacked);
      expect(attacked.race.refusals).toBeGreaterThan(0);
    },
  );
});

describe('a denial and other names', () => {
  test('what exec.deny names gets no name that it does not, by rename, link or its folder', async () => {
    const folder = scene();
    const policy: Policy = {
      files: { read: [folder], write: [folder] },
      exec: { deny: [{ path: join(folder, 'bin/show'), argv: ['push'] }] },
    };
    const lines = ['mv bin/show bin/other', 'ln bin/show bin/other', 'mv bin bin2', 'bin/show push', 'bin/show pull'];
    const { ran, violations } = await runs(folder, policy, lines);
    expect(ran).toEqual([false, false, false, false, true]);
    expect(violations.length).toBeGreaterThanOrEqual(4);
  });
});

describe('descent', () => {
  const lines = [
    'bin/show',
    // By fork and exec, by exec alone, with a shell between.
    "bin/gyp -c 'bin/show; exit $?'",
    "bin/gyp -c 'exec bin/show'",
    'bin/gyp -c \'exec /bin/sh -c "bin/show; exit \\$?"\'',
  ];

  test('an entry with `under` refuses or allows those only who descend from such a program', async () => {
    const folder = scene();
    const show = join(folder, 'bin/show');
    const denied = await runs(
      folder,
      { files: { read: [folder] }, exec: { deny: [{ path: show, under: '**/gyp' }] } },
      [...lines, 'bin/show'],
    );
    expect(denied.ran).toEqual([true, false, false, false, true]);
    expect(denied.violations.every(({ rule }) => rule === 'exec.deny[0]')).toBe(true);
    const allowed = await runs(
      folder,
      {
        files: { read: [folder] },
        exec: ['/bin/sh', join(folder, 'bin/gyp'), { path: show, under: join(folder, 'bin/gyp') }],
      },
      [...lines, 'bin/show'],
    );
    expect(allowed.ran).toEqual([false, true, true, true, false]);
  });

  test('an orphan keeps what it was born with', async () => {
    const folder = scene();
    const policy: Policy = {
      files: { read: [folder], write: [folder] },
      exec: { deny: [{ path: join(folder, 'bin/show'), under: '**/gyp' }] },
    };
    // The orphan waits until its maker has ended: a pipe's end says so.
    const orphan = `bin/gyp -c '(read line; bin/show; echo $? >code) <fifo >/dev/null 2>&1 &'; echo >fifo; while [ ! -s code ]; do :; done; exit $(cat code)`;
    const { ran } = await runs(folder, policy, ['mkfifo fifo', `(${orphan})`, 'bin/show']);
    expect(ran).toEqual([false, false, true]);
  });

  test('a script counts against its callers, and gives them nothing', async () => {
    const folder = scene();
    const show = join(folder, 'bin/show');
    const line = ["bin/gyp-script 'bin/show; exit $?'"];
    const deny = { files: { read: [folder] }, exec: { deny: [{ path: show, under: '**/gyp-script' }] } };
    expect((await runs(folder, deny, line)).ran).toEqual([false]);
    const give = {
      files: { read: [folder] },
      exec: ['/bin/sh', join(folder, 'bin/gyp-script'), { path: show, under: '**/gyp-script' }],
    };
    expect((await runs(folder, give, line)).ran).toEqual([false]);
  });

  test('files are denied to some, by every call and by what lies around them', async () => {
    const folder = scene();
    mkdirSync(join(folder, 'secret'));
    writeFileSync(join(folder, 'secret/key'), 'k');
    const policy: Policy = {
      files: {
        read: [folder],
        write: [folder],
        metadata: ['/'],
        deny: [{ path: join(folder, 'secret'), under: ['**/gyp', '**/none'] }],
      },
    };
    const calls = [
      'cat secret/key',
      'ls secret',
      'stat secret/key',
      'mv secret s2',
      'ln secret/key k2',
      'rm secret/key',
    ];
    const under = calls.map((call) => `bin/gyp -c '${call} && exit 33'`);
    const { ran, violations } = await runs(folder, policy, [
      ...under,
      '(cat secret/key && exit 33)',
      '(mv secret s2 && exit 33)',
    ]);
    expect(ran).toEqual([false, false, false, false, false, false, true, true]);
    expect(violations.map(({ rule }) => rule)).toContain('files.deny[0]');
  });

  test('nothing of it is left to Landlock', async () => {
    const folder = scene();
    const policy = (extra: object): Policy => ({
      files: { read: [folder], write: [folder], metadata: ['/'], ...extra },
      defaults: { proc: false },
    });
    const layers = async (given: Policy) => {
      const child = spawnSandboxed('/bin/true', [], { policy: given, cwd: folder });
      const plan = await child.plan();
      const { read, write, metadata } = plan.classes;
      return [read, write, metadata];
    };
    for (const { layer, obstacles } of await layers(policy({ deny: [{ path: folder, under: '**/gyp' }] }))) {
      expect(layer).toBe('supervisor');
      expect(JSON.stringify(obstacles)).toContain('some callers');
    }
    expect(JSON.stringify(await layers(policy({})))).not.toContain('some callers');
  });

  test("a hook's filter hears only of those", async () => {
    const folder = scene();
    const heard: string[] = [];
    const { stdout } = await runSandboxed('/bin/sh', ['-c', "bin/show >/dev/null; bin/gyp -c 'bin/show; echo $?'"], {
      policy: { files: { read: [folder] } },
      cwd: folder,
      hooks: (child) =>
        child
          .onExec({ path: '**/show', under: '**/gyp' }, (call) => {
            heard.push(call.executable);
            return deny('EPERM');
          })
          .onStat({ under: ['**/nothing-of-this-name'] }, () => deny()),
    });
    expect(heard).toEqual([join(folder, 'bin/gyp')]);
    expect(stdout).toBe('126\n');
  });
});

describe('what makes no sense is refused before anything starts', () => {
  test.each<[object, RegExp]>([
    [{ exec: { alow: [] } }, /policy\.exec\.alow: .*allow, deny, written, writableMappings/],
    [{ exec: [{ path: '/bin/git', args: [] }] }, /policy\.exec\[0\]\.args: .*path, argv, under/],
    [{ exec: [{ argv: [] }] }, /policy\.exec\[0\]\.path/],
    [{ exec: [{ path: 'git' }] }, /policy\.exec\[0\]\.path: 'git' is a bare name: .*\*\*\/git/],
    [{ exec: { deny: [{ path: '/bin/git', argv: 'push' }] } }, /policy\.exec\.deny\[0\]\.argv: 'push'/],
    [{ exec: [{ path: '/bin/git', argv: ['--x=**'] }] }, /policy\.exec\[0\]\.argv\[0\]: .*whole arguments/],
    [{ exec: [{ path: '/bin/git', argv: ['a\0b'] }] }, /argv\[0\]: .*NUL/],
    [{ exec: [{ path: '/bin/git', argv: ['x\\'] }] }, /argv\[0\]: .*quotes nothing/],
    [{ exec: [{ path: '/bin/{a,b' }] }, /policy\.exec\[0\]\.path: .*without its/],
    [{ exec: [{ path: '/bin/git', under: [] }] }, /policy\.exec\[0\]\.under/],
    [{ exec: [{ path: '/bin/git', under: ['**/a', '~b/c'] }] }, /policy\.exec\[0\]\.under\[1\]: .*only shells expand/],
    [{ exec: { written: 'no' } }, /policy\.exec\.written: 'no'/],
    [{ files: { deny: [{ path: '/x', under: 3 }] } }, /policy\.files\.deny\[0\]\.under: 3/],
  ])('%j', (policy, message) => {
    expect(() => spawnSandboxed('/bin/true', [], { policy: policy as Policy })).toThrow(message);
  });

  test('more than 128 different `under`', () => {
    const exec = Array.from({ length: 129 }, (_, i) => ({ path: '/bin/git', under: `**/p${i}` }));
    expect(() => spawnSandboxed('/bin/true', [], { policy: { exec } })).toThrow(
      /policy\.exec\[128\]\.under: .*128 different ones/,
    );
  });

  test('in a restriction, which knows of nothing before it', async () => {
    const child = spawnSandboxed('/bin/cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
    const refused: [object, RegExp][] = [
      [{ exec: [{ path: '/bin/cat', under: '/bin/cat' }] }, /policy\.exec\[0\]\.under: .*from the start/],
      [{ files: { deny: [{ path: '/bin', under: '/bin/cat' }] } }, /policy\.files\.deny\[0\]\.under: .*from the start/],
      [{ exec: { written: false } }, /policy\.exec\.written: .*from the start/],
    ];
    for (const [restriction, message] of refused) {
      await expect(child.restrict(restriction as Restriction)).rejects.toThrow(message);
      const whole = compilePolicy(restriction as Policy);
      await expect(child.restrict(whole)).rejects.toThrow(message);
    }
    child.stdin?.end();
    await once(child as never, 'close');
  });
});
