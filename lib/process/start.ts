// One start: the supervisor is Node's child, the command is the supervisor's.

import type { SpawnOptions, StdioOptions } from 'node:child_process';
import * as childProcess from 'node:child_process';
import { tmpdir } from 'node:os';
import { errnoName, HoldfastError, type HoldfastErrorCode, spawnError } from '../errors.ts';
import {
  type ControlGroup,
  enterControlGroup,
  makeControlGroup,
  removeControlGroup,
  sameFileIn,
} from '../limits/control-group.ts';
import { checkWithoutGroup, groupSettings, limitFields } from '../limits/limits.ts';
import {
  type Native,
  type NativeChannel,
  type SpawnReport,
  supervisorIsInMemory,
  supervisorPath,
} from '../native/native.ts';
import { findProblems } from '../native/problems.ts';
import { encodeConfiguration } from '../policy/encode.ts';
import { accessBits } from '../policy/policy.ts';
import { descriptorsOf, type Inner, isText, Launched, SUPERVISOR, surroundingsOf } from './launched.ts';
import type { Spawn } from './plan.ts';
import type { ReadySupervisor } from './ready.ts';
import { makeScratch, removeScratch, type Scratch } from './scratch.ts';
import { launchError } from './stages.ts';

/** As they were: who puts a sandbox in place of child_process's own (sandboxedChildProcess) must not find itself below it. */
const { spawn, spawnSync } = childProcess;

/** How long the supervisor may take to make the command's process, in milliseconds. This thread waits for it. */
const SPAWN_TIMEOUT = 10_000;

/** Why there is no command; `errno` is positive. */
export interface StartFailure {
  error: Error;
  errno: number;
  stage?: number;
}

/** How far it came. With a `pid`, the command's process is there and waits for the hooks. */
export interface Start {
  /** The supervisor, with the command's streams. Undefined if not even that could be tried. */
  inner?: Inner;
  channel?: NativeChannel;
  /** Of the command. */
  pid?: number;
  /** The folder of policy.scratch, which is to be removed at the end. */
  scratch?: Scratch;
  /** It is one of a pool's that was ready. */
  ready?: boolean;
  /** The supervisor ended before there was a process. */
  lost?: boolean;
  /** Why it is the engine `kernel`, where none was asked for. */
  instead?: HoldfastError;
  /** Without one, and without a pid, the inner child's own `error` event tells why. */
  failure?: StartFailure;
}

/**
 * Throws what Node's own spawn throws.
 * @throws {HoldfastError} `ERR_HOLDFAST_LIMIT`, `ERR_HOLDFAST_LIMIT_NOT_EXACT`: a control group that cannot be made.
 */
export function start(addon: Native, path: string, given: Spawn): Start {
  const settings = groupSettings(given.limits);
  if (Object.keys(settings).length === 0) return startWithin(addon, path, given);
  const group = makeControlGroup(settings);
  if (group === undefined) {
    checkWithoutGroup(given.limits);
    return startWithin(addon, path, given);
  }
  given.group = group;
  keepWithin(group, given);
  try {
    return startWithin(addon, path, given);
  } catch (error) {
    void removeControlGroup(group);
    throw error;
  }
}

/** It must not leave the group, nor change what that says; and it may read there what it may read in Node's own. */
function keepWithin(group: ControlGroup, { rules }: Spawn): void {
  for (const path of group.mounts) {
    rules.files.push({ effect: 'deny', access: accessBits.write, path, label: 'limits' });
  }
  for (const rule of rules.defaults) {
    const path = sameFileIn(group, rule.path);
    if (path !== undefined) rules.files.push({ ...rule, path });
  }
}

function startWithin(addon: Native, path: string, given: Spawn): Start {
  if (!given.rules.scratch && !given.rules.tmp) return startWithout(addon, path, given);
  let scratch: Scratch;
  try {
    scratch = makeScratch(given);
  } catch (error) {
    const field = given.rules.tmp ? 'policy.tmp' : 'policy.scratch';
    return { failure: noScratch(error as NodeJS.ErrnoException, given.file, field) };
  }
  try {
    return { ...startWithout(addon, path, given), scratch };
  } catch (error) {
    void removeScratch(scratch);
    throw error;
  }
}

function noScratch(cause: NodeJS.ErrnoException, file: string, field: string): StartFailure {
  const message = `${file} was not started: ${field}: no folder can be made in ${tmpdir()} (${cause.code ?? cause.message}). Set TMPDIR to one that can be written`;
  const errno = Math.abs(cause.errno ?? 0);
  return { error: new HoldfastError('ERR_HOLDFAST_LAUNCH', message, { errno: -errno, cause }), errno };
}

