// What this machine is and offers, read and not tried.
import { existsSync, readFileSync } from 'node:fs';
import { findGroupPlace } from '../limits/control-group.ts';
import { nativeFolder } from '../native/native.ts';
import { isGvisor } from '../native/problems.ts';
import { glibcVersion } from '../native/runtime.ts';

/** A soft and a hard limit (getrlimit(2)); `null`: none. */
export interface ResourceLimit {
  readonly soft: number | null;
  readonly hard: number | null;
}

/** Facts for who wants to know why something works here as it does. */
export interface Machine {
  /** As `process.arch`. */
  readonly architecture: string;
  readonly node: string;
  /** `glibc` with its version, or `musl`; on another system than Linux its name, as `process.platform`. */
  readonly libc: string;
  /** kernel.yama.ptrace_scope; undefined without Yama. */
  readonly ptraceScope?: number;
  /** A seccomp program lies above this process: a container's, or a sandbox's. */
  readonly underSeccomp: boolean;
  /** PID of who traces this process. */
  readonly tracer?: number;
  /** PR_SET_NO_NEW_PRIVS is set already. */
  readonly noNewPrivs: boolean;
  /** It runs as user 0; and its effective capabilities, in hexadecimal (capabilities(7)). */
  readonly root: boolean;
  readonly capabilities: string;
  /** What speaks for a container, an emulation or a sandbox: `docker`, `podman`, `kubernetes`, `wsl`, `gvisor`, `github-actions`, … */
  readonly containers: readonly string[];
  /** Of descriptors (RLIMIT_NOFILE), of the user's processes and threads (RLIMIT_NPROC), of memory (RLIMIT_AS). */
  readonly limits: {
    readonly openFiles: ResourceLimit;
    readonly processes: ResourceLimit;
    readonly addressSpace: ResourceLimit;
  };
  /** Where control groups can be made for `limits`, or why nowhere. */
  readonly controlGroup: { readonly parent: string } | { readonly problem: string };
  /** The folder of the native part; undefined where there is none for this machine. */
  readonly binaries?: string;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Who made it, as its first process was told; systemd writes that down for those who inherit nothing (a session over ssh). */
const manager = () => process.env.container ?? read('/run/systemd/container').trim();

/** Each mark that a container or its like leaves, and whether it is there. */
const marks: Readonly<Record<string, () => boolean>> = {
  docker: () => existsSync('/.dockerenv'),
  podman: () => existsSync('/run/.containerenv'),
  kubernetes: () => process.env.KUBERNETES_SERVICE_HOST !== undefined || existsSync('/run/secrets/kubernetes.io'),
  lxc: () => manager() === 'lxc',
  'systemd-nspawn': () => manager() === 'systemd-nspawn',
  flatpak: () => existsSync('/.flatpak-info'),
  snap: () => process.env.SNAP !== undefined,
  firejail: () => manager() === 'firejail',
  wsl: () => /microsoft/i.test(read('/proc/sys/kernel/osrelease')),
  gvisor: isGvisor,
  'github-actions': () => process.env.GITHUB_ACTIONS === 'true',
};

const amount = (text: string | undefined): number | null =>
  text === undefined || text === 'unlimited' ? null : Number(text);

function limitOf(all: string, name: string): ResourceLimit {
  const [, soft, hard] = new RegExp(`^${name} +(\\S+) +(\\S+)`, 'm').exec(all) ?? [];
  return { soft: amount(soft), hard: amount(hard) };
}

function libc(): string {
  if (process.platform !== 'linux') return process.platform;
  const version = glibcVersion();
  return version === undefined ? 'musl' : `glibc ${version}`;
}

function binaries(): string | undefined {
  try {
    return nativeFolder();
  } catch {
    return undefined;
  }
}

function scope(): number | undefined {
  const text = read('/proc/sys/kernel/yama/ptrace_scope');
  return text === '' ? undefined : Number(text);
}

export function describeMachine(): Machine {
  const status = read('/proc/self/status');
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  const limits = read('/proc/self/limits');
  const tracer = Number(field('TracerPid'));
  const ptraceScope = scope();
  const folder = binaries();
  const group = folder === undefined ? { problem: 'the native part is missing' } : findGroupPlace({ memory: 1 });
  return {
    architecture: process.arch,
    node: process.versions.node,
    libc: libc(),
    ...(ptraceScope === undefined ? {} : { ptraceScope }),
    underSeccomp: field('Seccomp') !== '0' && field('Seccomp') !== '',
    ...(tracer > 0 ? { tracer } : {}),
    noNewPrivs: field('NoNewPrivs') === '1',
    root: process.getuid?.() === 0,
    capabilities: field('CapEff'),
    containers: Object.keys(marks).filter((name) => marks[name]?.()),
    limits: {
      openFiles: limitOf(limits, 'Max open files'),
      processes: limitOf(limits, 'Max processes'),
      addressSpace: limitOf(limits, 'Max address space'),
    },
    controlGroup: 'parent' in group ? { parent: group.parent } : { problem: group.problem },
    ...(folder === undefined ? {} : { binaries: folder }),
  };
}
