// Runs tests on another kernel, in an emulated machine (setup.sh makes it, boot.sh starts it).
//   npm run test:guest [-- --arch amd64|arm64] [--kernel NAME] [vitest's arguments]
// Without arguments: what needs a machine that gives its control groups away.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const here = (name) => join(root, 'test/guest', name);
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts'];

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
const option = (name, otherwise) => {
  const at = given.indexOf(`--${name}`);
  return at < 0 ? otherwise : given.splice(at, 2)[1];
};
const arch = option('arch', 'amd64');
const kernel = option('kernel', 'bookworm');
const files = given.length > 0 ? given : ['test/lifecycle/control-group.test.ts'];

const has = (tool) => spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
const tools = ['cpio', 'mke2fs', 'modinfo', arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'];
if (!tools.every(has)) run(here('setup.sh'), ['--host']);
run(here('setup.sh'), ['--arch', arch, '--kernel', kernel, '--root']);
// What the tests run is compiled here: the guest has no compiler.
run(process.execPath, [...vitest, 'test/helpers', '--passWithNoTests']);

// Emulated, all takes some ten times as long. Of this machine's files the guest sees the tree only.
const report = join(root, 'build/guest.json');
rmSync(report, { force: true });
const environment = { HOLDFAST_TEST_PATIENCE: '10', HOLDFAST_TEST_REPORT: report };
const guest = ['--arch', arch, '--kernel', kernel, '--share', root, '--mem', '3072', '--timeout', '900'];
for (const [name, value] of Object.entries(environment)) guest.push('--env', `${name}=${value}`);
// Nobody else divides the guest's root group.
const prepare = 'echo "+memory +pids +cpu" > /sys/fs/cgroup/cgroup.subtree_control && exec "$@"';
const status = tryTo(here('boot.sh'), [...guest, '--', 'sh', '-c', prepare, 'sh', 'node', ...vitest, ...files]);
if (process.env.HOLDFAST_TEST_REPORT && existsSync(report)) copyFileSync(report, process.env.HOLDFAST_TEST_REPORT);
process.exitCode = status;
