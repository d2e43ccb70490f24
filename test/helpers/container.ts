// A container as Docker makes one when it is asked for nothing: its seccomp profile as published, its capabilities, masked and
// read-only paths, and namespaces of its own; or as Kubernetes makes one that its `restricted` standard lets in. What is in it is this machine, read through overlays, so that all that it writes is gone with it.
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import { type Outcome, runBare } from './run.ts';
import { temporaryFolder } from './temp.ts';
import { tool } from './tools.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** What makes a container. */
export interface ContainerRules {
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly readOnlyRoot: boolean;
}

/** Docker's own list: oci/caps/defaults.go in moby/moby. */
const dockerCapabilities = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
].map((name) => `CAP_${name}`);

export const dockerRules: ContainerRules = {
  capabilities: dockerCapabilities,
  noNewPrivileges: false,
  readOnlyRoot: false,
};

/**
 * The pod security standard `restricted` (kubernetes.io, "Pod Security Standards"): all capabilities dropped,
 * allowPrivilegeEscalation false, RuntimeDefault's seccomp profile, not root; and a root that is read-only besides.
 */
export const kubernetesRestricted: ContainerRules = { capabilities: [], noNewPrivileges: true, readOnlyRoot: true };

/** oci/defaults.go in moby/moby. */
const maskedPaths = [
  ...['/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
  ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'],
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const architectures: Readonly<Record<string, readonly [string, string]>> = {
  x64: ['amd64', 'SCMP_ARCH_X86_64'],
  arm64: ['arm64', 'SCMP_ARCH_AARCH64'],
};

interface Conditions {
  arches?: string[];
  caps?: string[];
  minKernel?: string;
}
interface Rule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: object[] | null;
  includes?: Conditions;
  excludes?: Conditions;
}
interface Profile {
  defaultAction: string;
  defaultErrnoRet: number;
  archMap: { architecture: string; subArchitectures: string[] | null }[];
  syscalls: Rule[];
}

/** The profile as Docker's daemon would hand it to the runtime: for this architecture and these capabilities. */
function seccomp({ capabilities }: ContainerRules): object {
  const profile = JSON.parse(readFileSync(join(root, 'test/containers/docker-default.json'), 'utf8')) as Profile;
  const [arch, architecture] = architectures[process.arch] ?? ['', ''];
  // minKernel is 4.8 wherever it stands: holdfast needs 5.10.
  const applies = ({ includes, excludes }: Rule) =>
    (includes?.arches?.includes(arch) ?? true) &&
    (includes?.caps ?? []).every((name) => capabilities.includes(name)) &&
    !excludes?.arches?.includes(arch) &&
    !(excludes?.caps ?? []).some((name) => capabilities.includes(name));
  const below = profile.archMap.find((entry) => entry.architecture === architecture)?.subArchitectures ?? [];
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: [architecture, ...below],
    syscalls: profile.syscalls.filter(applies).map(({ names, action, errnoRet, args }) => ({
      ...{ names, action },
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...(args == null || args.length === 0 ? {} : { args }),
    })),
  };
}

const mount = (destination: string, type: string, ...options: string[]) => ({
  destination,
  type,
  source: type,
  options,
});

function bundle(
  rules: ContainerRules,
  folder: string,
  uid: number,
  env: readonly string[],
  args: readonly string[],
): object {
  const { capabilities, noNewPrivileges, readOnlyRoot } = rules;
  const own = uid === 0 ? capabilities : [];
  return {
    ociVersion: '1.0.0',
    process: {
      user: { uid, gid: uid },
      args,
      env,
      cwd: root,
      capabilities: { bounding: capabilities, effective: own, permitted: own, inheritable: [] },
      noNewPrivileges,
    },
    root: { path: join(folder, 'root'), readonly: readOnlyRoot },
    hostname: 'container',
    mounts: [
      mount('/proc', 'proc', 'nosuid', 'noexec', 'nodev'),
      mount('/dev', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
      mount('/dev/pts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'),
      mount('/dev/shm', 'tmpfs', 'nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'),
      mount('/dev/mqueue', 'mqueue', 'nosuid', 'noexec', 'nodev'),
      mount('/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', 'ro'),
      mount('/tmp', 'tmpfs', 'mode=1777'),
      { destination: root, type: 'bind', source: join(folder, 'project'), options: ['rbind'] },
    ],
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })),
      maskedPaths,
      readonlyPaths,
      seccomp: seccomp(rules),
    },
  };
}

// In a mount namespace of its own. crun refuses to look at cgroups that are half of version 1, as some machines have them.
const script = `set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$1/upper" "$1/upper"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper/root,workdir=$1/upper/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper/project,workdir=$1/upper/work2" "$1/project"
cd "$1"
case "$4" in crun) set -- "$@" --cgroup-manager=disabled;; esac
folder=$1 name=$3 runtime=$4; shift 4
exec "$runtime" --root "$folder/state" "$@" run "$name"`;

/** crun, or what HOLDFAST_TEST_RUNTIME names: runc. */
const runtime = process.env.HOLDFAST_TEST_RUNTIME || 'crun';

let made = 0;

/** Runs a program in such a container as a user, in the project's folder, and as its process 1. */
export function runInContainer(
  uid: number,
  args: readonly string[],
  rules: ContainerRules = dockerRules,
): Promise<Outcome> {
  const folder = temporaryFolder('container');
  for (const name of ['root', 'project', 'upper/root', 'upper/work', 'upper/project', 'upper/work2'])
    mkdirSync(join(folder, name), { recursive: true });
  // Where vitest writes.
  const writable = join(folder, 'upper/project/node_modules/.vite-temp');
  mkdirSync(writable, { recursive: true });
  chownSync(writable, uid, uid);
  const env = [
    `PATH=${process.env.PATH}`,
    'HOME=/tmp',
    'LANG=C.UTF-8',
    ...(process.env.CI ? ['CI=true'] : []),
    ...(process.env.HOLDFAST_ENGINE ? [`HOLDFAST_ENGINE=${process.env.HOLDFAST_ENGINE}`] : []),
  ];
  writeFileSync(join(folder, 'config.json'), JSON.stringify(bundle(rules, folder, uid, env, args)));
  const name = `holdfast-test-${process.pid}-${made++}`;
  return runBare('unshare', ['-m', 'sh', '-c', script, 'sh', folder, root, name, runtime]);
}

const possible = process.getuid?.() === 0 && (process.env.CI || tool(runtime) !== undefined);
/** `test`, for root only, who alone can make the namespaces; skipped without the runtime, but where CI runs. */
export const testInContainer = (possible ? test : test.skip) as typeof test;
