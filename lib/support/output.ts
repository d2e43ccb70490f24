// Files that are named before a program runs and written after it: whatever it has put in their place meanwhile, no link is
// followed and nothing is waited for.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** fcntl.h, the same on both architectures; Node does not name it. It needs no right to list the folder. */
const O_PATH = 0o10000000;

/** A descriptor of this process, by its text: what a path leads to may be another's choice. */
const descriptor = /^(?:\/dev\/fd|\/proc\/self\/fd)\/(\d+)$|^\/dev\/(stdout|stderr)$/;

export class Output {
  readonly #write: (text: string) => string | undefined;
  readonly #fd: number;
  #open = true;

  private constructor(fd: number, write: (text: string) => string | undefined) {
    this.#fd = fd;
    this.#write = write;
  }

  /**
   * Opens what is no file of its own (a device, a descriptor of this process), or else the folder, in which a new file is to
   * take the name. A link in that place is replaced, not followed.
   * @param pipes Whether a FIFO is opened, which waits for a reader, or is replaced.
   * @throws What open(2) answers, as Node's errors.
   */
  static open(file: string, pipes: boolean): Output {
    const path = resolve(file);
    const [, number, name] = descriptor.exec(path) ?? [];
    if (number !== undefined || name !== undefined)
      return Output.#ofDescriptor(number === undefined ? (name === 'stdout' ? 1 : 2) : Number(number));
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory() || there?.isCharacterDevice() || there?.isBlockDevice() || (pipes && there?.isFIFO())) {
      const flags = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NOCTTY;
      const fd = openSync(path, flags | (pipes ? 0 : constants.O_NONBLOCK));
      return new Output(fd, (text) => writeTo(fd, text));
    }
    const folder = told(file, () => openSync(dirname(path), O_PATH | constants.O_DIRECTORY));
    const before = there?.isFile() ? there : undefined;
    return new Output(folder, (text) => told(file, () => replaceIn(folder, basename(path), text, before)));
  }

  static #ofDescriptor(number: number): Output {
    const kind = fstatSync(number);
    // A socket cannot be opened again, and of a file the place where others write next is to move on. It is not closed either.
    if (kind.isSocket() || kind.isFile()) return new Output(-1, (text) => writeTo(number, text));
    const fd = openSync(`/proc/self/fd/${number}`, constants.O_WRONLY | constants.O_NOCTTY);
    return new Output(fd, (text) => writeTo(fd, text));
  }

  /**
   * Once.
   * @returns The new file where there is one: its folder may have been moved. @throws What the calls answer, as Node's errors.
   */
  write(text: string): string | undefined {
    try {
      return this.#write(text);
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#open && this.#fd >= 0) closeSync(this.#fd);
    this.#open = false;
  }
}

/** An error is about the file that was named. */
function told<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const failed = error as NodeJS.ErrnoException;
    failed.message = failed.message.replace(/'.*$/s, `'${file}'`);
    failed.path = file;
    throw failed;
  }
}

function writeTo(fd: number, text: string): undefined {
  writeFileSync(fd, text);
}

/** In one step: who reads it meanwhile finds the old one or the new one. */
function replaceIn(folder: number, name: string, text: string, before: Stats | undefined): string {
  const at = `/proc/self/fd/${folder}`;
  const next = `${at}/.holdfast-${randomBytes(9).toString('hex')}`;
  const fd = openSync(next, 'wx');
  try {
    try {
      if (before !== undefined) fchmodSync(fd, before.mode & 0o777);
      writeFileSync(fd, text);
    } finally {
      closeSync(fd);
    }
    renameSync(next, `${at}/${name}`);
    return join(readlinkSync(at), name);
  } catch (error) {
    try {
      unlinkSync(next);
    } catch {
      // The first error is the one to tell.
    }
    throw error;
  }
}
