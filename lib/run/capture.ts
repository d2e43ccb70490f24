// What comes out of a command, kept until its end, and never more of it than was asked for.
import type { Readable } from 'node:stream';

/** Which stream printed more than `maxBuffer`. */
export type Overflow = 'stdout' | 'stderr';

/** What is kept of a command's streams. */
export class Capture {
  readonly #parts: { readonly stdout?: Buffer[]; readonly stderr?: Buffer[]; readonly all?: Buffer[] };
  readonly #sizes = { stdout: 0, stderr: 0 };
  readonly #most: number;
  readonly #overflowed: (stream: Overflow) => void;
  readonly #whole: boolean;
  /** The first that has printed too much. */
  overflow: Overflow | undefined;
  /** What kept a stream from being read to its end. */
  error: Error | undefined;

  /**
   * @param streams Those that there are.
   * @param most Bytes of each.
   * @param overflowed Called once, when the first byte too many has come.
   * @param whole Whether what came with it is kept.
   */
  constructor(
    streams: Readonly<Record<Overflow, Readable | null>>,
    most: number,
    all: boolean,
    overflowed: (stream: Overflow) => void,
    whole = false,
  ) {
    this.#most = most;
    this.#overflowed = overflowed;
    this.#whole = whole;
    const { stdout, stderr } = streams;
    this.#parts = {
      ...(stdout !== null && { stdout: [] }),
      ...(stderr !== null && { stderr: [] }),
      ...(all && (stdout ?? stderr) !== null && { all: [] }),
    };
    this.#read('stdout', stdout);
    this.#read('stderr', stderr);
  }

  #read(name: Overflow, stream: Readable | null): void {
    stream?.on('data', (chunk: Buffer | string) =>
      this.#take(name, Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)),
    );
    stream?.on('error', (error) => {
      this.error ??= error;
    });
  }

  // What comes after the limit is read all the same, so that the streams come to their end.
  #take(name: Overflow, chunk: Buffer): void {
    const left = this.#most - this.#sizes[name];
    const isWhole = chunk.length <= left || (this.#whole && this.overflow === undefined);
    const kept = isWhole ? chunk : chunk.subarray(0, Math.max(0, left));
    this.#sizes[name] += kept.length;
    if (kept.length > 0) {
      this.#parts[name]?.push(kept);
      this.#parts.all?.push(kept);
    }
    if (chunk.length <= left || this.overflow !== undefined) return;
    this.overflow = name;
    this.#overflowed(name);
  }

  /** What there was; undefined of a stream that is not ours to read. */
  bytes(name: Overflow | 'all'): Buffer | undefined {
    const parts = this.#parts[name];
    return parts && Buffer.concat(parts);
  }
}
