// What is asked of a supervisor while its command runs, and who waits for the answers. Nobody waits for ever: what is not
// answered when the tree is gone is refused.
import { errnoName, HoldfastError } from '../errors.ts';
import { FieldWriter } from '../native/fields.ts';
import type { Native, NativeChannel, NativeRecord } from '../native/native.ts';
import { number, text } from '../native/records.ts';

/** Answers that are on their way at once; what is asked meanwhile waits. */
const MOST_AT_ONCE = 64;

/** The supervisor's answer is that it is not possible. */
export class RequestRefused extends Error {
  /** Positive. */
  readonly errno: number;

  constructor(errno: number, reason: string) {
    super(`${reason} (${errnoName(errno)})`);
    this.errno = errno;
  }
}

type Fill = (fields: FieldWriter) => void;

interface Waiting {
  readonly kind: string;
  readonly fill: Fill | undefined;
  readonly policy: (() => Uint8Array) | undefined;
  onFirst?: (() => void) | undefined;
  readonly parts: NativeRecord[];
  resolve(parts: NativeRecord[]): void;
  reject(error: Error): void;
}

export class Requests {
  readonly #native: Native;
  readonly #file: string;
  /** Once the command runs. */
  #channel: NativeChannel | undefined;
  #listening: NativeChannel | undefined;
  #ended = false;
  #next = 1;
  readonly #asked = new Map<number, Waiting>();
  readonly #queue: Waiting[] = [];

  constructor(native: Native, file: string) {
    this.#native = native;
    this.#file = file;
  }

  /**
   * Resolves to the parts of the answer. `policy`: as for `configure`, if it is about one. Rejects with a
   * {@link RequestRefused}, or with `ERR_HOLDFAST_NOT_RUNNING` if the tree is gone before it is answered.
   */
  ask(kind: string, fill?: Fill, policy?: () => Uint8Array): Promise<NativeRecord[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#notRunning());
      this.#queue.push({ kind, fill, policy, parts: [], resolve, reject });
      this.#send();
    });
  }

  /**
   * The same for a question that is answered in two steps, of which the first is not to be kept waiting. `onFirst` is
   * called once, at the latest when nothing more is to come.
   */
  askAtOnce(kind: string, fill: Fill, onFirst: () => void): Promise<NativeRecord[]> {
    return new Promise((resolve, reject) => {
      const waiting = { kind, fill, policy: undefined, onFirst, parts: [], resolve, reject };
      if (this.#ended || this.#channel === undefined) {
        onFirst();
        return this.#ended ? reject(this.#notRunning()) : this.#queue.push({ ...waiting, onFirst: undefined });
      }
      this.#sendOne(this.#channel, waiting);
    });
  }

  /**
   * The same for a hook's question about its call, which the supervisor has told of: it listens, though the command may not
   * run yet, and may wait for that very hook.
   */
  askOfCall(kind: string, fill: Fill): Promise<NativeRecord[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended || this.#listening === undefined) return reject(this.#notRunning());
      this.#sendOne(this.#listening, { kind, fill, policy: undefined, parts: [], resolve, reject });
    });
  }

  /** Whom hooks can ask. */
  listen(channel: NativeChannel): void {
    this.#listening = channel;
  }

  /** The command runs: what was asked before is asked now. */
  begin(channel: NativeChannel): void {
    this.#channel = channel;
    this.#send();
  }

  told(record: NativeRecord): void {
    const id = number(record, 'request');
    const waiting = this.#asked.get(id);
    if (waiting === undefined) return;
    waiting.parts.push(record);
    first(waiting);
    if (number(record, 'more') === 1) return;
    this.#asked.delete(id);
    const errno = number(record, 'errno');
    if (errno === 0) waiting.resolve(waiting.parts);
    else waiting.reject(new RequestRefused(errno, text(record, 'reason')));
    this.#send();
  }

  /** Nothing answers any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const left = [...this.#asked.values(), ...this.#queue.splice(0)];
    this.#asked.clear();
    for (const waiting of left) {
      first(waiting);
      waiting.reject(this.#notRunning());
    }
  }

  #send(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    while (this.#queue.length > 0 && this.#asked.size < MOST_AT_ONCE) {
      this.#sendOne(channel, this.#queue.shift() as Waiting);
    }
  }

  #sendOne(channel: NativeChannel, waiting: Waiting): void {
    const id = this.#next++;
    const kind = this.#native.requestKinds[waiting.kind];
    if (kind === undefined) throw new Error(`there is no request ${waiting.kind} in native/protocol/requests.def`);
    const fields = new FieldWriter(this.#native.fields).number('request', id).number('kind', kind);
    waiting.fill?.(fields);
    this.#asked.set(id, waiting);
    const policy = waiting.policy;
    // One writer writes at a time.
    const asked = policy === undefined ? fields.finish() : Uint8Array.from(fields.finish());
    if (policy === undefined ? channel.request(asked) : channel.request(asked, policy())) return;
    this.#asked.delete(id);
    first(waiting);
    waiting.reject(this.#notRunning());
  }

  #notRunning(): HoldfastError {
    return new HoldfastError('ERR_HOLDFAST_NOT_RUNNING', `${this.#file} is not running: it cannot be asked`);
  }
}

function first(waiting: Waiting): void {
  const { onFirst } = waiting;
  waiting.onFirst = undefined;
  onFirst?.();
}
