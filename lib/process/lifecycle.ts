// What the processes of a tree live through: events, and an iterator that keeps pace with who reads it.
import type { NativeRecord } from '../native/native.ts';
import { number, optionalNumber, text } from '../native/records.ts';
import { signalName } from '../native/signals.ts';
import { argvOf } from './processes.ts';
import { type ProcessUsage, processUsage } from './usage.ts';

interface OfProcess {
  readonly pid: number;
  /** If it is in the tree: undefined for the command, and for who has outlived its parent. */
  readonly parent: number | undefined;
  /** Canonical path of the program that it runs. */
  readonly executable: string;
}

/** A process was made: it runs what its parent does. */
export interface ForkEvent extends OfProcess {
  readonly type: 'fork';
}

/** A process runs another program: its first instruction is next. */
export interface ExecEvent extends OfProcess {
  readonly type: 'exec';
  /** As the process shows them: as many of the first as fit into some 24 KiB. */
  readonly argv: readonly string[];
  /** Whether there are more. */
  readonly argvCut: boolean;
  /** The command's own start. */
  readonly initial: boolean;
}

/** A process has ended. */
export interface ProcessExitEvent extends OfProcess {
  readonly type: 'exit';
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it had used by itself; `peakMemory` is at least that of the children that it waited for. */
  readonly usage: ProcessUsage;
}

export type LifecycleEvent = ForkEvent | ExecEvent | ProcessExitEvent;

/** native/protocol/protocol.h: Life, LifeMode. */
const EXEC = 1;
const EXIT = 2;
const QUIET = 0;
const TOLD = 1;
const HELD_BACK = 2;

/** So many wait for who iterates; then the tree waits, until it has taken all but a few. */
const MANY = 1024;
const FEW = 256;

export function lifecycleEvent(record: NativeRecord): LifecycleEvent {
  const about = {
    pid: number(record, 'pid'),
    parent: optionalNumber(record, 'parent'),
    executable: text(record, 'executable'),
  };
  switch (number(record, 'life')) {
    case EXEC:
      return { type: 'exec', ...about, ...argvOf(record), initial: number(record, 'initial') === 1 };
    case EXIT: {
      const signal = optionalNumber(record, 'signal');
      const code = signal === undefined ? number(record, 'code') : null;
      const name = signal === undefined ? null : signalName(signal);
      return { type: 'exit', ...about, code, signal: name, usage: processUsage(record) };
    }
    default:
      return { type: 'fork', ...about };
  }
}

type Result = IteratorResult<LifecycleEvent, undefined>;

class Reader implements AsyncIterableIterator<LifecycleEvent, undefined, undefined> {
  readonly #owner: Lifecycle;
  readonly #events: LifecycleEvent[] = [];
  /** How many of them were taken. */
  #taken = 0;
  readonly #waiting: ((result: Result) => void)[] = [];
  #ended = false;

  constructor(owner: Lifecycle) {
    this.#owner = owner;
  }

  get backlog(): number {
    return this.#events.length - this.#taken;
  }

  push(event: LifecycleEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting({ done: false, value: event });
    else this.#events.push(event);
  }

  end(): void {
    this.#ended = true;
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  next(): Promise<Result> {
    const event = this.#events[this.#taken];
    if (event !== undefined) {
      this.#taken++;
      if (this.#taken > FEW || this.#taken === this.#events.length) {
        this.#events.splice(0, this.#taken);
        this.#taken = 0;
      }
      this.#owner.look();
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<Result> {
    this.#events.length = this.#taken = 0;
    this.end();
    this.#owner.forget(this);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** Who listens to a tree's processes, and how much the supervisor is to tell of them. */
export class Lifecycle {
  readonly #readers = new Set<Reader>();
  readonly #switch: (mode: number) => void;
  readonly #listened: () => boolean;
  #mode = QUIET;
  #begun = false;
  #over = false;

  /** @param switchTo Tells the supervisor, once the command runs. @param listened Whether anybody hears the events. */
  constructor(switchTo: (mode: number) => void, listened: () => boolean) {
    this.#switch = switchTo;
    this.#listened = listened;
  }

  read(): AsyncIterableIterator<LifecycleEvent, undefined, undefined> {
    const reader = new Reader(this);
    if (this.#over) reader.end();
    else this.#readers.add(reader);
    this.look();
    return reader;
  }

  /** By the end of the spawn's tick: whether anybody hears. */
  begin(): boolean {
    this.#begun = true;
    const wanted = this.#wanted();
    if (wanted) this.#mode = TOLD;
    return wanted;
  }

  told(event: LifecycleEvent): void {
    for (const reader of this.#readers) reader.push(event);
    this.look();
  }

  /** Whether more or less is to be told than before. */
  look(): void {
    if (!this.#begun || this.#over) return;
    let mode = this.#wanted() ? TOLD : QUIET;
    const backlog = Math.max(0, ...[...this.#readers].map((reader) => reader.backlog));
    if (mode !== QUIET && backlog > (this.#mode === HELD_BACK ? FEW : MANY)) mode = HELD_BACK;
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#switch(mode);
  }

  forget(reader: Reader): void {
    this.#readers.delete(reader);
    this.look();
  }

  end(): void {
    this.#over = true;
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
  }

  #wanted(): boolean {
    return this.#readers.size > 0 || this.#listened();
  }
}
