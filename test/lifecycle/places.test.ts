// Where users are: odd environments in which it starts, and those in which it cannot, each with one code that says what is missing, the
// same from checkSupport. docs/platforms.md has a line for each.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSupport } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { asUser, fails, isRoot, library, mounting, type Place, startIn, works } from '../helpers/places.ts';
import { runBare } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { testWith, tool } from '../helpers/tools.ts';
import { until } from './tree.ts';

const timeout = patient(60_000);
/** A cgroup of this machine's that limits processes: of version 2, or 1. */
const pids = ['/sys/fs/cgroup', '/sys/fs/cgroup/pids'].find((folder) => {
  const probe = join(folder, `holdfast-probe-${process.pid}`);
  try {
    mkdirSync(probe);
  } catch {
    return false;
  }
  const found = existsSync(join(probe, 'pids.max'));
  rmdirSync(probe);
  return found;
});
const dist = fileURLToPath(new URL('.', library));
const root = dirname(dirname(fileURLToPath(library)));

/** What is tested may itself lie there. */
const withoutTmp = root.startsWith('/tmp/')
  ? `mount --bind ${root} /mnt; mount -t tmpfs none /tmp -o mode=755; mkdir -p ${root}; mount --bind /mnt ${root}; mount -o remount,ro /tmp`
  : 'mount -t tmpfs none /tmp -o ro,size=4k';

/** A limit of Node's own, lowered once it has started: Node itself needs more. */
const limited = (...limits: string[]) =>
  `require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), ${limits.map((limit) => `'${limit}'`)}]);`;
/** The environment lies in the stack. */
const bareEnv = { PATH: process.env.PATH };
const refusing = (...calls: string[]) => [program('refuse_calls'), ...calls, '--'];

