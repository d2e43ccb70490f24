// What a command of this package exits with where the program has no exit code of its own, as shells count it.
import { statSync } from 'node:fs';
import { join } from 'node:path';

/** Holdfast's own failures, as env(1), nice(1) and timeout(1) count theirs. */
export const OWN_FAILURE = 125;
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

const isThere = (file: string) => {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
};

/**
 * Of a program that did not start. execvp(3) answers EACCES also where a folder of PATH may not be looked into, as root's
 * own may be there in a user's; shells say then that there is no such program.
 */
export function exitCodeOfStart(error: { code?: string; path?: string }, path = process.env.PATH): number {
  const { code, path: command } = error;
  if (code === 'ENOENT') return NOT_FOUND;
  if (code !== 'EACCES' || command === undefined || command.includes('/')) return NOT_EXECUTABLE;
  return path?.split(':').some((folder) => isThere(join(folder, command))) ? NOT_EXECUTABLE : NOT_FOUND;
}
