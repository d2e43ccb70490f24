// A folder for temporary files of one sandbox's own (policy.scratch, policy.tmp).
import { chmodSync, chownSync, constants, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { chmod, type FileHandle, lstat, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessBits, type Rules } from '../policy/policy.ts';
import type { Spawn } from './plan.ts';

/** Its canonical path, and what is there. */
export interface Scratch {
  path: string;
  dev: bigint;
  ino: bigint;
}

/** What is in it with policy.tmp. */
const rooms = ['tmp', 'shm'];

/** For chown(2). What is no id Node's own spawn refuses, in its own words. */
const id = (given: unknown) => (Number.isInteger(given) ? (given as number) : -1);

/**
 * Makes it, for the command's user alone, and gives it to the command: by a rule, and by name.
 * @throws What mkdtemp(3) and chown(2) answer, as Node's errors.
 */
export function makeScratch({ passed, rules }: Spawn): Scratch {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-'));
  const made = [path];
  try {
    if (rules.tmp) {
      for (const name of rooms) {
        const folder = join(path, name);
        mkdirSync(folder, 0o700);
        made.unshift(folder);
      }
    }
    for (const folder of made) {
      chownSync(folder, id(passed.uid), id(passed.gid));
      chmodSync(folder, 0o700);
    }
  } catch (error) {
    for (const folder of made) rmdirSync(folder);
    throw error;
  }
  giveScratch(rules, path);
  passed.env = { ...(passed.env ?? process.env), TMPDIR: rules.tmp ? join(path, 'tmp') : path };
  const { dev, ino } = lstatSync(path, { bigint: true });
  return { path, dev, ino };
}

/** By rules, and by the names that lead there. */
export function giveScratch(rules: Rules, path: string): void {
  const label = rules.tmp ? 'tmp' : 'scratch';
  for (const folder of rules.tmp ? rooms.map((name) => join(path, name)) : [path])
    rules.files.push({ effect: 'allow', access: accessBits.read | accessBits.write, path: folder, label });
  if (rules.tmp) rules.leads = leadsTo(path);
}

/** Where programs look without asking. What is not there leads nowhere. */
function leadsTo(room: string): { from: string; to: string }[] {
  const leads: { from: string; to: string }[] = [];
  for (const [place, name] of [
    ['/tmp', 'tmp'],
    ['/dev/shm', 'shm'],
  ] as const) {
    try {
      const from = realpathSync(place);
      if (from !== '/' && leads.every((lead) => lead.from !== from)) leads.push({ from, to: join(room, name) });
    } catch {
      // Then nobody can have anything there.
    }
  }
  return leads;
}

/** When nothing of the tree is left that could put something into it again. Why it is still there, if it is. */
export async function removeScratch(scratch: Scratch): Promise<Error | undefined> {
  try {
    const pinned = await pin(scratch.path);
    try {
      // A tree that may write above it has given its name to something else: that is not ours to remove.
      const { dev, ino } = await pinned.stat({ bigint: true });
      if (dev !== scratch.dev || ino !== scratch.ino) return new Error('it was replaced');
      await empty(pinned);
    } finally {
      await pinned.close();
    }
    await rmdir(scratch.path);
  } catch (error) {
    return error as Error;
  }
  return undefined;
}

const O_PATH = 0o10000000; // open(2); the same on both architectures

/** A folder itself, never what a link leads to; it takes no right to what is in it. */
function pin(path: string | Buffer): Promise<FileHandle> {
  return open(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/**
 * Flat, so that no depth is too deep: what lies in a folder is removed, and the folders in it are first moved up into
 * the one that is emptied. Names are bytes, and each step is made in a pinned folder.
 */
async function empty(top: FileHandle): Promise<void> {
  let moved = 0;
  const raise = async (from: Buffer) => {
    // A folder that moves is written to: its `..`.
    await inFolder(from, openUp);
    let to: Buffer;
    do to = within(top, Buffer.from(`.moved-${moved++}`));
    while (await isThere(to));
    await gone(rename(from, to));
  };
  const flatten = async (path: Buffer) => {
    await inFolder(path, (folder) => removeFiles(folder, raise));
    await gone(rmdir(path));
  };
  while ((await removeFiles(top, flatten)) > 0);
}

/** What it held before: files, which are removed, and folders. */
async function removeFiles(folder: FileHandle, eachFolder: (path: Buffer) => Promise<void>): Promise<number> {
  await openUp(folder);
  const entries = await readdir(self(folder), { withFileTypes: true, encoding: 'buffer' });
  for (const entry of entries) {
    const path = within(folder, entry.name as unknown as Buffer);
    await (entry.isDirectory() ? eachFolder(path) : gone(unlink(path)));
  }
  return entries.length;
}

async function inFolder(path: Buffer, act: (folder: FileHandle) => Promise<unknown>): Promise<void> {
  const folder = await pin(path);
  try {
    await act(folder);
  } finally {
    await folder.close();
  }
}

/** Whoever made it may have closed it. */
function openUp(folder: FileHandle): Promise<void> {
  return chmod(self(folder), 0o700);
}

const self = (folder: FileHandle) => `/proc/self/fd/${folder.fd}`;

function within(folder: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${self(folder)}/`), name]);
}

async function isThere(path: Buffer): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

/** Somebody else may have been faster. */
async function gone(step: Promise<void>): Promise<void> {
  try {
    await step;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