function startWithout(addon: Native, path: string, given: Spawn): Start {
  // Those that wait trace their commands.
  const ready = given.engine === KERNEL ? undefined : given.ready?.take(given);
  if (ready !== undefined) {
    const start = finish(addon, ready.channel, ready.inner, given, ready);
    if (!start.lost) return start;
    // It was about to end when it was told: nothing of the command has run.
    ready.abandon();
  }
  if (given.engine !== AUTO) return startAnew(addon, path, given);
  // Nobody can be traced here: it would be so the next time, too.
  if (untraced !== undefined) return { ...startAnew(addon, path, { ...given, engine: KERNEL }), instead: untraced };
  const start = startAnew(addon, path, given);
  if (start.failure === undefined || start.failure.stage !== addon.stages.ptrace) return start;
  const byKernel = startAnew(addon, path, { ...given, engine: KERNEL });
  if (byKernel.pid === undefined) return start;
  untraced = start.failure.error as HoldfastError;
  return { ...byKernel, instead: untraced };
}

const AUTO = 0;
const KERNEL = 3;
let untraced: HoldfastError | undefined;

function startAnew(addon: Native, path: string, given: Spawn): Start {
  let channel: NativeChannel;
  try {
    channel = addon.createChannel();
  } catch (error) {
    // No descriptors or memory left: a failure of this spawn, as it would be in Node's.
    return { failure: thrown(error, given) };
  }
  let inner: Inner;
  try {
    inner = startSupervisor(addon, channel, path, given);
  } catch (error) {
    channel.close();
    if (error instanceof NoDescriptors) return { failure: thrown(error.cause, given) };
    throw error;
  }
  channel.closeRemote();
  if (inner.pid === undefined) {
    channel.close();
    return { inner, channel };
  }
  return finish(addon, channel, inner, given);
}

/** @param ready One that was ready has its memory. What it waits for comes first, our own streams while it is at work. */
function finish(addon: Native, channel: NativeChannel, inner: Inner, given: Spawn, ready?: ReadySupervisor): Start {
  const fail = (failure: StartFailure): Start => {
    inner.kill('SIGKILL');
    channel.close();
    return { inner, channel, failure };
  };
  try {
    if (ready === undefined) channel.shareMemory();
    try {
      configure(addon, channel, inner, given);
    } finally {
      ready?.giveStreams();
    }
  } catch (error) {
    return fail(thrown(error, given));
  }
  const started = awaitCommand(addon, channel, inner, given);
  const problem = started.pid === undefined ? undefined : enterGroup(started.pid, given);
  if (problem !== undefined) return fail(problem);
  return { inner, channel, ready: ready !== undefined, ...started };
}

/** Before anything of the command has run. */
function enterGroup(pid: number, { group, file }: Spawn): StartFailure | undefined {
  if (group === undefined) return undefined;
  try {
    enterControlGroup(group, pid);
    return undefined;
  } catch (cause) {
    const { errno = 0, message } = cause as NodeJS.ErrnoException;
    const text = `${file} was not started: it cannot be moved into its control group: ${message}`;
    return { error: new HoldfastError('ERR_HOLDFAST_LIMIT', text, { errno, cause }), errno: Math.abs(errno) };
  }
}

function startSupervisor(addon: Native, channel: NativeChannel, path: string, given: Spawn): Inner {
  const { file, args, stdio, passed, jobGroup, changesUser, engine } = given;
  const [argv0 = file, ...rest] = args;
  const line = [String(stdio.length), `group=${jobGroup},stdio=${stdio.length},engine=${engine}`];
  line.push(argv0, file, ...rest);
  const launched = supervisorIsInMemory() ? undefined : launch(addon, channel, path, line, given);
  if (launched !== undefined) return launched;
  const options: SpawnOptions = {
    ...passed,
    argv0: SUPERVISOR,
    stdio: [...stdio, channel.remoteFd] as StdioOptions,
  };
  if (!changesUser && !supervisorIsInMemory()) return spawn(path, line, options);
  // The new user may have no way to the path; a descriptor needs none. It lies above the child's own descriptors, which
  // are put into place before the exec.
  const fd = addon.openSupervisor(path, stdio.length + 16);
  try {
    return spawn(`/proc/self/fd/${fd}`, line, options);
  } finally {
    addon.closeSupervisor(fd);
  }
}

