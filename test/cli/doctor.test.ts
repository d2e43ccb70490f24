// `npx holdfast doctor`, as it is installed.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSupport, type Support } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { engine, untraceable } from '../helpers/engine.ts';
import { doctorIn, mayMount, mounting } from '../helpers/places.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { bin, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** `under`: a program that runs it where something is forbidden. */
function holdfast(args: string[], under: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const [file = '', ...line] = [...under, process.execPath, join(root, bin.holdfast), ...args];
  const { status, stdout, stderr } = spawnSync(file, line, { encoding: 'utf8', env: { ...process.env, ...env } });
  return { status, stdout, stderr };
}

const forbidding = (what: string) => [program('life_forbid'), what];

// Landlock keeps signals inside since ABI 6 (Linux 6.12).
const possible = engine !== 'kernel' || (checkSupport().landlockAbi ?? 0) >= 6;

describe('doctor', () => {
  test.runIf(possible)(
    'says who holds calls, what each engine came to, and what this machine is; without colours where nobody sees them',
    () => {
      const { status, stdout, stderr } = holdfast(['doctor'], [], { FORCE_COLOR: undefined });
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`holdfast ${version}, Linux `);
      expect(stdout).toContain(`✓ programs       can be started, by the engine ${engine}\n`);
      for (const name of untraceable ? ['kernel'] : ['notify', 'ptrace']) {
        expect(stdout).toMatch(new RegExp(`^ {2}✓ ${name} +started in [\\d.]+ ms, ended after [\\d.]+ ms$`, 'm'));
      }
      for (const name of [
        'Node',
        'native part',
        'user',
        'ptrace scope',
        'seccomp',
        'container',
        'open files',
        'processes',
      ])
        expect(stdout).toMatch(new RegExp(`^ {2}· ${name} +\\S`, 'm'));
      expect(stdout).not.toContain('\x1b');
    },
  );

  test.runIf(possible)('--json is what checkSupport({ start: true }) has', async () => {
    const { status, stdout } = holdfast(['doctor', '--json']);
    expect(status).toBe(0);
    const told = JSON.parse(stdout) as Support & { version: string };
    const own = await checkSupport({ start: true });
    expect(Object.keys(told).sort()).toEqual(['version', ...Object.keys(own)].sort());
    expect(told).toMatchObject({ version, supported: true, problems: [], engine, kernel: own.kernel });
    expect(told.machine).toMatchObject({ ...own.machine, libc: expect.stringMatching(/^(glibc \d|musl)/) });
    expect(told.engines?.map((trial) => trial.works)).toEqual(own.engines?.map(({ works }) => works));
  });

  test.runIf(possible)(
    'where holdfast lies in a folder whose name is a pattern in policies, each engine starts as elsewhere',
    () => {
      const folder = join(temporaryFolder(), '{a,b}[c]*?');
      mkdirSync(join(folder, 'build/Release'), { recursive: true });
      for (const name of ['package.json', 'build/Release/holdfast.node', 'build/Release/holdfast-supervisor'])
        copyFileSync(join(root, name), join(folder, name));
      cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
      symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
      const works = (from: string) => {
        const { stdout } = spawnSync(process.execPath, [join(from, bin.holdfast), 'doctor', '--json'], {
          encoding: 'utf8',
        });
        return (JSON.parse(stdout) as Support).engines?.map((trial) => trial.works);
      };
      expect(works(folder)).toEqual(works(root));
    },
  );

  test('where nothing can be started it says why, and what to do, and ends with 1', () => {
    const { status, stdout } = holdfast(['doctor'], forbidding('seccomp'));
    expect(status).toBe(1);
    expect(stdout).toContain('✗ programs       cannot be started here\n');
    expect(stdout).toMatch(/ERR_HOLDFAST_SECCOMP: .*a seccomp profile that has/);
    const json = JSON.parse(holdfast(['doctor', '--json'], forbidding('seccomp')).stdout) as Support;
    expect(json).toMatchObject({ supported: false, problems: [{ code: 'ERR_HOLDFAST_SECCOMP' }] });
    expect(json.engines?.filter(({ works }) => works)).toEqual([]);
  });

  test.skipIf(untraceable)('beside another listener it is the engine ptrace, and that is explained', () => {
    const { status, stdout } = holdfast(['doctor', '--json'], forbidding('listener'), { HOLDFAST_ENGINE: 'auto' });
    expect(status).toBe(0);
    const { engine: used, engines, notes, machine } = JSON.parse(stdout) as Support;
    expect(used).toBe('ptrace');
    expect(engines).toContainEqual(
      expect.objectContaining({
        engine: 'notify',
        works: false,
        problem: { code: 'ERR_HOLDFAST_LISTENER', message: expect.stringContaining('is there already') },
      }),
    );
    expect(notes).toContainEqual(expect.stringContaining('a seccomp listener is there already'));
    expect(machine?.underSeccomp).toBe(true);
  });
});

/** A root of its own, with the same folders and no file but what is made. */
const another = (made: string) => `
  mount -t tmpfs none /mnt
  for name in /*; do
    if [ -L "$name" ]; then cp -P "$name" /mnt; elif [ -d "$name" ] && [ "$name" != /mnt ]; then mkdir "/mnt$name"; mount --rbind "$name" "/mnt$name"; fi
  done
  ${made}`;
const alone = [...mounting(another('')), 'chroot', '/mnt'];
const told = (text: string, place: string) => `mount -t tmpfs none /run; mkdir -p /run/systemd; ${text} > ${place}`;

describe('the marks of containers and their like', () => {
  const seen = (...under: string[]) => [...(doctorIn(...under).machine?.containers ?? [])].sort();
  const here = seen();
  const including = (name: string, without: string[] = []) =>
    [...new Set([...here.filter((one) => !without.includes(one)), name])].sort();

  test.each([
    ['kubernetes', 'KUBERNETES_SERVICE_HOST=10.0.0.1'],
    ['lxc', 'container=lxc'],
    ['systemd-nspawn', 'container=systemd-nspawn'],
    ['firejail', 'container=firejail'],
    ['snap', 'SNAP=/snap/core/1'],
    ['github-actions', 'GITHUB_ACTIONS=true'],
  ])('%s, by the environment', (name, variable) => {
    // It can say one thing only.
    const others = variable.startsWith('container=') ? ['lxc', 'systemd-nspawn', 'firejail'] : [];
    expect(seen('env', variable)).toEqual(including(name, others));
  });

  test.runIf(mayMount).each([
    ['docker', [...mounting(another(': > /mnt/.dockerenv')), 'chroot', '/mnt']],
    ['podman', mounting(told(':', '/run/.containerenv'))],
    ['kubernetes', mounting(`${told(':', '/run/x')}; mkdir -p /run/secrets/kubernetes.io`)],
    ['lxc', mounting(told('echo lxc', '/run/systemd/container'))],
    [
      'wsl',
      mounting(
        `${told('echo 6.6.87.2-microsoft-standard-WSL2', '/run/x')}; mount --bind /run/x /proc/sys/kernel/osrelease`,
      ),
    ],
  ])('%s, by a file (only root can mount)', (name, under) => {
    expect(seen(...under)).toEqual(including(name));
    if (name === 'docker') expect(seen(...alone)).not.toContain(name);
  });
});

test('what is no command, and no option, is said on stderr', () => {
  for (const args of [['docter'], ['doctor', '--jsn'], []]) {
    const { status, stdout, stderr } = holdfast(args);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/Usage: holdfast/);
  }
  expect(holdfast(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n` });
});
