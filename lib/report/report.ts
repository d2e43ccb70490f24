// Listens to a tree, and says afterwards what it did.
import { fileURLToPath } from 'node:url';
import { errnoName, HoldfastError } from '../errors.ts';
import type { LimitReached } from '../limits/reached.ts';
import { packageVersion } from '../native/native.ts';
import type { ExecEvent, ForkEvent, ProcessExitEvent } from '../process/lifecycle.ts';
import { SandboxedProcess } from '../process/sandboxed-process.ts';
import type { Violation } from '../process/violation.ts';
import { Output } from '../support/output.ts';
import type { Report, ReportAccess, ReportExec, ReportProcess, ReportRefusal } from './data.ts';
import { reportPage } from './page.ts';

/** Bounds for memory: what does not fit is counted in `dropped`. */
const MANY_PROCESSES = 100_000;
const MANY_REFUSALS = 50_000;
const MANY_MESSAGES = 1000;
/** Characters of all arguments together. */
const MUCH_TEXT = 32 * 1024 * 1024;
const MANY_OF_REFUSAL = 64;

/** What {@link report} returns. */
export interface ReportRecorder {
  /** What the tree did, when nothing of it is left (`close`). Never rejects: a program that fails is something to report. */
  data(): Promise<Report>;
  /** The same as a page: one HTML document that needs nothing else. */
  html(): Promise<string>;
  /**
   * Writes the page to a new file that takes this name: no link in its place is followed, and no pipe waited for. The folder is
   * opened at once, so that what the tree puts in its place meanwhile does not count if this is called before the end.
   * @throws (by the promise) What the calls on files say.
   */
  write(file: string | URL): Promise<void>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type OpenProcess = Mutable<ReportProcess> & { execs: ReportExec[] };
type OpenRefusal = Mutable<ReportRefusal> & { processes: { id: number; first: number }[] };

class Recorder implements ReportRecorder {
  readonly #child: SandboxedProcess;
  readonly #started = Date.now();
  readonly #clock = performance.now();
  readonly #processes: OpenProcess[] = [];
  /** The one that has a pid now. */
  readonly #byPid = new Map<number, OpenProcess>();
  readonly #refusals = new Map<string, OpenRefusal>();
  readonly #limits: LimitReached[] = [];
  readonly #warnings: string[] = [];
  readonly #hookErrors: string[] = [];
  readonly #dropped = { processes: 0, arguments: 0, refusals: 0, accesses: 0, messages: 0 };
  readonly #data: Promise<Report>;
  #text = 0;
  #fromStart = false;