/** By the addon, where it can. What cannot be done so is left to Node's own spawn, and so is what is wrong with it. */
function launch(addon: Native, channel: NativeChannel, path: string, line: string[], given: Spawn): Inner | undefined {
  const { stdio, passed } = given;
  const descriptors = descriptorsOf(stdio);
  const surroundings = surroundingsOf(passed);
  if (descriptors === undefined || surroundings === undefined || !line.every(isText)) return undefined;
  descriptors.push(channel.remoteFd);
  try {
    return new Launched(addon, path, line, surroundings, descriptors, passed.detached === true);
  } catch (error) {
    if (['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw new NoDescriptors(error);
    return undefined;
  }
}

/** Node's own spawn would fail in the same way, and sometimes loses its ends of the streams then. */
class NoDescriptors extends Error {
  constructor(cause: unknown) {
    super('', { cause });
  }
}

/** While the supervisor starts. The hooks come later: all of this tick's must be registered. */
function configure(addon: Native, channel: NativeChannel, inner: Inner, given: Spawn): void {
  const { file: command, rules, waitForTree, limits, group, record } = given;
  const configuration = { command, waitForTree, rules, limits: limitFields(limits), group: group?.path, record };
  const errno = channel.configure(encodeConfiguration(addon, configuration));
  // A supervisor that is gone is noticed by itself; without memory for the configuration nothing can go on.
  if (errno !== 0) inner.kill('SIGKILL');
}

function awaitCommand(addon: Native, channel: NativeChannel, inner: Inner, given: Spawn): Start {
  const { file, args } = given;
  const report = channel.waitSpawned(SPAWN_TIMEOUT);
  if (isReport(report, 'pid')) return { pid: report.pid };
  channel.close();
  if (isReport(report, 'errno')) {
    return {
      failure: {
        error: launchError(addon, report.stage, report.errno, file, args.slice(1)),
        errno: report.errno,
        stage: report.stage,
      },
    };
  }
  const what = isReport(report, 'lost')
    ? 'ended before it had started the command'
    : `did not answer within ${SPAWN_TIMEOUT} ms`;
  inner.kill('SIGKILL');
  const known = findProblems()[0];
  const error = new HoldfastError(
    known?.code ?? 'ERR_HOLDFAST_SUPERVISOR_LOST',
    `${file} was not started: ${known?.message ?? `the supervisor ${what}`}`,
  );
  return { failure: { error, errno: 0 }, lost: isReport(report, 'lost') };
}

/** By what it has itself, not by what Object.prototype may have. */
function isReport<K extends string>(report: SpawnReport, key: K): report is Extract<SpawnReport, Record<K, unknown>> {
  return Object.hasOwn(report, key);
}

/** What the addon threw. Where Node's own spawn would fail in the same way, as its error; else with what is missing. */
function thrown(error: unknown, { file, args }: Spawn): StartFailure {
  const { errno: negative = 0, syscall = '' } = error as NodeJS.ErrnoException;
  const errno = Math.abs(negative);
  const name = errnoName(errno);
  const known = ownFailures.has(name) ? undefined : findProblems()[0];
  if (known !== undefined) {
    const message = `${file} was not started: ${known.message}`;
    return { error: new HoldfastError(known.code, message, { errno: -errno, cause: error }), errno };
  }
  const text = missing[`${syscall} ${name}`] ?? (ownFailures.has(name) ? undefined : refused(syscall));
  if (text === undefined) return { error: spawnError(errno, file, args.slice(1)), errno };
  const code = codes[syscall] ?? (name === 'EFBIG' ? 'ERR_HOLDFAST_LIMIT' : 'ERR_HOLDFAST_LAUNCH');
  const message = `${file} was not started: ${text} (${syscall} ${name})`;
  return { error: new HoldfastError(code, message, { errno: -errno, cause: error }), errno };
}

const ownFailures = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);
const missing: Readonly<Record<string, string>> = {
  'mountinfo EACCES': '/proc/self/mountinfo may not be read here, inside another sandbox: give that one /proc',
  'ftruncate EFBIG':
    'RLIMIT_FSIZE (ulimit -f) is too small for the memory that is shared with the supervisor: it must be 3 MiB or more',
};
const codes: Readonly<Record<string, HoldfastErrorCode>> = { mountinfo: 'ERR_HOLDFAST_PROC' };
const refused = (syscall: string) =>
  `${syscall || 'a system call'} is refused here. In a container, use a seccomp profile that has it, as Docker's default profile does`;

/** Node could not start the supervisor itself: for what would have kept the command from starting, or for more. */
export function innerError(cause: NodeJS.ErrnoException, errno: number, file: string, args: readonly string[]): Error {
  const known = findProblems()[0];
  if (known !== undefined) return new HoldfastError(known.code, `${file} was not started: ${known.message}`, { cause });
  if (cause.code !== 'EACCES') return spawnError(errno, file, args);
  // The supervisor has its mode (supervisorPath), so it is a mount that runs nothing; or a cwd that cannot be entered.
  return isOnNoexec()
    ? new HoldfastError('ERR_HOLDFAST_NATIVE_MISSING', noexec(file), { cause })
    : spawnError(errno, file, args);
}

const noexec = (file: string) =>
  `${file} was not started: ${supervisorPath()} lies on a file system that is mounted noexec. Install holdfast elsewhere, or mount it without noexec`;

function isOnNoexec(): boolean {
  return spawnSync(supervisorPath(), ['--table'], { cwd: '/', stdio: 'ignore' }).error !== undefined;
}
