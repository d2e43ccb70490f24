// What stands in the way of any start here, found out without one.
import { readFileSync, readlinkSync } from 'node:fs';
import { HoldfastError, type HoldfastErrorCode } from '../errors.ts';
import { type NativeSupport, native, platformProblem, supervisorPath } from './native.ts';

/** One thing that stands in the way, in words that say what to do. */
export interface SupportProblem {
  code: HoldfastErrorCode;
  message: string;
}

const CAP_SYS_PTRACE = 19n;
/** Landlock's ABI that the engine `kernel` needs (native/policy/needs_hold.cc). */
const SCOPES = 6;

function olderThan(release: string, major: number, minor: number): boolean {
  const [, first = '0', second = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(first) < major || (Number(first) === major && Number(second) < minor);
}

/** All of them; the first is the one that matters most. Tells what the addon knows, if it could be asked. */
export function findProblems(tell?: (support: NativeSupport) => void): SupportProblem[] {
  const problem = platformProblem();
  if (problem !== undefined) return [{ code: 'ERR_HOLDFAST_UNSUPPORTED_PLATFORM', message: problem }];
  let support: NativeSupport;
  try {
    supervisorPath();
    support = native().support();
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return [{ code: error.code, message: error.message }];
  }
  tell?.(support);
  const { kernel, seccompActions, killingCalls, ptraceScope, landlockAbi } = support;
  // The engine `kernel` needs nobody traced.
  const needsPtrace = landlockAbi < SCOPES;
  const problems: SupportProblem[] = [];
  const proc = procProblem();
  if (proc !== undefined) problems.push({ code: 'ERR_HOLDFAST_PROC', message: proc });
  if (isGvisor()) {
    const message = 'this is gVisor, which has no seccomp notification: run the container by runc or crun';
    problems.push({ code: 'ERR_HOLDFAST_UNSUPPORTED_KERNEL', message });
  } else if (olderThan(kernel, 5, 10)) {
    const message = `Linux 5.10 or newer is needed, and this is ${kernel}`;
    problems.push({ code: 'ERR_HOLDFAST_UNSUPPORTED_KERNEL', message });
  }
  if (killingCalls.length > 0) {
    const message = `a seccomp filter above this process kills whoever calls ${killingCalls.join(', ')}: it must have these calls, or answer them by an errno (in a unit of systemd: SystemCallFilter=${killingCalls.join(' ')}, SystemCallErrorNumber=EPERM)`;
    problems.push({ code: 'ERR_HOLDFAST_SECCOMP', message });
  } else if (!seccompActions.trace) {
    const message =
      'this kernel, or what is around this process, offers no seccomp program that stops a call: CONFIG_SECCOMP_FILTER is needed; in a container, a seccomp profile that has the seccomp call; in a unit of systemd, SystemCallFilter=@debug seccomp';
    problems.push({ code: 'ERR_HOLDFAST_SECCOMP', message });
  }
  if (needsPtrace && ptraceScope >= 3) {
    const message = 'kernel.yama.ptrace_scope is 3, which forbids ptrace until the next boot: set it to 0, 1 or 2';
    problems.push({ code: 'ERR_HOLDFAST_PTRACE', message });
  } else if (needsPtrace && ptraceScope === 2 && !mayTraceAll()) {
    const message =
      'kernel.yama.ptrace_scope is 2, which allows ptrace with CAP_SYS_PTRACE only: set it to 0 or 1, or give this process the capability';
    problems.push({ code: 'ERR_HOLDFAST_PTRACE', message });
  }
  return problems;
}

function procProblem(): string | undefined {
  let own: string;
  try {
    own = readlinkSync('/proc/self');
  } catch {
    return 'there is no /proc here: mount one (mount -t proc proc /proc)';
  }
  if (own === String(process.pid)) return undefined;
  return '/proc belongs to another pid namespace: mount one for this (mount -t proc proc /proc, unshare --mount-proc)';
}

function status(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    return '';
  }
}

/** It calls itself so since 2024; before, it was always 4.4.0 with this date. */
export function isGvisor(): boolean {
  try {
    return /-gvisor\b|\b4\.4\.0 #1 SMP Sun Jan 10 15:06:54 PST 2016/.test(readFileSync('/proc/version', 'utf8'));
  } catch {
    return false;
  }
}

function mayTraceAll(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status())?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_SYS_PTRACE) & 1n) === 1n;
}
