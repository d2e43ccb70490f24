import { HoldfastError, type HoldfastErrorCode } from '../errors.ts';
import { native, platformProblem, supervisorPath } from '../native/native.ts';

/** One thing that stands in the way, in words that say what to do. */
export interface SupportProblem {
  code: HoldfastErrorCode;
  message: string;
}

/** What {@link checkSupport} finds. */
export interface Support {
  supported: boolean;
  /** Why not. Empty if supported. */
  problems: SupportProblem[];
  /** Release of the running kernel; undefined where the native part cannot be loaded. */
  kernel?: string;
  /** 0 where the kernel has no Landlock: then the second wall is missing, and everything else works. */
  landlockAbi?: number;
}

function olderThan(release: string, major: number, minor: number): boolean {
  const [, first = '0', second = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(first) < major || (Number(first) === major && Number(second) < minor);
}

/**
 * Whether {@link spawnSandboxed} can work here. Never throws, and starts nothing. What only a start can show, such as a
 * container that forbids ptrace, arrives as an `error` event of the process.
 */
export function checkSupport(): Support {
  const problems: SupportProblem[] = [];
  const problem = platformProblem();
  if (problem !== undefined) {
    problems.push({ code: 'ERR_HOLDFAST_UNSUPPORTED_PLATFORM', message: problem });
    return { supported: false, problems };
  }
  try {
    supervisorPath();
    const { kernel, seccompActions, ptraceScope, landlockAbi } = native().support();
    if (olderThan(kernel, 5, 10)) {
      problems.push({
        code: 'ERR_HOLDFAST_UNSUPPORTED_KERNEL',
        message: `Linux 5.10 or newer is needed, and this is ${kernel}`,
      });
    }
    if (!seccompActions.userNotification || !seccompActions.trace) {
      const message = 'this kernel, or the container, offers no seccomp notification: CONFIG_SECCOMP_FILTER is needed';
      problems.push({ code: 'ERR_HOLDFAST_SECCOMP', message });
    }
    if (ptraceScope >= 3) {
      const message = 'kernel.yama.ptrace_scope is 3, which forbids ptrace until the next boot: set it to 0, 1 or 2';
      problems.push({ code: 'ERR_HOLDFAST_PTRACE', message });
    }
    return { supported: problems.length === 0, problems, kernel, landlockAbi };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    problems.push({ code: error.code, message: error.message });
    return { supported: false, problems };
  }
}
