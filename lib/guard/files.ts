// Files that a package can have made are read only if they are regular: a FIFO in place of one would hold up the guard for ever.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** The text of a regular file that is no link. @throws What Node's fs does, or an error that says what it is not. */
export function regularText(path: string, links: 'follow' | 'refuse' = 'refuse'): string {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  const file = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (links === 'refuse' ? O_NOFOLLOW : 0));
  try {
    if (!fstatSync(file).isFile()) throw new Error(`${path} is no regular file`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
