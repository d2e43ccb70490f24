// A folder for temporary files of one sandbox's own (policy.scratch).
import { chmodSync, chownSync, constants, lstatSync, mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { chmod, type FileHandle, lstat, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessBits } from '../policy/policy.ts';
import type { Spawn } from './plan.ts';

/** Its canonical path, and what is there. */
export interface Scratch {
  path: string;
  dev: bigint;
  ino: bigint;
}

/** For chown(2). What is no id Node's own spawn refuses, in its own words. */
const id = (given: unknown) => (Number.isInteger(given) ? (given as number) : -1);

/**
 * Makes it, for the command's user alone, and gives it to the command: by a rule, and by name.
 * @throws What mkdtemp(3) and chown(2) answer, as Node's errors.
 */
export function makeScratch({ passed, rules }: Spawn): Scratch {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-'));
  try {
    chownSync(path, id(passed.uid), id(passed.gid));
    chmodSync(path, 0o700);
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  rules.files.push({ effect: 'allow', access: accessBits.read | accessBits.write, path, label: 'scratch' });
  passed.env = { ...(passed.env ?? process.env), TMPDIR: path };
  const { dev, ino } = lstatSync(path, { bigint: true });
  return { path, dev, ino };
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
  for (;;) {
    const entries = await list(top);
    if (entries.length === 0) return;
    for (const { name, isFolder } of entries) {
      const path = within(top, name);
      if (!isFolder) {
        await gone(unlink(path));
        continue;
      }
      const folder = await pin(path);
      try {
        for (const inner of await list(folder)) {
          const from = within(folder, inner.name);
          if (!inner.isFolder) {
            await gone(unlink(from));
            continue;
          }
          // A folder that moves is written to: its `..`.
          await openUp(from);
          let to: Buffer;
          do to = within(top, Buffer.from(`.moved-${moved++}`));
          while (await isThere(to));
          await gone(rename(from, to));
        }
      } finally {
        await folder.close();
      }
      await gone(rmdir(path));
    }
  }
}

interface Entry {
  name: Buffer;
  isFolder: boolean;
}

/** What is in it; whoever made it may have closed it. */
async function list(folder: FileHandle): Promise<Entry[]> {
  const path = `/proc/self/fd/${folder.fd}`;
  await chmod(path, 0o700);
  const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' });
  return entries.map((entry) => ({ name: entry.name as unknown as Buffer, isFolder: entry.isDirectory() }));
}

function within(folder: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder.fd}/`), name]);
}

async function openUp(path: Buffer): Promise<void> {
  const folder = await pin(path);
  try {
    await chmod(`/proc/self/fd/${folder.fd}`, 0o700);
  } finally {
    await folder.close();
  }
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
