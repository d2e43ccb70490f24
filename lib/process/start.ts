// One start: the supervisor is Node's child, the command is the supervisor's.
import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { HoldfastError, spawnError } from '../errors.ts';
import type { Native, NativeChannel, SpawnReport } from '../native/native.ts';
import { encodeConfiguration } from '../policy/encode.ts';
import type { Spawn } from './plan.ts';
import { launchError } from './stages.ts';

/** How long the supervisor may take to make the command's process, in milliseconds. This thread waits for it. */
const SPAWN_TIMEOUT = 10_000;

/** Why there is no command; `errno` is positive. */
export interface StartFailure {
  error: Error;
  errno: number;
}

/** How far it came. With a `pid`, the command's process is there and waits for the hooks. */
export interface Start {
  /** Node's own child: the supervisor, with the command's streams. Undefined if not even that could be tried. */
  inner?: ChildProcess;
  channel?: NativeChannel;
  /** Of the command. */
  pid?: number;
  /** Without one, and without a pid, the inner child's own `error` event tells why. */
  failure?: StartFailure;
}

/** Throws what Node's own spawn throws. */
export function start(addon: Native, path: string, given: Spawn): Start {
  let channel: NativeChannel;
  try {
    channel = addon.createChannel();
  } catch (error) {
    // No descriptors or memory left: a failure of this spawn, as it would be in Node's.
    return { failure: thrown(error, given) };
  }
  let inner: ChildProcess;
  try {
    inner = startSupervisor(addon, channel, path, given);
  } catch (error) {
    channel.close();
    throw error;
  }
  channel.closeRemote();
  if (inner.pid === undefined) {
    channel.close();
    return { inner, channel };
  }
  try {
    channel.shareMemory();
    configure(addon, channel, inner, given);
  } catch (error) {
    inner.kill('SIGKILL');
    channel.close();
    return { inner, channel, failure: thrown(error, given) };
  }
  return { inner, channel, ...awaitCommand(addon, channel, inner, given) };
}

function startSupervisor(addon: Native, channel: NativeChannel, path: string, given: Spawn): ChildProcess {
  const { file, args, stdio, passed, detached, changesUser } = given;
  const [argv0 = file, ...rest] = args;
  const options: SpawnOptions = {
    ...passed,
    argv0: 'holdfast-supervisor',
    stdio: [...stdio, channel.remoteFd] as StdioOptions,
  };
  const line = [String(stdio.length), `detached=${Number(detached)},stdio=${stdio.length}`, argv0, file, ...rest];
  if (!changesUser) return spawn(path, line, options);
  // The new user may have no way to the path; a descriptor needs none. It lies above the child's own descriptors, which
  // are put into place before the exec.
  const fd = addon.openSupervisor(path, stdio.length + 16);
  try {
    return spawn(`/proc/self/fd/${fd}`, line, options);
  } finally {
    closeSync(fd);
  }
}

/** While the supervisor starts. The hooks come later: all of this tick's must be registered. */
function configure(addon: Native, channel: NativeChannel, inner: ChildProcess, given: Spawn): void {
  const { file: command, rules, waitForTree } = given;
  const errno = channel.configure(encodeConfiguration(addon, { command, waitForTree, rules }));
  // A supervisor that is gone is noticed by itself; without memory for the configuration nothing can go on.
  if (errno !== 0) inner.kill('SIGKILL');
}

function awaitCommand(addon: Native, channel: NativeChannel, inner: ChildProcess, given: Spawn): Start {
  const { file, args } = given;
  const report = channel.waitSpawned(SPAWN_TIMEOUT);
  if (isReport(report, 'pid')) return { pid: report.pid };
  channel.close();
  if (isReport(report, 'errno')) {
    return {
      failure: { error: launchError(addon, report.stage, report.errno, file, args.slice(1)), errno: report.errno },
    };
  }
  const what = isReport(report, 'lost')
    ? 'ended before it had started the command'
    : `did not answer within ${SPAWN_TIMEOUT} ms`;
  inner.kill('SIGKILL');
  const error = new HoldfastError('ERR_HOLDFAST_SUPERVISOR_LOST', `${file} was not started: the supervisor ${what}`);
  return { failure: { error, errno: 0 } };
}

/** By what it has itself, not by what Object.prototype may have. */
function isReport<K extends string>(report: SpawnReport, key: K): report is Extract<SpawnReport, Record<K, unknown>> {
  return Object.hasOwn(report, key);
}

/** What the addon threw, as an error of the spawn. */
function thrown(error: unknown, { file, args }: Spawn): StartFailure {
  const errno = Math.abs((error as NodeJS.ErrnoException).errno ?? 0);
  return { error: spawnError(errno, file, args.slice(1)), errno };
}
