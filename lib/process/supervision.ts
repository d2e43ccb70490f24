// One command under one supervisor: starts both, turns records into events, and knows when everything is over.
import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { HoldfastError, spawnError } from '../errors.ts';
import { Dispatcher } from '../hooks/dispatch.ts';
import { encodeHooks } from '../hooks/encode.ts';
import { number, optionalNumber } from '../hooks/families/common.ts';
import type { HookRegistry } from '../hooks/hooks.ts';
import {
  type Native,
  type NativeChannel,
  type NativeRecord,
  native,
  type SpawnReport,
  supervisorPath,
} from '../native/native.ts';
import { signalName } from '../native/signals.ts';
import { encodeConfiguration } from '../policy/encode.ts';
import type { Spawn } from './plan.ts';
import { launchError } from './stages.ts';
import { type Violation, violationOf } from './violation.ts';

/** Whom a supervision tells. Never called before the tick of the spawn has ended. */
export interface SupervisionListener {
  spawned(): void;
  /** The command could not be started; `errno` is positive. `over` follows. */
  failed(error: Error, errno: number): void;
  exited(code: number | null, signal: NodeJS.Signals | null): void;
  /** Everything ended, streams included. */
  over(): void;
  error(error: Error): void;
  violation(violation: Violation): void;
  hookError(error: HoldfastError): void;
  treeEmpty(): void;
}

/** How long the supervisor may take to make the command's process, in milliseconds. This thread waits for it. */
const SPAWN_TIMEOUT = 10_000;
const SIGKILL = 9;
const noHooks = new Uint8Array();

type State = 'starting' | 'running' | 'failed' | 'exited';

export class Supervision {
  /** Node's own child: the supervisor, with the command's streams. Undefined if not even that could be tried. */
  readonly inner: ChildProcess | undefined;
  /** Of the command. */
  readonly pid: number | undefined;
  readonly #spawn: Spawn;
  readonly #hooks: HookRegistry;
  readonly #listener: SupervisionListener;
  readonly #native: Native;
  readonly #channel: NativeChannel | undefined;
  readonly #dispatcher: Dispatcher;
  #state: State = 'starting';
  #treeEmpty = false;
  #corrupt = false;
  /** The command's streams that have not closed yet. */
  #openStreams = 0;
  #over = false;
  /** The signal that was sent last. */
  #killed = 0;

