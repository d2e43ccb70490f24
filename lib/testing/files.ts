// The private folder: made from data, looked at before and after a run, removed.
import * as childProcess from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  cpSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import { wrong } from './problems.ts';

/** As it was: not one that a sandbox was put in place of (sandboxedChildProcess). */
const { spawnSync } = childProcess;

/**
 * Files as data: contents by name. A name may have slashes; an object is a folder, `{}` an empty one. Contents that begin with
 * `#!` can be executed.
 */
export interface FileTree {
  [name: string]: string | Uint8Array | FileTree;
}

/** A path below `folder`, as an absolute one. */
export function inside(folder: string, path: unknown, field: string): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) throw wrong(field, path, 'must be a path');
  const absolute = resolve(folder, path);
  if (absolute === folder || absolute.startsWith(`${folder}/`)) return absolute;
  throw wrong(field, path, 'leads out of the private folder');
}

const isFolder = (value: unknown): value is FileTree =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/**
 * Does something in a folder below another, which is reached without following a link: a program may have planted some, and may be
 * planting more at this moment. `below` is relative and without `..`.
 * @param use Is given a name of that folder that leads to it and nowhere else.
 */
function at<T>(folder: string, below: string, make: boolean, use: (folder: string) => T): T {
  let descriptor = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const part of below.split('/').filter((name) => name !== '' && name !== '.')) {
      const path = `/proc/self/fd/${descriptor}/${part}`;
      if (make) {
        try {
          mkdirSync(path);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        }
      }
      const next = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      closeSync(descriptor);
      descriptor = next;
    }
    return use(`/proc/self/fd/${descriptor}`);
  } finally {
    closeSync(descriptor);
  }
}

/** The contents of a file, and never of what somebody has put there in its place: a link, or a FIFO that nobody writes to. */
function contentsOf(path: string | Buffer): Buffer {
  const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) throw new Error('is no file');
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function writeOne(folder: string, path: string, contents: string | Uint8Array): void {
  at(folder, relative(folder, dirname(path)), true, (parent) => {
    const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK;
    const descriptor = openSync(`${parent}/${basename(path)}`, flags);
    try {
      if (!fstatSync(descriptor).isFile()) throw new Error('is no file');
      writeFileSync(descriptor, contents);
      if (Buffer.from(contents.slice(0, 2)).toString() === '#!') fchmodSync(descriptor, 0o755);
    } finally {
      closeSync(descriptor);
    }
  });
}

const notOurs = new Set(['ELOOP', 'ENOTDIR', 'ENXIO']);

