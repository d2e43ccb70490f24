// Runs tests on another kernel, or another architecture, in an emulated machine (setup.sh makes it, boot.sh starts it).
//   npm run test:guest [-- --arch x64|arm64] [--kernel NAME] [--tools] [--user] [--like HOST] [vitest's arguments]
// Without arguments: what needs a machine that gives its control groups and its settings away. --user: as an ordinary user.
// --tools: in a larger root, with a compiler and other programs that the whole suite runs.
// --like: set up as machines are that users have (`hosts`).
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compilePrograms } from '../helpers/compile.mjs';
import { foreignTree } from './tree.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const here = (name) => join(root, 'test/guest', name);

function tryTo(command, args) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (signal) console.error(`${command}: killed by ${signal}`);
  return status ?? 1;
}

function run(command, args) {
  const status = tryTo(command, args);
  if (status !== 0) process.exit(status);
}

const given = process.argv.slice(2);
const has = (name) => given.includes(name) && given.splice(given.indexOf(name), 1).length > 0;
const option = (name, otherwise) => {
  const at = given.indexOf(name);
  return at < 0 ? otherwise : given.splice(at, 2)[1];
};
const arch = option('--arch', process.arch);
/** What Debian calls it. */
const debian = { x64: 'amd64', arm64: 'arm64' }[arch];
if (debian === undefined) throw new Error(`--arch ${arch}: known are x64, arm64`);
const kernel = option('--kernel', 'bookworm');
const like = option('--like', 'debian');
const hosts = {
  debian: {},
  // A user who may become root, no terminal; Ubuntu's Yama, and its refusal of user namespaces.
  github: {
    settings: 'echo 1 > /proc/sys/kernel/yama/ptrace_scope; echo 0 > /proc/sys/user/max_user_namespaces;',
    groups: '--groups 4,27',
  },
  // Mirrored networking has a listener over every process, and older ones of these kernels have no Landlock.
  wsl: { cmdline: 'lsm=', under: 'build/test-programs/refuse_calls listener -- ' },
};
const host = hosts[like];
if (host === undefined) throw new Error(`--like ${like}: known are ${Object.keys(hosts)}`);
const asUser = has('--user');
const tools = has('--tools') ? ['--tools'] : [];
const files = given.length > 0 ? given : ['test/lifecycle/control-group.test.ts', 'test/lifecycle/hosts.test.ts'];

const isThere = (tool) => spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
const onHost = ['cpio', 'mke2fs', 'modinfo', debian === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'];
if (!onHost.every(isThere)) run(here('setup.sh'), ['--host']);
run(here('setup.sh'), ['--arch', debian, '--kernel', kernel, '--root', ...tools]);

// What the tests run is compiled here: the guest has no compiler.
const tree = arch === process.arch ? root : await foreignTree(root, arch);
if (tree === root) await compilePrograms(join(root, 'build/test-programs'));

// Emulated, all takes some ten times as long. Of this machine's files the guest sees the tree only.
const report = join(tree, 'build/guest.json');
rmSync(report, { force: true });
if (asUser) {
  // Whose tree it is not: what vitest writes there.
  const temporary = join(tree, 'node_modules/.vite-temp');
  mkdirSync(temporary, { recursive: true });
  chmodSync(temporary, 0o777);
  writeFileSync(report, '');
  chmodSync(report, 0o666);
}
const environment = {
  CI: '', // what the guest's root lacks is skipped
  HOLDFAST_TEST_PATIENCE: '10',
  HOLDFAST_TEST_OWN_MACHINE: '1',
  HOLDFAST_TEST_REPORT: report,
  PYTHONDONTWRITEBYTECODE: '1', // no maintainer script has compiled its modules
  ...(process.env.HOLDFAST_ENGINE ? { HOLDFAST_ENGINE: process.env.HOLDFAST_ENGINE } : {}),
};
const guest = ['--arch', debian, '--kernel', kernel, '--share', tree, '--mem', '3072', '--timeout', '3600', ...tools];
if (host.cmdline !== undefined) guest.push('--cmdline', host.cmdline);
for (const [name, value] of Object.entries(environment)) guest.push('--env', `${name}=${value}`);
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts'];
const become = asUser
  ? `/usr/bin/setpriv --reuid 1000 --regid 1000 ${host.groups ?? '--clear-groups'} --inh-caps=-all --bounding-set=-all `
  : '';
// Nobody else divides the guest's root group; and no maintainer script has told the loader where libraries are.
const prepare = `ldconfig; echo "+memory +pids +cpu" > /sys/fs/cgroup/cgroup.subtree_control; ${host.settings ?? ''} cd "$0" && exec ${become}${host.under ?? ''}"$@"`;
const status = tryTo(here('boot.sh'), [...guest, '--', 'sh', '-c', prepare, tree, 'node', ...vitest, ...files]);
if (process.env.HOLDFAST_TEST_REPORT && existsSync(report) && statSync(report).size > 0)
  copyFileSync(report, process.env.HOLDFAST_TEST_REPORT);
process.exitCode = status;
