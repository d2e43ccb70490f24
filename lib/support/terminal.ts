// Where processes stand at their terminal. Who runs a program for somebody there has the terminal's signals, too.
import { readFileSync } from 'node:fs';
import { native } from '../native/native.ts';

interface Place {
  /** Its process group. */
  readonly group: number;
  /** That of the terminal's foreground; -1 without a terminal. */
  readonly foreground: number;
}

/** proc_pid_stat(5); undefined if the process is not there. */
export function placeOf(pid: number | 'self'): Place | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // Behind the name, which may hold anything, come state, ppid, pgrp, session, tty_nr, tpgid.
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { group: Number(group), foreground: Number(foreground) };
}

/** Whether Ctrl-C at the terminal reaches this process, and with it what it runs in its own process group. */
export function isForeground(): boolean {
  const place = placeOf('self');
  return place !== undefined && place.group === place.foreground;
}

/** Signals that a terminal sends to all of its foreground: what runs there has had them already. */
const ofTerminals: readonly string[] = ['SIGINT', 'SIGQUIT'];

/** Whether a signal that has come here came from the terminal, so that what runs in this process group is not to be sent it again. */
export const isOfTerminal = (signal: NodeJS.Signals): boolean => ofTerminals.includes(signal) && isForeground();

/** Makes this process the terminal's foreground again, where a program has made another group that and left none of it. */
export function takeForeground(): void {
  const place = placeOf('self');
  if (place === undefined || place.foreground <= 0 || place.foreground === place.group) return;
  try {
    process.kill(-place.foreground, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') native().setForeground(place.group);
  }
}
