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
  /** Why, without the errno. */
  readonly reason: string;

  constructor(errno: number, reason: string) {
    super(`${reason} (${errnoName(errno)})`);
    this.errno = errno;
    this.reason = reason;
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

interface AskOptions {
  /** As for `configure`, of a question about one. */
  readonly policy?: () => Uint8Array;
  /**
   * Of a question that is answered in two steps, of which the first is not to be kept waiting: called once, at the latest
   * when nothing more is to come.
   */
  readonly onFirst?: () => void;
  /**
   * A hook asks about its call, of which the supervisor has told: it listens, though the command may not run yet, and may
   * wait for that very hook.
   */
  readonly ofCall?: boolean;
}

export class Requests {
  readonly #native: Native;
  readonly #file: string;
  /** Once the command runs. */
  #channel: NativeChannel | undefined;
  #listening: NativeChannel | undefined;
  #ended = false;
  #refusal: ((kind: string) => Error) | undefined;
  #next = 1;
  readonly #asked = new Map<number, Waiting>();
  readonly #queue: Waiting[] = [];

  constructor(native: Native, file: string) {
    this.#native = native;
    this.#file = file;
  }

  /**
   * Resolves to the parts of the answer. Rejects with a {@link RequestRefused}, or with `ERR_HOLDFAST_NOT_RUNNING` if the
   * tree is gone before it is answered.
   */
  ask(kind: string, fill?: Fill, { policy, onFirst, ofCall = false }: AskOptions = {}): Promise<NativeRecord[]> {
    return new Promise((resolve, reject) => {
      if (this.#refusal !== undefined) {
        onFirst?.();
        return reject(this.#refusal(kind));
      }
      const waiting = { kind, fill, policy, onFirst, parts: [], resolve, reject };
      const channel = ofCall ? this.#listening : this.#channel;
      if (channel !== undefined && !this.#ended && (ofCall || onFirst !== undefined))
        return this.#sendOne(channel, waiting);
      first(waiting);
      if (this.#ended || ofCall) return reject(this.#notRunning());
      this.#queue.push(waiting);
      this.#send();
    });
  }

  /** Whom hooks can ask. */
  listen(channel: NativeChannel): void {
    this.#listening = channel;
  }

  /** Nothing can be asked, and this is why. */
  refuse(reason: (kind: string) => Error): void {
    this.#refusal = reason;
    for (const waiting of this.#queue.splice(0)) {
      first(waiting);
      waiting.reject(reason(waiting.kind));
    }
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
