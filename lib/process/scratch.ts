// A folder for temporary files of one sandbox's own (policy.scratch).
import { chmodSync, chownSync, mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { chmod, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessBits } from '../policy/policy.ts';
import type { Spawn } from './plan.ts';

/**
 * Makes it, for the command's user alone, and gives it to the command: by a rule, and by name.
 * @returns Its canonical path.
 * @throws What mkdtemp(3) and chown(2) answer, as Node's errors.
 */
export function makeScratch({ passed, rules }: Spawn): string {
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
  return path;
}

/** For chown(2). What is no id Node's own spawn refuses, in its own words. */
const id = (given: unknown) => (Number.isInteger(given) ? (given as number) : -1);

/** When nothing of the tree is left that could put something into it again. Why it is still there, if it is. */
export async function removeScratch(path: string): Promise<NodeJS.ErrnoException | undefined> {
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5 });
  try {
    await remove();
  } catch {
    try {
      // Whoever made them may have closed them.
      await openFolders(path);
      await remove();
    } catch (error) {
      return error as NodeJS.ErrnoException;
    }
  }
  return undefined;
}

async function openFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await openFolders(join(folder, entry.name));
  }
}
