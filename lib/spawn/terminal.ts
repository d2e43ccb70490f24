// Whether a command is given the terminal that /dev/tty would mean to it.
import { fstatSync, readFileSync } from 'node:fs';
import { isatty } from 'node:tty';

/** /dev/tty itself: 5, 0 (devices.txt). */
const DEV_TTY = 0x500;

/** The descriptor of this process that the command inherits at a place of its stdio, if it is one. */
function inherited(entry: unknown, place: number): number | undefined {
  if (entry === 'inherit') return place;
  if (typeof entry === 'number') return entry;
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { fd, _handle } = entry as { fd?: unknown; _handle?: { fd?: unknown } | null };
  const number = typeof fd === 'number' ? fd : _handle?.fd;
  return typeof number === 'number' ? number : undefined;
}

export const hasControllingTerminal = (): boolean => controllingTerminal() !== 0;

/** The device of this process's controlling terminal, as `st_rdev` has it; 0 without one, or without /proc, where nothing starts. */
function controllingTerminal(): number {
  let stat: string;
  try {
    stat = readFileSync('/proc/self/stat', 'latin1');
  } catch {
    return 0;
  }
  // The name in parentheses may hold anything (proc_pid_stat(5)): tty_nr is the fifth field behind it.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4]);
}

/**
 * Some of its stdio is a terminal, and /dev/tty is no other one: with a terminal of the caller's own making in its stdio,
 * the command's controlling terminal is still that of this process, where a user types.
 */
export function givesTerminal(stdio: readonly unknown[], detached: boolean): boolean {
  const terminals: number[] = [];
  for (const [place, entry] of stdio.entries()) {
    const fd = inherited(entry, place);
    if (fd !== undefined && fd >= 0 && isatty(fd)) terminals.push(fstatSync(fd).rdev);
  }
  if (terminals.length === 0) return false;
  // In a session of its own it has none to begin with.
  if (detached) return true;
  const own = controllingTerminal();
  return own === 0 || terminals.includes(own) || terminals.includes(DEV_TTY);
}
