// Supervisors that are started before there is a command for them.
import { FieldWriter } from '../native/fields.ts';
import { type Native, type NativeChannel, native, supervisorIsInMemory, supervisorPath } from '../native/native.ts';
import { descriptorsOf, IGNORED, isText, joined, Launched, STREAM, surroundingsOf } from './launched.ts';
import type { Spawn } from './plan.ts';

/** What native/protocol/protocol.h has: Place, kMostPlaces. */
const MOST_PLACES = 60;
const placeOf = (descriptor: number) => (descriptor === IGNORED ? 0 : descriptor === STREAM ? 2 : 1);

/** Where the channel lies in a supervisor that is started without a command. */
const CHANNEL = 3;

/** One that waits for its command. Nobody waits for it: it ends with Node, or with `end`. */
export class ReadySupervisor {
  readonly inner: Launched;
  readonly channel: NativeChannel;
  /** It has ended. */
  gone = false;

  /** @throws A system error. */
  constructor(addon: Native) {
    this.channel = addon.createChannel();
    try {
      const where = { environment: '', directory: '/' };
      const descriptors = [IGNORED, IGNORED, IGNORED, this.channel.remoteFd];
      // Above the child's own, which are put into place before the exec.
      const copy = supervisorIsInMemory() ? addon.openSupervisor(supervisorPath(), 2 * descriptors.length) : undefined;
      const path = copy === undefined ? supervisorPath() : `/proc/self/fd/${copy}`;
      try {
        this.inner = new Launched(addon, path, [String(CHANNEL), 'ready'], where, descriptors, false);
      } finally {
        if (copy !== undefined) addon.closeSupervisor(copy);
      }
      this.inner.unref();
      this.inner.on('exit', () => {
        this.gone = true;
      });
      this.channel.closeRemote();
      this.channel.shareMemory();
    } catch (error) {
      this.channel.close();
      throw error;
    }
  }

  /** Our ends of the streams of what it was told to start, which are made while it makes its part. */
  #ends: { ends: number[]; descriptors: readonly number[] } | undefined;

  /** @throws A system error, and then it waits on. */
  tell(fields: Uint8Array, directory: string, descriptors: readonly number[]): void {
    this.#ends = { ends: this.channel.command(fields, directory, Int32Array.from(descriptors)), descriptors };
    this.inner.ref();
  }

  giveStreams(): void {
    if (this.#ends === undefined) return;
    const { ends, descriptors } = this.#ends;
    this.#ends = undefined;
    this.inner.give(ends, descriptors);
  }

  /** Of what it was told to start nothing has become. */
  abandon(): void {
    for (const stream of this.inner.stdio) stream?.destroy();
    this.inner.unref();
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.gone) return resolve();
      this.inner.on('exit', () => resolve());
      this.inner.ref();
      this.channel.close();
    });
  }
}

/** The rights with which a supervisor is started are those of its command. */
const identity = (): string =>
  [process.getuid, process.geteuid, process.getgid, process.getegid, process.getgroups].map((get) => get?.()).join();

/** So many supervisors as wait, one for each command. */
export class ReadySupervisors {
  readonly size: number;
  #waiting: ReadySupervisor[] = [];
  #identity = identity();
  #closed = false;

  constructor(size: number) {
    this.size = size;
    this.fill();
  }

  get count(): number {
    this.#waiting = this.#waiting.filter(({ gone }) => !gone);
    return this.#waiting.length;
  }

  /** As many as can be: what is missing is missed by the spawn that would have had it, which says why. */
  fill(): void {
    try {
      while (!this.#closed && this.count < this.size) this.#waiting.push(new ReadySupervisor(native()));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#waiting.splice(0).map((supervisor) => supervisor.end()));
  }

  /** One that has been told what to start, and whose streams are still to be given. Undefined if there is none, or if it is for a start of another kind. */
  take(given: Spawn): ReadySupervisor | undefined {
    const { file, args, stdio, passed, jobGroup, engine } = given;
    const [argv0 = file, ...rest] = args;
    const descriptors = descriptorsOf(stdio);
    const where = surroundingsOf(passed);
    const line = [argv0, file, ...rest];
    if (descriptors === undefined || descriptors.length > MOST_PLACES || where === undefined || !line.every(isText))
      return undefined;
    this.#forgetOtherRights();
    const fields = new FieldWriter(native().fields)
      .text('arguments', joined(line))
      .text('environment', where.environment)
      .bytes('places', Uint8Array.from(descriptors, placeOf))
      .number('group', jobGroup)
      .number('engine', engine)
      .number('umask', process.umask())
      .finish();
    for (;;) {
      const [supervisor] = this.#waiting;
      if (supervisor === undefined) return undefined;
      try {
        supervisor.tell(fields, where.directory, descriptors);
        this.#waiting.shift();
        return supervisor;
      } catch (error) {
        // It has ended unheard; else something is wrong with what it was to be told, which an ordinary start says best.
        if (!['EPIPE', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
        this.#waiting.shift();
        supervisor.channel.close();
      }
    }
  }

  /** Node has changed its ids since. */
  #forgetOtherRights(): void {
    const now = identity();
    if (now === this.#identity) return;
    this.#identity = now;
    for (const { channel } of this.#waiting.splice(0)) channel.close();
  }
}
