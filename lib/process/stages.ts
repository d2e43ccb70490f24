// Where a launch failed (protocol.h: Stage), said so that somebody can do something about it.
import { errnoName, HoldfastError, type HoldfastErrorCode, spawnError } from '../errors.ts';
import type { Native } from '../native/native.ts';

const explanations: Readonly<Record<string, readonly [HoldfastErrorCode, string]>> = {
  arguments: [
    'ERR_HOLDFAST_LAUNCH',
    'the supervisor did not understand its command line: addon and supervisor are of different versions. Reinstall holdfast',
  ],
  channel: [
    'ERR_HOLDFAST_CHANNEL',
    'the supervisor did not accept what it was sent: addon and supervisor are of different versions, or memory is short',
  ],
  ptrace: [
    'ERR_HOLDFAST_PTRACE',
    'ptrace is not allowed here. In a container, allow it (docker run --cap-add=SYS_PTRACE, or a seccomp profile that has ptrace; ' +
      "Docker's default profile has it from kernel 4.8 on); in a unit of systemd, SystemCallFilter=@debug; on a host, kernel.yama.ptrace_scope must not be 3, and a process that is traced already cannot be sandboxed",
  ],
  noNewPrivs: [
    'ERR_HOLDFAST_SECCOMP',
    'prctl(PR_SET_NO_NEW_PRIVS) is not allowed here. In a container, use a seccomp profile that has prctl',
  ],
  seccomp: [
    'ERR_HOLDFAST_SECCOMP',
    'the kernel or the container refuses a seccomp filter. Linux 5.10 or newer with CONFIG_SECCOMP_FILTER is needed; in a container, a seccomp profile that has the seccomp call',
  ],
  listener: [
    'ERR_HOLDFAST_LISTENER',
    'a seccomp notification listener is there already, and a process can have one only. This happens inside another sandbox of this kind, and under mirrored networking in WSL2',
  ],
  landlock: ['ERR_HOLDFAST_LANDLOCK', 'the kernel refused the Landlock rules that stand behind the policy'],
  fork: [
    'ERR_HOLDFAST_LIMIT',
    'no process could be made: raise RLIMIT_NPROC (ulimit -u) or pids.max, or there is too little memory',
  ],
  session: ['ERR_HOLDFAST_LAUNCH', 'the command could not get a process group or a session of its own'],
  capabilities: [
    'ERR_HOLDFAST_CAPABILITIES',
    'capset is refused here, so the rights of root cannot be taken from the command. Run as an ordinary user, or use a seccomp profile that has capset',
  ],
  threads: [
    'ERR_HOLDFAST_LIMIT',
    'a limit of processes leaves too few threads for the supervisor: raise RLIMIT_NPROC (ulimit -u) or pids.max',
  ],
  proc: [
    'ERR_HOLDFAST_PROC',
    '/proc is missing or belongs to another pid namespace: mount one for this (mount -t proc proc /proc, unshare --mount-proc)',
  ],
  access: [
    'ERR_HOLDFAST_SECCOMP',
    'the container refuses faccessat2, which it does not know, as Docker does before 20.10.6: update it, or use a seccomp profile that has faccessat2',
  ],
  memory: ['ERR_HOLDFAST_LIMIT', 'there is no memory left for the supervisor: raise the limit (ulimit -v, memory.max)'],
  limits: [
    'ERR_HOLDFAST_LIMIT',
    'one of the limits that were asked for cannot be set: it is more than what the process has already (setrlimit(2))',
  ],
  policy: [
    'ERR_HOLDFAST_POLICY',
    'the policy or a hook does not allow the command itself. Allow its file, and the interpreter of a script, in policy.files.read or policy.exec',
  ],
  needsHold: [
    'ERR_HOLDFAST_NEEDS_HOLD',
    "the engine 'kernel' holds no call, and something that was asked for needs that",
  ],
  internal: ['ERR_HOLDFAST_LAUNCH', 'the supervisor failed while it started the command'],
};

const tooFewDescriptors = [
  'ERR_HOLDFAST_LIMIT',
  'a limit of descriptors leaves too few for the supervisor: raise RLIMIT_NOFILE (ulimit -n)',
] as const;

const nameOf = (native: Native, stage: number) =>
  Object.keys(native.stages).find((key) => native.stages[key] === stage) ?? 'internal';

/** What the engine `kernel` cannot have of what was asked for. */
export interface Need {
  readonly what: string;
  readonly why: string;
  /** Empty if nothing would. */
  readonly change: string;
}

/** All of it, as `ERR_HOLDFAST_NEEDS_HOLD`; or, where that engine was not asked for, as what keeps the others from it. */
export function needsHold(file: string, needs: readonly Need[], instead?: HoldfastError): HoldfastError {
  const all = needs
    .map(({ what, why, change }) => `${what}: ${why}${change === '' ? '' : ` (what would do: ${change})`}`)
    .join('; ');
  if (instead === undefined) {
    const text = `${file} was not started: the engine 'kernel' holds no call. What needs that: ${all}`;
    return new HoldfastError('ERR_HOLDFAST_NEEDS_HOLD', text);
  }
  return new HoldfastError(
    instead.code,
    `${instead.message}. The engine 'kernel' needs no ptrace, but holds no call. What needs that: ${all}`,
    {
      ...(instead.errno === undefined ? {} : { errno: instead.errno }),
      cause: instead,
    },
  );
}

/** The error for a supervisor that gave up while the command ran. */
export function lossError(native: Native, stage: number, text: string): HoldfastError {
  const name = nameOf(native, stage);
  const code = name === 'internal' ? undefined : explanations[name]?.[0];
  return new HoldfastError(code ?? 'ERR_HOLDFAST_SUPERVISOR_LOST', text);
}

/** The error for a launch that failed at a stage, with a positive errno or 0. */
export function launchError(
  native: Native,
  stage: number,
  errno: number,
  file: string,
  args: readonly string[],
): Error {
  if (stage === native.stages.command) return spawnError(errno, file, args);
  const name = nameOf(native, stage);
  const [code, text] =
    (['EMFILE', 'ENFILE'].includes(errnoName(errno)) ? tooFewDescriptors : explanations[name]) ??
    (['ERR_HOLDFAST_LAUNCH', `the launch failed at stage ${stage}`] as const);
  const number = errno === 0 ? '' : ` (${errnoName(errno)})`;
  return new HoldfastError(code, `${file} was not started: ${text}${number}`, errno === 0 ? {} : { errno: -errno });
}
