// For runs whose programs may do what the supervisor was to refuse: as root they would change the machine's own devices.
import { spawnSync } from 'node:child_process';

const devices = [
  ['null', 3],
  ['zero', 5],
  ['full', 7],
  ['random', 8],
  ['urandom', 9],
].map(([name, minor]) => `mknod -m 666 /dev/${name} c 1 ${minor}`);

const script = [
  'set -e',
  'mount -t tmpfs -o mode=755 devices /dev',
  ...devices,
  'mknod -m 666 /dev/tty c 5 0',
  'mkdir /dev/pts /dev/shm; chmod 1777 /dev/shm',
  'mount -t devpts -o newinstance,ptmxmode=0666 terminals /dev/pts; ln -s pts/ptmx /dev/ptmx',
  'ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr',
  'set +e',
  // Not exec: its parent is how the program knows that it is inside.
  'HOLDFAST_OWN_DEVICES=$$ "$@"; exit $?',
].join('\n');

const namespace = ['--mount', '--propagation', 'private'];

/**
 * Runs this same program again in a mount namespace of its own, where /dev has copies of the machine's devices, and ends
 * as that ends. Comes back only there.
 */
export function takeOwnDevices() {
  if (process.env.HOLDFAST_OWN_DEVICES === process.ppid.toString()) return;
  const possible = spawnSync('unshare', [...namespace, 'true'], { encoding: 'utf8' });
  if (possible.status !== 0) {
    const why = possible.error?.message ?? possible.stderr.trim();
    console.error(`This runs only in a mount namespace with a /dev of its own, which only root can make: ${why}`);
    process.exit(2);
  }
  const line = [...namespace, 'sh', '-c', script, 'sh', process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', line, { stdio: 'inherit' });
  process.exit(status ?? 1);
}