  constructor(child: SandboxedProcess) {
    this.#child = child;
    child.on('fork', (event) => this.#forked(event));
    child.on('exec', (event) => this.#executed(event));
    child.on('processExit', (event) => this.#exited(event));
    child.on('violation', (violation) => this.#refused(violation));
    child.on('limit', (reached) => this.#limits.push(reached));
    child.on('warning', ({ message }) => this.#say(this.#warnings, message));
    child.on('hookError', (error) => this.#say(this.#hookErrors, error.message));
    const plan = child.plan().catch(() => undefined);
    this.#data = new Promise<void>((resolve) => child.once('close', () => resolve())).then(async () => {
      const duration = this.#now();
      const accesses = await this.#accesses();
      return this.#report(duration, await plan, accesses);
    });
  }

  data(): Promise<Report> {
    return this.#data;
  }

  async html(): Promise<string> {
    return reportPage(await this.#data);
  }

  async write(file: string | URL): Promise<void> {
    const output = Output.open(file instanceof URL ? fileURLToPath(file) : file, false);
    try {
      output.write(await this.html());
    } finally {
      output.close();
    }
  }

  /** Milliseconds since the start, in thousandths: no more is known. */
  #now(): number {
    return Math.round((performance.now() - this.#clock) * 1000) / 1000;
  }

  #say(list: string[], message: string): void {
    if (list.length < MANY_MESSAGES) list.push(message);
    else this.#dropped.messages++;
  }

  #begin(pid: number, parent: number | undefined, executable: string): OpenProcess | undefined {
    if (this.#processes.length >= MANY_PROCESSES) {
      this.#byPid.delete(pid);
      this.#dropped.processes++;
      return undefined;
    }
    const process: OpenProcess = {
      id: this.#processes.length,
      pid,
      parent: (parent === undefined ? undefined : this.#byPid.get(parent)?.id) ?? null,
      start: this.#now(),
      end: null,
      executable,
      execs: [],
      code: null,
      signal: null,
    };
    this.#processes.push(process);
    this.#byPid.set(pid, process);
    return process;
  }

  #forked({ pid, parent, executable }: ForkEvent): void {
    this.#begin(pid, parent, executable);
  }

  #executed({ pid, parent, executable, argv, argvCut, initial }: ExecEvent): void {
    if (initial) this.#fromStart = true;
    // Who is not known was there before the recording began, or is the command.
    const process =
      this.#byPid.get(pid) ?? (initial || !this.#fromStart ? this.#begin(pid, parent, executable) : undefined);
    if (process === undefined) return;
    const length = argv.reduce((sum, argument) => sum + argument.length, 0);
    const fits = this.#text + length <= MUCH_TEXT;
    if (fits) this.#text += length;
    else this.#dropped.arguments++;
    process.execs.push({
      at: initial ? 0 : this.#now(),
      executable,
      argv: fits ? argv : [],
      argvCut: argvCut || (!fits && argv.length > 0),
    });
    if (initial) process.start = 0;
  }

  #exited({ pid, code, signal, usage }: ProcessExitEvent): void {
    const process = this.#byPid.get(pid);
    if (process === undefined) return;
    this.#byPid.delete(pid);
    process.end = this.#now();
    process.code = code;
    process.signal = signal;
    process.usage = usage;
  }

  #refused(violation: Violation): void {
    const { syscall, path, to, address, port, signal, errno, rule, reason, access, suggestion, hook, probe, pid } =
      violation;
    const program = violation.executable ?? '';
    const { dry } = violation;
    const key = JSON.stringify([
      syscall,
      access,
      path,
      to,
      address,
      port,
      signal,
      errno,
      rule,
      reason,
      program,
      probe,
      dry,
      violation.arguments,
    ]);
    const now = this.#now();
    const id = this.#byPid.get(pid)?.id;
    const known = this.#refusals.get(key);
    if (known !== undefined) {
      known.count++;
      known.last = now;
      if (id !== undefined && known.processes.length < MANY_OF_REFUSAL && !known.processes.some((by) => by.id === id))
        known.processes.push({ id, first: now });
      return;
    }
    if (this.#refusals.size >= MANY_REFUSALS) {
      this.#dropped.refusals++;
      return;
    }
    this.#refusals.set(key, {
      syscall,
      ...(access !== undefined && { access }),
      ...(path !== undefined && { path }),
      ...(to !== undefined && { to }),
      ...(address !== undefined && { address }),
      ...(port !== undefined && { port }),
      ...(signal !== undefined && { signal }),
      ...(errno !== undefined && { errno }),
      ...(rule !== undefined && { rule }),
      ...(reason !== undefined && { reason }),
      ...(suggestion !== undefined && { suggestion }),
      ...(hook !== undefined && { hook }),
      message: violation.message,
      program,
      probe,
      ...(dry && { dry }),
      count: 1,
      first: now,
      last: now,
      processes: id === undefined ? [] : [{ id, first: now }],
    });
  }

  /** As the supervisor has counted them, where it was asked to. */
  async #accesses(): Promise<ReportAccess[] | undefined> {
    try {
      const accesses = await this.#child.accesses();
      this.#dropped.accesses = accesses.truncated;
      // Without what JSON does not keep.
      return accesses.map(({ pathBytes, ofFolder, ...access }) => access);
    } catch {
      return undefined; // It was not asked to, or is lost.
    }
  }

  #report(
    duration: number,
    plan: Awaited<ReturnType<SandboxedProcess['plan']>> | undefined,
    accesses: ReportAccess[] | undefined,
  ): Report {
    const child = this.#child;
    const { exitCode, signalCode, limit, engine, usage } = child;
    const notStarted = exitCode !== null && exitCode < 0;
    return {
      format: 'holdfast-report',
      version: 1,
      holdfast: packageVersion(),
      command: child.spawnfile,
      argv: [...child.spawnargs],
      started: this.#started,
      duration,
      exitCode: notStarted ? null : exitCode,
      signal: signalCode,
      ...(notStarted && { problem: errnoName(-exitCode) }),
      ...(limit !== undefined && { limit }),
      ...(engine !== undefined && { engine }),
      fromStart: this.#fromStart,
      processes: this.#processes,
      ...(accesses !== undefined && { accesses }),
      refusals: [...this.#refusals.values()],
      limits: plan?.limits ?? [],
      limitsReached: this.#limits,
      ...(usage !== undefined && { usage }),
      ...(plan !== undefined && { layers: plan.classes }),
      warnings: this.#warnings,
      hookErrors: this.#hookErrors,
      dropped: this.#dropped,
    };
  }
}

/**
 * Records what a tree does: its processes, refusals, limits and usage, and with the option `record` of the spawn what it read,
 * wrote and connected to. Call it in the tick of the spawn: what was before is not in it, and the page says so.
 *
 * Arguments of programs are in it, with whatever secrets a program is given there; the environment and contents are not.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION` if it is no {@link SandboxedProcess}.
 */
export function report(child: SandboxedProcess): ReportRecorder {
  if (!(child instanceof SandboxedProcess)) {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', 'report(child): child is what spawnSandboxed() returns');
  }
  return new Recorder(child);
}
