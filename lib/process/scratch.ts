// A folder for temporary files of one sandbox's own (policy.scratch).
import { chmodSync, chownSync, constants, lstatSync, mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { chmod, lstat, open, readdir, rm } from 'node:fs/promises';
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
  const { path } = scratch;
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5 });
  try {
    // A tree that may write above it has given its name to something else: that is not ours to remove.
    if (!(await isStill(scratch))) return new Error('it was moved away, or replaced');
    await remove();
  } catch {
    try {
      // Whoever made them may have closed them.
      await openFolders(path);
      await remove();
    } catch (error) {
      return error as Error;
    }
  }
  return undefined;
}

async function isStill({ path, dev, ino }: Scratch): Promise<boolean> {
  try {
    const found = await lstat(path, { bigint: true });
    return found.dev === dev && found.ino === ino;
  } catch {
    return false;
  }
}

const O_PATH = 0o10000000; // open(2); the same on both architectures

async function openFolders(folder: string): Promise<void> {
  // Never through a link: by a descriptor that needs no right to what it stands for.
  const pinned = await open(folder, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await chmod(`/proc/self/fd/${pinned.fd}`, 0o700);
  } finally {
    await pinned.close();
  }
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await openFolders(join(folder, entry.name));
  }
}
