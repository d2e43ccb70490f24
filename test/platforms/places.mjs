// Where a selection of the suite can be run: a new rule is a new entry of `places`.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const engines = ['notify', 'ptrace', 'kernel'];
export const architectures = ['x64', 'arm64'];
/** What test/guest/setup.sh calls them: 5.10, 6.1, 6.12, and the newest that Debian has. */
export const kernels = ['bullseye', 'bookworm', 'bookworm-backports', 'trixie-backports'];

const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts'];
const run = (command, args, env, cwd = root) => {
  const { error } = spawnSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' });
  if (error) throw error;
};

/** A copy that an ordinary user owns: it cannot enter every folder that a tree lies in. */
function asUser(files, env) {
  const copy = `/tmp/holdfast-platforms-${process.pid}`;
  const tar = `mkdir "$1" && tar -c --exclude=./.cache --exclude=./.git . | tar -x -C "$1" && chown -R 65534:65534 "$1"`;
  try {
    run('sh', ['-ec', tar, 'sh', copy], {});
    const become = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
    const own = { ...env, HOME: copy, TMPDIR: '/tmp', HOLDFAST_TEST_REPORT: join(copy, 'report.json') };
    run('setpriv', [...become, process.execPath, ...vitest, ...files], own, copy);
    const report = join(copy, 'report.json');
    return existsSync(report) ? readFileSync(report, 'utf8') : undefined;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function guest(files, env, { arch, kernel, selection }, more) {
  const root = selection === 'whole' ? ['--tools'] : [];
  run(process.execPath, ['test/guest/run.mjs', '--arch', arch, '--kernel', kernel, ...root, ...more, ...files], env);
}

function guestRelease({ arch, kernel }) {
  const name = `${{ x64: 'amd64', arm64: 'arm64' }[arch]}-${kernel}`;
  const file = join(root, '.cache/guest/kernel', name, 'package');
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .trim()
        .replace(/^linux-(image|binary)-/, '')
    : kernel;
}

const inContainers = (runtime, env) =>
  run(process.execPath, [...vitest, 'test/boundary/container-rules.test.ts'], {
    ...env,
    HOLDFAST_TEST_RUNTIME: runtime,
  });

const here = { on: 'host', release: () => release() };
const emulated = { on: 'guest', release: guestRelease };

/** Everything, Node and the tests themselves, below something that confines. */
const below = (name, holding, ...under) => ({
  ...here,
  name,
  engines: holding,
  run: (files, env) =>
    run(under[0], [...under.slice(1), process.execPath, ...vitest, ...files], {
      ...env,
      ...(holding.includes('kernel') && { HOLDFAST_TEST_UNTRACEABLE: '1' }),
    }),
});
const mounting = (text) => ['unshare', '-m', 'sh', '-ec', `${text}; exec "$@"`, 'sh'];
const refusing = (...calls) => [join(root, 'build/test-programs/refuse_calls'), ...calls, '--'];
const bwrap = `--ro-bind / / --bind ${root} ${root} --bind /tmp /tmp --dev /dev --proc /proc --unshare-all --die-with-parent`;

/** `run` writes vitest's report where HOLDFAST_TEST_REPORT says, or returns its text. */
export const places = [
  { ...here, name: 'root', run: (files, env) => run(process.execPath, [...vitest, ...files], env) },
  { ...here, name: 'user', run: asUser },
  {
    ...here,
    name: 'containers by crun: docker (root, user), kubernetes restricted',
    selection: 'its own',
    engines: ['notify', 'ptrace'],
    run: (_, env) => inContainers('crun', env),
  },
  {
    ...here,
    name: 'containers by runc: docker (root, user), kubernetes restricted',
    selection: 'its own',
    engines: ['notify', 'ptrace'],
    run: (_, env) => inContainers('runc', env),
  },
  below('root, beside a listener', ['ptrace'], ...refusing('listener')),
  below('root, no namespaces can be made', ['notify', 'ptrace'], ...refusing('namespaces')),
  below('root, ptrace is refused', ['kernel'], join(root, 'build/test-programs/life_forbid'), 'ptrace'),
  below('root, under strace', ['kernel'], 'strace', '-f', '-o', '/dev/null'),
  below('root, in bubblewrap', ['notify', 'ptrace'], 'bwrap', ...bwrap.split(' ')),
  below('root, in firejail', ['kernel'], 'firejail', '--quiet', '--ignore=private-tmp'),
  below(
    'root, whose root is read-only',
    ['notify', 'ptrace'],
    ...mounting(`mount --bind '${root}' '${root}'; mount --bind /tmp /tmp; mount -o remount,ro,bind /`),
  ),
  below('root, hidepid=2', ['notify', 'ptrace'], ...mounting('mount -t proc -o hidepid=2 proc /proc')),
  { ...emulated, name: 'guest, root', run: (files, env, cell) => guest(files, env, cell, []) },
  {
    ...emulated,
    name: "guest, user, as GitHub's runners: Yama 1, no user namespaces",
    engines: ['notify', 'ptrace'],
    run: (files, env, cell) => guest(files, env, cell, ['--user', '--like', 'github']),
  },
  {
    ...emulated,
    name: 'guest, user, as WSL2: a listener is there already, no Landlock',
    engines: ['ptrace'],
    run: (files, env, cell) => guest(files, env, cell, ['--user', '--like', 'wsl']),
  },
  { ...emulated, name: 'guest, user', run: (files, env, cell) => guest(files, env, cell, ['--user']) },
];
