// When everything is over: the command, its streams, the tree. The supervisor's own end, which follows, tells nothing new.

import type { Readable } from 'node:stream';
import type { Inner } from './launched.ts';

export class Ending {
  readonly #inner: Inner | undefined;
  readonly #ready: () => boolean;
  readonly #over: () => void;
  /** The command's streams that have not closed yet. */
  #openStreams = 0;
  #empty = false;
  #told = false;

  /** @param ready Whether the command has ended and nothing speaks against saying so. */
  constructor(inner: Inner | undefined, ready: () => boolean, over: () => void) {
    this.#inner = inner;
    this.#ready = ready;
    this.#over = over;
    if (inner === undefined) return;
    inner.on('close', () => this.now());
    for (const stream of readableStreams(inner)) {
      this.#openStreams++;
      stream.once('close', () => {
        this.#openStreams--;
        this.#look();
      });
    }
  }

  get told(): boolean {
    return this.#told;
  }

  /** Nothing of the tree is left. */
  treeIsEmpty(): void {
    this.#empty = true;
    if (this.#openStreams === 0) this.#look();
    else process.nextTick(() => this.#flushStreams());
  }

  now(): void {
    if (this.#told) return;
    this.#told = true;
    this.#over();
  }

  #look(): void {
    // An IPC channel closes with the supervisor only.
    if (this.#empty && this.#ready() && this.#openStreams === 0 && this.#inner?.channel == null) this.now();
  }

  /** As Node does when a child has ended: output that nobody reads must not keep its stream from closing. */
  #flushStreams(): void {
    if (this.#inner === undefined) return;
    // Null: nobody has begun to read it, paused it, or passed it on to another child. The others Node sees to itself.
    for (const stream of readableStreams(this.#inner)) if (stream.readableFlowing === null) stream.resume();
  }
}

/** The command's output, and what else it can be read from, as Node counts them before `close`. */
function readableStreams(inner: Inner): Readable[] {
  // Without a descriptor left for them there is no list at all.
  return (inner.stdio ?? []).slice(1).filter((stream): stream is Readable => stream != null) as Readable[];
}
