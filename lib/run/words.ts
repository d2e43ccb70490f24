// A command as one would type it.
import { visible } from '../process/violation.ts';

const plain = /^[\w@%+=:,./-]+$/;

/** As one word of a shell's line. */
export function shellWord(text: string): string {
  if (plain.test(text)) return text;
  return `'${visible(text.replaceAll("'", "'\\''"))}'`;
}

/** In one line, quoted where a shell would need it, to be read: what is not printable is made visible. */
export const commandLine = (command: string, args: readonly string[]): string =>
  [command, ...args].map(shellWord).join(' ');