describe('it starts', () => {
  test.each<[string, Place]>([
    ['with 64 descriptors', { under: ['prlimit', '--nofile=64'] }],
    ['with a stack of 16 KiB, if the limit may be raised', { before: limited('--stack=16384:'), env: bareEnv }],
    // A sanitizer alone takes some TiB.
    ...(sanitizer ? [] : [['with 1 GiB of addresses', { before: limited('--as=1073741824') }] as [string, Place]]),
    // ThreadSanitizer writes its program's constants into a file before main().
    ...(sanitizer === 'thread'
      ? []
      : [['where no file may grow, if the limit may be raised', { before: limited('--fsize=0:') }] as [string, Place]]),
    ['where nothing makes a namespace (systemd’s SystemCallFilter=~unshare)', { under: refusing('namespaces') }],
    [
      'where process_vm_readv and process_vm_writev are refused',
      { under: refusing('process_vm_readv', 'process_vm_writev') },
    ],
    ['where openat2 is refused', { under: refusing('openat2') }],
    [
      'without a folder for temporary files',
      { env: { ...process.env, TMPDIR: '/nowhere', TMP: '/nowhere', TEMP: '/nowhere' } },
    ],
    ['with niceness and no terminal', { under: ['setsid', '-w', 'nice'] }],
  ])('%s', { timeout }, async (_, place) => {
    expect(await startIn(place)).toEqual(works);
  });

  test('beside a seccomp listener that is there already', { timeout }, async () => {
    const env = { ...process.env, HOLDFAST_ENGINE: 'auto' };
    expect(await startIn({ under: refusing('listener'), env })).toEqual(works);
  });

  test('with a stack of 16 KiB that may not grow', { timeout }, async () => {
    expect(await startIn({ before: limited('--stack=16384'), env: bareEnv })).toEqual(works);
  });

  test('in a folder that is gone', { timeout }, async () => {
    const folder = temporaryFolder();
    const before = `process.chdir(${JSON.stringify(folder)}); require('node:fs').rmdirSync(${JSON.stringify(folder)});`;
    expect(await startIn({ before })).toEqual(works);
    expect(() => rmdirSync(folder)).toThrow('ENOENT');
  });

  // Mounts are root's to make; what is tried in them as an ordinary user is what such a user finds there.
  test.runIf(isRoot).each<[string, string]>([
    ['without /dev/shm', 'mount -t tmpfs none /dev/shm -o ro,size=4k'],
    ['without /dev/null', 'mount -t tmpfs none /dev -o mode=755'],
    ['without /tmp', `${withoutTmp}; unset TMPDIR`],
    ['with a root that is read-only', 'mount --bind / /mnt; mount -o remount,ro,bind /'],
    ['where /proc hides other users’ processes (hidepid=2)', 'mount -t proc -o hidepid=2 proc /proc'],
    ['in a folder on tmpfs', 'mount -t tmpfs none /mnt; chmod 755 /mnt; mkdir /mnt/own; cd /mnt/own'],
    [
      'in a folder on overlayfs',
      'mount -t tmpfs none /mnt; chmod 755 /mnt; cd /mnt; mkdir a b c d; mount -t overlay none -o lowerdir=a,upperdir=b,workdir=c d; cd d',
    ],
  ])('%s, as root and as an ordinary user', { timeout }, async (_, mounts) => {
    const under = mounting(mounts);
    expect(await startIn({ under })).toEqual(works);
    expect(await startIn({ under: [...under, ...asUser] })).toEqual(works);
  });

  test.runIf(isRoot)(
    'as process 1, and in a pid namespace without a session of its own (only root can make one)',
    { timeout },
    async () => {
      const under = ['unshare', '--pid', '--fork', '--mount-proc'];
      expect(await startIn({ under })).toEqual(works);
      expect(await startIn({ under: [...under, 'sh', '-c', '"$@"; exit 0', 'sh'] })).toEqual(works);
    },
  );

  test.runIf(isRoot)(
    'with few processes, or says so, whatever the limit is (a user of its own needs root)',
    { timeout: patient(240_000) },
    async () => {
      // Nobody else has this user's id, so its processes are those of this start.
      const user = ['setpriv', '--reuid', '61234', '--regid', '61234', '--clear-groups'];
      const seen: string[] = [];
      for (let more = 0; more <= 24; more += 2) {
        // What a start has left for a moment would count in the next one.
        await until(() => spawnSync('pgrep', ['-U', '61234']).status === 1, 'the start before is gone');
        // Threads count too.
        const before =
          `const own = require('node:fs').readdirSync('/proc/self/task').length; ${limited('--nproc=LIMIT')}`.replace(
            "'--nproc=LIMIT'",
            `'--nproc=' + (own + ${more})`,
          );
        seen.push((await startIn({ under: user, before })).start);
      }
      expect(seen.filter((start) => !/^(EAGAIN|ERR_HOLDFAST_LIMIT|exit )/.test(start))).toEqual([]);
      expect(seen).toContain('ERR_HOLDFAST_LIMIT');
      expect(seen.at(-1)).toBe(works.start);
    },
  );

  test.runIf(isRoot && pids !== undefined)(
    'with a small pids.max, or says so, whatever it is (needs root and a cgroup with it)',
    { timeout: patient(240_000) },
    async () => {
      const group = join(pids ?? '', `holdfast-test-${process.pid}`);
      mkdirSync(group);
      try {
        const under = ['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, 'sh'];
        const seen: string[] = [];
        // Node has ten threads or so.
        for (let most = 12; most <= 40; most += 2) {
          writeFileSync(join(group, 'pids.max'), String(most));
          seen.push((await startIn({ under })).start);
        }
        expect(seen.filter((start) => !/^(EAGAIN|ERR_HOLDFAST_LIMIT|exit |nothing )/.test(start))).toEqual([]);
        expect(seen).toContain('ERR_HOLDFAST_LIMIT');
        expect(seen.at(-1)).toBe(works.start);
      } finally {
        rmdirSync(group);
      }
    },
  );
});

describe('it says what is missing', () => {
  test.each<[string, string, string[]]>([
    ['memfd_create', 'ERR_HOLDFAST_LAUNCH', ['memfd_create']],
    ['socketpair', 'ERR_HOLDFAST_LAUNCH', ['socketpair']],
    ['faccessat2', 'ERR_HOLDFAST_SECCOMP', ['faccessat2']],
  ])('%s', { timeout }, async (_, code, calls) => {
    const seen = await startIn({ under: refusing(...calls) });
    expect(seen).toMatchObject(fails(code));
    expect(seen.message).toMatch(/\/bin\/sh was not started: .*(docker|container|sandbox)/i);
  });

  test('calls for which a filter kills who makes them (systemd’s SystemCallFilter)', { timeout }, async () => {
    for (const calls of [['ptrace'], ['seccomp', 'ptrace', 'landlock_restrict_self', 'pidfd_getfd']]) {
      const seen = await startIn({ under: refusing('kill', ...calls) });
      expect(seen).toMatchObject(fails('ERR_HOLDFAST_SECCOMP'));
      expect(seen.message).toContain(`kills whoever calls ${calls.join(', ')}`);
    }
  });

  test('ptrace: what needs a hold says so, and a program that needs none can be started', { timeout }, async () => {
    // Where none is asked for: that one would be tried alone.
    const seen = await startIn({ under: refusing('ptrace'), env: { ...process.env, HOLDFAST_ENGINE: 'auto' } });
    const scopes = (checkSupport().landlockAbi ?? 0) >= 6;
    expect(seen).toMatchObject({ start: 'ERR_HOLDFAST_PTRACE', check: scopes ? 'supported' : 'ERR_HOLDFAST_PTRACE' });
    expect(seen.message).toMatch(
      /\/bin\/sh was not started: ptrace is not allowed here.*The engine 'kernel' needs no ptrace/,
    );
  });

  test.runIf(isRoot)('capset (an ordinary user has nothing to give up)', { timeout }, async () => {
    expect(await startIn({ under: refusing('capset') })).toMatchObject(fails('ERR_HOLDFAST_CAPABILITIES'));
  });

  test('a limit of file sizes that cannot be raised', { timeout }, async () => {
    const seen = await startIn({ under: ['prlimit', '--fsize=0', ...(isRoot ? asUser : [])] });
    expect(seen).toMatchObject(fails('ERR_HOLDFAST_LIMIT'));
    expect(seen.message).toContain('RLIMIT_FSIZE');
  });

  test('another sandbox around it', { timeout }, async () => {
    const inside = `
      const rest = process.argv.slice(1), { spawnSandboxed } = await import(${JSON.stringify(library)});
      const policy = { files: { read: [${JSON.stringify(root)}, '/usr', '/etc', '/opt', '/proc', process.execPath] }, exec: undefined };
      spawnSandboxed(rest[0], rest.slice(1), { policy, stdio: 'inherit' });`;
    const under = [process.execPath, '--input-type=module', '-e', inside.replace(', exec: undefined', '')];
    // Of what is asked for here, and of what the engine kernel can have.
    const scopes = (checkSupport().landlockAbi ?? 0) >= 6;
    const env = { ...process.env, HOLDFAST_ENGINE: 'auto' };
    expect(await startIn({ under, env })).toMatchObject({
      start: 'ERR_HOLDFAST_PTRACE',
      check: scopes ? 'supported' : 'ERR_HOLDFAST_PTRACE',
    });
  });

  // Only root can mount, and make a namespace.
  test.runIf(isRoot).each<[string, string, readonly string[]]>([
    ['/proc', 'ERR_HOLDFAST_PROC', mounting('umount -l /proc')],
    ['the /proc of this pid namespace', 'ERR_HOLDFAST_PROC', ['unshare', '--pid', '--fork']],
  ])('%s', { timeout }, async (_, code, under) => {
    const seen = await startIn({ under });
    expect(seen).toMatchObject(fails(code));
    expect(seen.message).toContain('mount -t proc proc /proc');
  });

  test.runIf(isRoot)('a mount that executes nothing (only root can mount)', { timeout }, async () => {
    const folder = temporaryFolder('noexec');
    const place = join(folder, 'module');
    mkdirSync(place);
    const copy = `mount -t tmpfs -o noexec,mode=755 none ${place}; cp -r ${dist} ${root}/package.json ${place}; mkdir -p ${place}/build/Release; cp ${root}/build/Release/holdfast* ${place}/build/Release; ln -s ${root}/node_modules ${place}/node_modules`;
    const seen = await startIn({ under: mounting(copy), library: new URL(`file://${place}/dist/index.js`).href });
    expect(seen).toMatchObject(fails('ERR_HOLDFAST_NATIVE_MISSING'));
    expect(seen.message).toContain('noexec');
  });

  test.runIf(isRoot)('gVisor, by what its /proc/version says (only root can mount over it)', { timeout }, async () => {
    const file = join(temporaryFolder('version'), 'version');
    for (const text of [
      'Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n',
      'Linux version 4.19.0-gvisor #1 SMP\n',
    ]) {
      writeFileSync(file, text);
      const { check } = await startIn({ under: mounting(`mount --bind ${file} /proc/version`) });
      expect(check).toBe('ERR_HOLDFAST_UNSUPPORTED_KERNEL');
    }
  });

  testWith('bun')('Bun', { timeout }, async () => {
    expect(await startIn({ node: tool('bun') ?? 'bun' })).toMatchObject(fails('ERR_HOLDFAST_UNSUPPORTED_PLATFORM'));
  });

  testWith('deno')('Deno', { timeout }, async () => {
    const folder = temporaryFolder('deno');
    cpSync(dist, join(folder, 'dist'), { recursive: true });
    for (const name of ['package.json', 'node_modules', 'build', 'prebuilds'])
      symlinkSync(join(root, name), join(folder, name));
    const place: Place = {
      cwd: folder,
      node: tool('deno') ?? 'deno',
      library: new URL(`file://${folder}/dist/index.js`).href,
    };
    expect(await startIn(place)).toMatchObject(fails('ERR_HOLDFAST_UNSUPPORTED_PLATFORM'));
  });
});

test.skipIf(sanitizer === 'thread')(
  'what the tree is given is the limit as it was (TSan writes a file of its own)',
  { timeout },
  async () => {
    const text = `import(${JSON.stringify(library)}).then(({ spawnSandboxed }) => {
    ${limited('--fsize=0:')}
    spawnSandboxed('/bin/sh', ['-c', 'ulimit -f; ulimit -s'], { stdio: 'inherit' }); });`;
    const { stdout } = await runBare('prlimit', ['--stack=262144:', process.execPath, '-e', text]);
    expect(stdout).toBe('0\n256\n');
  },
);
