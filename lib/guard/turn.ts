// Package managers run scripts side by side, and a package may write into the folders of what lies within its own: it could put a
// link there between the guard's look at a folder and the sandbox's. So the scripts of packages within each other take turns.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../index.ts';

/** Longer than any build takes; somebody else who holds the name holds up nobody for ever. */
const LONGEST = 60 * 60_000;

/** Whether the name is this process's now. A name without a file goes with its process (unix(7), abstract sockets). */
function take(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(`\0${name}`, () => {
      server.unref();
      resolve(true);
    });
  });
}

/**
 * Waits until no other script of these packages runs; this process has its turn until its end.
 * @param outermost The folder of the package that holds the others.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_GUARD` after an hour.
 */
export async function turnIn(outermost: string, longest = LONGEST): Promise<void> {
  const user = process.getuid?.() ?? 0;
  const name = `holdfast-guard-${user}-${createHash('sha256').update(outermost).digest('hex').slice(0, 32)}`;
  const end = Date.now() + longest;
  while (!(await take(name))) {
    if (Date.now() > end) {
      throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `another script in ${outermost} does not come to its end`);
    }
    await sleep(20);
  }
}