  constructor(spawn: Spawn, hooks: HookRegistry, listener: SupervisionListener) {
    this.#spawn = spawn;
    this.#hooks = hooks;
    this.#listener = listener;
    this.#native = native();
    const path = supervisorPath();
    this.#dispatcher = new Dispatcher(this.#native.events, spawn.hookTimeout, {
      hook: (id) => hooks.hook(id),
      answer: (...answer) => this.#channel?.answer(...answer),
      hookFailed: (error) => listener.hookError(error),
    });
    try {
      this.#channel = this.#native.createChannel();
    } catch (error) {
      // No descriptors or memory left: a failure of this spawn, as it would be in Node's.
      this.#spawnFailed(error, true);
      return;
    }
    const channel = this.#channel;
    try {
      this.inner = startSupervisor(this.#native, channel, path, spawn);
    } catch (error) {
      channel.close();
      throw error;
    }
    channel.closeRemote();
    this.#watchInner(this.inner);
    if (this.inner.pid === undefined) {
      // Its error event tells why.
      channel.close();
      hooks.sent = true;
      return;
    }
    try {
      channel.shareMemory();
      this.#configure(channel);
    } catch (error) {
      this.#spawnFailed(error, false);
      this.inner.kill('SIGKILL');
      channel.close();
      return;
    }
    this.pid = this.#awaitCommand(channel);
  }

  /** False if there is nothing left to be killed. Signal 0 asks only that. */
  kill(signal: number): boolean {
    if (this.pid === undefined || this.#state === 'failed') return false;
    if (this.#state === 'exited') {
      // What the command has left behind is still there, and nobody but us knows it.
      const lives = this.#spawn.waitForTree && !this.#treeEmpty;
      return lives && signal === SIGKILL && (this.#channel?.killAll() ?? false);
    }
    if (signal === 0) return true;
    this.#killed = signal;
    // SIGKILL is for the whole tree, also where descendants may outlive the command.
    return (signal === SIGKILL ? this.#channel?.killAll() : this.#channel?.kill(signal)) ?? false;
  }

  ref(): void {
    this.inner?.ref();
    this.#channel?.ref();
  }

  unref(): void {
    this.inner?.unref();
    this.#channel?.unref();
  }

  /** While the supervisor starts. The hooks come later: all of this tick's must be registered. */
  #configure(channel: NativeChannel): void {
    const { file: command, rules, waitForTree } = this.#spawn;
    const errno = channel.configure(encodeConfiguration(this.#native, { command, waitForTree, rules }));
    // A supervisor that is gone is noticed by itself; without memory for the configuration nothing can go on.
    if (errno !== 0) this.inner?.kill('SIGKILL');
  }

  #awaitCommand(channel: NativeChannel): number | undefined {
    channel.listen(
      (record) => this.#record(record),
      (reason) => this.#lost(reason),
    );
    const report = channel.waitSpawned(SPAWN_TIMEOUT);
    const { file, args } = this.#spawn;
    if (isReport(report, 'pid')) {
      // Hooks that are registered in this tick are in force before the command's first instruction.
      process.nextTick(() => this.#start(channel));
      return report.pid;
    }
    if (isReport(report, 'errno')) {
      this.#failSoon(launchError(this.#native, report.stage, report.errno, file, args.slice(1)), report.errno, false);
    } else {
      const what = isReport(report, 'lost')
        ? 'ended before it had started the command'
        : `did not answer within ${SPAWN_TIMEOUT} ms`;
      this.#failSoon(
        new HoldfastError('ERR_HOLDFAST_SUPERVISOR_LOST', `${file} was not started: the supervisor ${what}`),
        0,
        false,
      );
      this.inner?.kill('SIGKILL');
    }
    channel.close();
    return undefined;
  }

  #start(channel: NativeChannel): void {
    this.#hooks.sent = true;
    if (this.#state !== 'starting') return;
    const { rules } = this.#hooks;
    const errno = channel.start(rules.length === 0 ? noHooks : encodeHooks(this.#native, rules));
    if (errno !== 0) this.inner?.kill('SIGKILL');
  }

  /** What the addon threw, as an error of the spawn. */
  #spawnFailed(error: unknown, alone: boolean): void {
    const { file, args } = this.#spawn;
    const errno = errnoOf(error);
    this.#failSoon(spawnError(errno, file, args.slice(1)), errno, alone);
  }

  #failSoon(error: Error, errno: number, alone: boolean): void {
    this.#state = 'failed';
    this.#hooks.sent = true;
    process.nextTick(() => {
      this.#listener.failed(error, errno);
      if (alone) this.#listener.over();
    });
  }

  #watchInner(inner: ChildProcess): void {
    const { file, args } = this.#spawn;
    inner.on('error', (error: NodeJS.ErrnoException) => {
      if (inner.pid !== undefined) return this.#listener.error(error);
      this.#state = 'failed';
      const errno = Math.abs(error.errno ?? 0);
      this.#listener.failed(spawnError(errno, file, args.slice(1)), errno);
    });
    inner.on('exit', (code, signal) => this.#innerEnded(code, signal));
    inner.on('close', () => this.#end());
    for (const stream of readableStreams(inner)) {
      this.#openStreams++;
      stream.once('close', () => {
        this.#openStreams--;
        this.#endIfEmpty();
      });
    }
  }

  /** The supervisor's own end, which follows, tells nothing new then. An IPC channel closes with it only. */
  #endIfEmpty(): void {
    const empty = this.#state === 'exited' && this.#treeEmpty && !this.#corrupt;
    if (empty && this.#openStreams === 0 && this.inner?.channel == null) this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.over();
  }

  /** As Node does when a child has ended: output that nobody reads must not keep its stream from closing. */
  #flushStreams(): void {
    if (this.inner === undefined) return;
    // Null: nobody has begun to read it, paused it, or passed it on to another child. The others Node sees to itself.
    for (const stream of readableStreams(this.inner)) if (stream.readableFlowing === null) stream.resume();
  }

  #record(record: NativeRecord): void {
    switch (record.kind) {
      case 'ask':
        return this.#dispatcher.ask(record);
      case 'forgotten':
        return this.#dispatcher.forget(record);
      case 'violation':
        return this.#listener.violation(violationOf(record));
      case 'launched':
        if (this.#state === 'starting') {
          this.#state = 'running';
          this.#listener.spawned();
        }
        return;
      case 'failed':
        return this.#launchFailed(number(record, 'stage'), number(record, 'errno'));
      case 'exit':
        return this.#commandEnded(record);
      case 'tree_empty':
        this.#treeEmpty = true;
        this.#listener.treeEmpty();
        if (this.#openStreams === 0) this.#endIfEmpty();
        else process.nextTick(() => this.#flushStreams());
        return;
    }
  }

  #launchFailed(stage: number, errno: number): void {
    if (this.#state !== 'starting') return;
    // Killed on the way to its first instruction: that is an end, not a failure.
    if (errno === 0 && this.#killed !== 0) return this.#exit(null, signalName(this.#killed));
    this.#state = 'failed';
    const { file, args } = this.#spawn;
    this.#listener.failed(launchError(this.#native, stage, errno, file, args.slice(1)), errno);
  }

  #commandEnded(record: NativeRecord): void {
    if (this.#state === 'exited' || this.#state === 'failed') return;
    const signal = optionalNumber(record, 'signal') ?? 0;
    if (signal > 0) this.#exit(null, signalName(signal));
    else this.#exit(number(record, 'code'), null);
  }

  #exit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#state = 'exited';
    this.#listener.exited(code, signal);
  }

  #lost(reason: 'closed' | 'corrupt'): void {
    this.#corrupt ||= reason === 'corrupt';
    this.#dispatcher.close();
    // Whoever closed the channel must not go on without it. An ordinary end has closed it too, and is about to exit.
    if (reason === 'corrupt' || !this.#finished()) this.inner?.kill('SIGKILL');
  }

  #finished(): boolean {
    return this.#state === 'failed' || (this.#state === 'exited' && (this.#treeEmpty || !this.#spawn.waitForTree));
  }

  #innerEnded(code: number | null, signal: NodeJS.Signals | null): void {
    // SIGCHLD may be faster than the ring's eventfd.
    this.#channel?.drain();
    this.#channel?.close();
    this.#dispatcher.close();
    if (this.#finished() && !this.#corrupt) return;
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    const error = this.#corrupt
      ? new HoldfastError(
          'ERR_HOLDFAST_CHANNEL',
          'the supervisor sent a message that is not valid; the whole tree was killed',
        )
      : new HoldfastError(
          'ERR_HOLDFAST_SUPERVISOR_LOST',
          `the supervisor ${how} before the command did; the kernel killed the whole tree`,
        );
    const ended = this.#state === 'exited';
    this.#state = 'exited';
    if (this.#over) return;
    try {
      this.#listener.error(error);
    } finally {
      if (!ended) this.#listener.exited(null, 'SIGKILL');
    }
  }
}

/** By what it has itself, not by what Object.prototype may have. */
function isReport<K extends string>(report: SpawnReport, key: K): report is Extract<SpawnReport, Record<K, unknown>> {
  return Object.hasOwn(report, key);
}

function errnoOf(error: unknown): number {
  return Math.abs((error as NodeJS.ErrnoException).errno ?? 0);
}

/** The command's output, and what else it can be read from, as Node counts them before `close`. */
function readableStreams(inner: ChildProcess): Readable[] {
  // Without a descriptor left for them there is no list at all.
  return (inner.stdio ?? []).slice(1).filter((stream): stream is Readable => stream != null) as Readable[];
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
