// Runs tests on another kernel, or another architecture, in an emulated machine (setup.sh makes it, boot.sh starts it).
//   npm run test:guest [-- --arch x64|arm64] [--kernel NAME] [--user] [vitest's arguments]
// Without arguments: what needs a machine that gives its control groups away. --user: as an ordinary user.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
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
const asUser = has('--user');
const files = given.length > 0 ? given : ['test/lifecycle/control-group.test.ts'];

const isThere = (tool) => spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
const tools = ['cpio', 'mke2fs', 'modinfo', debian === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'];
if (!tools.every(isThere)) run(here('setup.sh'), ['--host']);
run(here('setup.sh'), ['--arch', debian, '--kernel', kernel, '--root']);

// What the tests run is compiled here: the guest has no compiler.
const tree = arch === process.arch ? root : await foreignTree(root, arch);
if (tree === root) await compilePrograms(join(root, 'build/test-programs'));

// Emulated, all takes some ten times as long. Of this machine's files the guest sees the tree only.
const report = join(tree, 'build/guest.json');
rmSync(report, { force: true });
const environment = {
  HOLDFAST_TEST_PATIENCE: '10',
  HOLDFAST_TEST_REPORT: report,
  PYTHONDONTWRITEBYTECODE: '1', // no maintainer script has compiled its modules
  ...(process.env.HOLDFAST_ENGINE ? { HOLDFAST_ENGINE: process.env.HOLDFAST_ENGINE } : {}),
};
const guest = ['--arch', debian, '--kernel', kernel, '--share', tree, '--mem', '3072', '--timeout', '3600'];
for (const [name, value] of Object.entries(environment)) guest.push('--env', `${name}=${value}`);
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts'];
const become = asUser ? 'setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all ' : '';
// Nobody else divides the guest's root group; and no maintainer script has told the loader where libraries are.
const prepare = `ldconfig; echo "+memory +pids +cpu" > /sys/fs/cgroup/cgroup.subtree_control; cd "$0" && exec ${become}"$@"`;
const status = tryTo(here('boot.sh'), [...guest, '--', 'sh', '-c', prepare, tree, 'node', ...vitest, ...files]);
if (process.env.HOLDFAST_TEST_REPORT && existsSync(report)) copyFileSync(report, process.env.HOLDFAST_TEST_REPORT);
process.exitCode = status;
