import { accessSync, constants, existsSync } from 'node:fs';
// Not by its name: webpack would put its own number of a module in place of what that require resolves.
import nodeModule from 'node:module';
import { dirname, join } from 'node:path';
import { HoldfastError } from '../errors.ts';
import { glibcVersion } from './runtime.ts';

/** A record as the addon hands it over: the fields of native/protocol/fields.def by their names. */
export interface NativeRecord {
  readonly kind:
    | 'violation'
    | 'launched'
    | 'exit'
    | 'tree_empty'
    | 'failed'
    | 'forgotten'
    | 'warning'
    | 'plan'
    | 'reply'
    | 'limit'
    | 'logged'
    | 'life'
    | 'needs'
    | 'accesses'
    | 'rules'
    | 'stopped';
  readonly [field: string]: unknown;
}

export type SpawnReport = { pid: number } | { errno: number; stage: number } | { lost: true } | { timedOut: true };

/** Node's end of the channel (native/addon/channel.h). */
export interface NativeChannel {
  /** The supervisor's end, until {@link closeRemote}. */
  readonly remoteFd: number;
  closeRemote(): void;
  /** Blocks this thread until the supervisor has made the command's process, `timeout` milliseconds at most. */
  waitSpawned(timeout: number): SpawnReport;
  /** Makes what the two ends share. Throws a system error. */
  shareMemory(): void;
  /**
   * What a supervisor that was started without a command is to start, with `descriptors` as in native/addon/launch.h. Our
   * ends of its streams, for the caller to close. Throws a system error, and then it waits on.
   */
  command(fields: Uint8Array, directory: string, descriptors: Int32Array): number[];
  /** Options and policy. 0, or a positive errno. Throws a system error if the mounts cannot be read. */
  configure(policy: Uint8Array): number;
  /** The hooks' filters: the command may start. 0, or a positive errno. */
  start(hooks: Uint8Array): number;
  /** False if the supervisor is gone. */
  kill(signal: number): boolean;
  /** The whole tree; SIGKILL ends it. */
  killAll(signal: number): boolean;
  /** What the command leaves behind at its end is sent this signal, not SIGKILL. */
  spare(signal: number): boolean;
  /** Held calls for hooks come as records one behind the other in a buffer, up to `end` ({@link AskReader}). */
  listen(
    onRecord: (record: NativeRecord) => void,
    onLost: (reason: 'closed' | 'corrupt') => void,
    onAsks: (asks: ArrayBuffer, end: number) => void,
  ): void;
  /** Asks for a `plan` record. False if the supervisor is gone. */
  plan(): boolean;
  /**
   * Asks what is to be answered by `reply` records. With a policy, as for `configure`, as its last field. False if the
   * supervisor is gone. Throws a system error if the mounts cannot be read.
   */
  request(asked: Uint8Array, policy?: Uint8Array): boolean;
  /** Hands over what is in the ring already. */
  drain(): void;
  /** Why the supervisor gave up; empty if it did not say so. */
  lastWord(): string;
  /** Of what there was too little then: one of `stages`; 0 if it did not say so. */
  lastStage(): number;
  /** False if the call no longer waits for this answer. */
  answer(slot: number, generation: number, verdict: number, error: number, data?: Uint8Array): boolean;
  ref(): void;
  unref(): void;
  close(): void;
}

/** A process that the addon has started (native/addon/child.h). */
export interface NativeChild {
  readonly pid: number;
  /** The descriptors of our ends of its streams, for the caller to close. Once. */
  takeEnds(): number[];
  /** False if it has ended. */
  kill(signal: number): boolean;
  ref(): void;
  unref(): void;
}

export interface NativeSupport {
  readonly kernel: string;
  readonly seccompActions: {
    readonly trace: boolean;
    readonly killProcess: boolean;
    readonly userNotification: boolean;
  };
  /** 2: a seccomp filter lies above this process already. */
  readonly seccompMode: number;
  /** Calls for which a filter above this process kills who makes them, of those that a start makes. */
  readonly killingCalls: readonly string[];
  /** -1 where there is no Yama. */
  readonly ptraceScope: number;
  /** 0 where there is no Landlock. */
  readonly landlockAbi: number;
  /** PR_SET_MDWE is known. */
  readonly refusesWritableCode: boolean;
}

export interface Native {
  readonly version: number;
  readonly fields: Readonly<Record<string, number>>;
  readonly events: readonly string[];
  readonly recordKinds: Readonly<Record<string, number>>;
  readonly requestKinds: Readonly<Record<string, number>>;
  readonly stages: Readonly<Record<string, number>>;
  readonly limits: { readonly ringBytes: number; slots: number; verdictBytes: number; recordBytes: number };
  /**
   * Starts a program. Lists of texts are one, with a NUL behind each; `directory` may be empty. Throws a system error.
   * `onExit` is called from the event loop.
   */
  readonly Child: new (
    path: string,
    args: string,
    environment: string,
    directory: string,
    descriptors: Int32Array,
    detached: boolean,
    onExit: (code: number, signal: number) => void,
  ) => NativeChild;
  createChannel(): NativeChannel;
  /** A descriptor to execute the supervisor by, not below `least`. */
  openSupervisor(path: string, least: number): number;
  closeSupervisor(fd: number): void;
  /** The descriptor of a copy in memory that can be executed; the same one for the whole process. Throws a system error. */
  copySupervisor(path: string): number;
  support(): NativeSupport;
  /** Makes a process group that of the terminal's foreground. 0, or a positive errno. */
  setForeground(group: number): number;
  /** A policy as for `configure`, with what `holdfast-supervisor --explain` has to be told beside it. Throws a system error. */
  completePolicy(policy: Uint8Array): Buffer;
  /** Fields as a record has them; undefined if they are none. */
  readFields(fields: Uint8Array): NativeRecord | undefined;
  /** Whether systemd has marked a control group's folder as somebody else's to divide (Delegate=). */
  isDelegated(folder: string): boolean;
}