/** Makes what is described, and replaces what has the name already. */
export function makeFiles(folder: string, files: unknown, field: string, below = folder): void {
  if (!isFolder(files)) throw wrong(field, files, 'must be an object with contents by name');
  for (const [name, contents] of Object.entries(files)) {
    const place = `${field}[${JSON.stringify(name)}]`;
    const path = inside(below, name, place);
    if (!isFolder(contents) && typeof contents !== 'string' && !(contents instanceof Uint8Array)) {
      throw wrong(place, contents, 'must be text, bytes, or an object for a folder');
    }
    if (!isFolder(contents) && path === below) throw wrong(place, contents, 'has no name');
    try {
      if (isFolder(contents)) at(folder, relative(folder, path), true, () => {});
      else writeOne(folder, path, contents);
    } catch (error) {
      if (!notOurs.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      throw wrong(
        place,
        contents,
        'cannot be written: a link, or something else that is no file or folder, is in its way',
      );
    }
    if (isFolder(contents)) makeFiles(folder, contents, place, path);
  }
}

/** A file of the private folder as text. Links are followed as long as they lead nowhere else. */
export function readText(folder: string, path: unknown): string {
  const real = realpathSync(inside(folder, path, 'path'));
  if (!real.startsWith(`${folder}/`)) throw wrong('path', path, 'is a link that leads out of the private folder');
  return at(folder, relative(folder, dirname(real)), false, (parent) =>
    contentsOf(`${parent}/${basename(real)}`).toString(),
  );
}

/** Copies a file or folder to a name where nothing is. */
export function copyInto(folder: string, source: string, target: string): void {
  at(folder, relative(folder, dirname(target)), true, (parent) => {
    const path = `${parent}/${basename(target)}`;
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw wrong('to', target, 'is there already');
    cpSync(source, path, { recursive: true, verbatimSymlinks: true });
  });
}

/** What of a file tells that it is another one, or has been written to. */
interface Mark {
  /** Inode and mode; of what is no folder also size, time of the last change, and where a link leads. */
  readonly state: string;
  readonly folder: boolean;
  /** Of a file that was changed so lately that one more change may not show in its time. */
  readonly hash?: string;
}

/** By names of which each character is a byte: programs may give any to a file. */
export type Snapshot = ReadonlyMap<string, Mark>;

/** As it is when this is loaded: tests put another in its place. */
const RealDate = Date;

/** The kernel's clock for files goes in steps of at most 10 ms (HZ of 100). */
const COARSE_CLOCK_MS = 100;

const bytesOf = (name: string): Buffer => Buffer.from(name, 'latin1');
const placeOf = (folder: string, name: string): Buffer => Buffer.concat([Buffer.from(`${folder}/`), bytesOf(name)]);

function hashOf(path: Buffer): string | undefined {
  try {
    return createHash('sha1').update(contentsOf(path)).digest('hex');
  } catch {
    return undefined; // closed to us, too
  }
}

function markOf(path: Buffer, now: number): Mark {
  const status = lstatSync(path, { bigint: true });
  const { ino, size, mode, ctimeNs, ctimeMs } = status;
  const place = `${ino} ${mode}`;
  if (status.isDirectory()) return { state: place, folder: true };
  if (status.isSymbolicLink()) return { state: `${place} ${readlinkSync(path, 'latin1')}`, folder: false };
  const state = `${place} ${size} ${ctimeNs}`;
  const young = status.isFile() && now - Number(ctimeMs) < COARSE_CLOCK_MS;
  return { state, folder: false, ...(young && { hash: hashOf(path) }) };
}

/** Everything below a folder, by its path relative to it. */
export function snapshot(folder: string, now = RealDate.now()): Snapshot {
  const found = new Map<string, Mark>();
  const look = (below: string) => {
    let entries: string[];
    try {
      entries = readdirSync(placeOf(folder, below), 'latin1');
    } catch {
      return; // closed to us, or gone meanwhile
    }
    for (const entry of entries) {
      const name = `${below}${entry}`;
      let mark: Mark;
      try {
        mark = markOf(placeOf(folder, name), now);
      } catch {
        continue; // gone meanwhile
      }
      found.set(name, mark);
      if (mark.folder) look(`${name}/`);
    }
  };
  look('');
  return found;
}

/** What has changed below a folder: names as text, and the exact ones of those that are no UTF-8, if there are any. */
export interface Changes {
  written: string[];
  writtenBytes?: Buffer[];
  removed: string[];
  removedBytes?: Buffer[];
}

function told(names: readonly string[]): { text: string[]; exact: Buffer[] | undefined } {
  const all = names.map((name) => ({ bytes: bytesOf(name), text: bytesOf(name).toString() }));
  all.sort((one, other) => (one.text === other.text ? one.bytes.compare(other.bytes) : one.text < other.text ? -1 : 1));
  const exact = all.filter(({ bytes, text }) => !Buffer.from(text).equals(bytes)).map(({ bytes }) => bytes);
  return { text: all.map(({ text }) => text), exact: exact.length > 0 ? exact : undefined };
}

/** What was made or changed, and what is not there any more. A folder that was made counts where nothing lies in it. */
export function changes(folder: string, before: Snapshot): Changes {
  const after = snapshot(folder, Number.POSITIVE_INFINITY);
  const parents = new Set([...after.keys()].map((name) => dirname(name)));
  const written = [...after].filter(([name, mark]) => {
    const old = before.get(name);
    if (old === undefined) return !parents.has(name);
    if (old.state !== mark.state) return true;
    return old.hash !== undefined && old.hash !== hashOf(placeOf(folder, name));
  });
  const made = told(written.map(([name]) => name));
  const gone = told([...before.keys()].filter((name) => !after.has(name)));
  return {
    written: made.text,
    ...(made.exact && { writtenBytes: made.exact }),
    removed: gone.text,
    ...(gone.exact && { removedBytes: gone.exact }),
  };
}

/** Removes a folder, whatever modes a program has given to what lies in it, and however deep that is. */
export function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
    return;
  } catch {}
  // Node goes by paths, which may not be longer than PATH_MAX; these go from folder to folder, and through no link.
  spawnSync('chmod', ['-R', 'u+rwx', '--', folder], { stdio: 'ignore' });
  spawnSync('rm', ['-rf', '--', folder], { stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
}