interface Loader {
  (folder: string): unknown;
  resolve(folder: string): string;
}

const architectures: readonly string[] = ['x64', 'arm64'];
let loaded: { native: Native; path: string } | undefined;

/** The reason why this platform cannot do it at all, if there is one. */
export function platformProblem(): string | undefined {
  if (process.platform !== 'linux') {
    return `holdfast needs Linux, and this is ${process.platform}: run it in a virtual machine or a container`;
  }
  const { bun, deno } = process.versions;
  if (bun !== undefined || deno !== undefined) {
    return `holdfast needs Node, and this is ${bun === undefined ? 'Deno' : 'Bun'}, which lacks what its native part uses of libuv: run it by node`;
  }
  if (!architectures.includes(process.arch)) {
    return `holdfast needs x86_64 or aarch64, and this Node is built for ${process.arch}`;
  }
  return undefined;
}

/** By its own name: this stands in lib/native/, and when it is built, in dist/. */
function ownPackage(): { load: NodeJS.Require; root: string } {
  try {
    const load = nodeModule.createRequire(import.meta.url);
    return { load, root: dirname(load.resolve('holdfast/package.json')) };
  } catch (cause) {
    throw new HoldfastError(
      'ERR_HOLDFAST_NATIVE_MISSING',
      'the files of the package holdfast are not to be found from here. A bundle cannot hold its native part: keep the package outside ' +
        "(esbuild: --external:holdfast; webpack: externals: { holdfast: 'module holdfast' }; rollup, rolldown: external: ['holdfast']) and install it where the bundle runs",
      { cause },
    );
  }
}

/** The package's own folder. */
export const packageFolder = (): string => ownPackage().root;

export function packageVersion(): string {
  return (ownPackage().load('holdfast/package.json') as { version: string }).version;
}

/** By what node-gyp-build goes by, and by what Node itself is linked to. */
function hasGlibc(): boolean {
  return !existsSync('/etc/alpine-release') && glibcVersion() !== undefined;
}

function load(): { native: Native; path: string } {
  const problem = platformProblem();
  if (problem !== undefined) throw new HoldfastError('ERR_HOLDFAST_UNSUPPORTED_PLATFORM', problem);
  const { load: loadModule, root } = ownPackage();
  try {
    const loader = loadModule('node-gyp-build') as Loader;
    const path = loader.resolve(root);
    return { native: loadModule(path) as Native, path };
  } catch (cause) {
    const tried = ['build/Release', 'build/Debug', `prebuilds/linux-${process.arch}`].map((folder) =>
      join(root, folder),
    );
    const text = String((cause as Error | null)?.message ?? cause);
    // What the dynamic loader says of a file that may not be mapped for execution.
    const noexec = text.includes('failed to map segment');
    throw new HoldfastError(
      'ERR_HOLDFAST_NATIVE_MISSING',
      noexec
        ? `the native part of holdfast lies on a file system that is mounted noexec. Install holdfast elsewhere, or mount it without noexec: ${text}`
        : `the native part of holdfast cannot be loaded (linux ${process.arch}, Node ${process.versions.node}). Tried ${tried.join(', ')}. ` +
            `${hasGlibc() ? 'In a clone, run `npm run build:native`' : 'It is built for glibc, which this system has not (musl, as in Alpine): use another image, such as node:24-slim'}: ${text}`,
      { cause },
    );
  }
}

/** The addon, loaded when it is first needed, so that importing works everywhere. */
export function native(): Native {
  loaded ??= load();
  return loaded.native;
}

/** Where it lies, and the supervisor beside it. */
export function nativeFolder(): string {
  loaded ??= load();
  return dirname(loaded.path);
}

let supervisor: string | undefined;
let inMemory = false;

/**
 * The supervisor that belongs to the loaded addon: it lies beside it. Where its mode was lost on the way (an archive, a file
 * system without modes), a copy in memory, which this process keeps: then the path means something in this process and
 * its child only ({@link supervisorIsInMemory}).
 */
export function supervisorPath(): string {
  if (supervisor !== undefined) return supervisor;
  loaded ??= load();
  const path = join(dirname(loaded.path), 'holdfast-supervisor');
  try {
    accessSync(path, constants.X_OK);
    supervisor = path;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EACCES') {
      throw new HoldfastError(
        'ERR_HOLDFAST_NATIVE_MISSING',
        `the supervisor is not there: tried ${path}. Reinstall holdfast, or in a clone run \`npm run build:native\``,
        { cause },
      );
    }
    supervisor = `/proc/self/fd/${copyInMemory(loaded.native, path)}`;
    inMemory = true;
  }
  return supervisor;
}

/** A child whose descriptors are put into place needs one above them: {@link Native.openSupervisor}. */
export function supervisorIsInMemory(): boolean {
  supervisorPath();
  return inMemory;
}

function copyInMemory(addon: Native, path: string): number {
  try {
    return addon.copySupervisor(path);
  } catch (cause) {
    const { message } = cause as Error;
    throw new HoldfastError(
      'ERR_HOLDFAST_NATIVE_MISSING',
      `the supervisor is not executable: ${path}. It cannot be run from memory either (${message}). Give it back its mode: chmod 755 ${path}`,
      { cause },
    );
  }
}
