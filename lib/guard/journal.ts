// What guarded scripts did, kept for the end of an install: package managers swallow what the scripts of dependencies print.
// A file for each run of a package manager, a line for each script, in node_modules/.cache/holdfast-guard of the project.
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Violation } from '../index.ts';
import { regularText } from './files.ts';

/** One thing that a script tried and was refused. */
export interface Try {
  /** The right that was missing, or the system call where there is no such right. */
  what: string;
  /** The path, the address, or what else the call was about. */
  on: string;
  /** The program that tried. */
  program?: string;
  count: number;
  /** It only looked whether something is there. */
  look: boolean;
}

export interface Entry {
  /** Milliseconds since 1970. */
  time: number;
  package: string;
  folder: string;
  event: string;
  script: string;
  /** How it ended; null for a signal. */
  code: number | null;
  signal: string | null;
  durationMs: number;
  /** The key of the exception that was in force. */
  exception?: string;
  /** What the reader should know besides. */
  notes: string[];
  tries: Try[];
  /** Tries that are not listed. */
  more: number;
  /** Looks that are not listed. */
  moreLooks?: number;
  skipped?: true;
}

const MOST_TRIES = 200;

/**
 * It only looked, or searched PATH. `probe` says more of a program that means well: that it did without what it wanted to read.
 * Who reads keys means no good, however that is answered.
 */
const isLook = ({ access, syscall, probe }: Violation) =>
  access === 'metadata' || /^(?:access|faccessat2?)$/.test(syscall) || (access === 'exec' && probe);

function subjectOf({ path, to, address, port, signal, targetPid, arguments: args, reason }: Violation): string {
  if (path !== undefined) return to === undefined ? path : `${path} -> ${to}`;
  if (address !== undefined) return port === undefined ? address : `${address} port ${port}`;
  if (signal !== undefined) return `${signal} to process ${targetPid}`;
  return (
    Object.entries(args ?? {})
      .map(([name, value]) => `${name} ${value}`)
      .join(', ') ||
    (reason ?? '')
  );
}

/** Counts what is refused, by what was tried. */
export class Tries {
  // Apart: looks, of which there can be any number, must not push out what was tried.
  readonly #tries = new Map<string, Try>();
  readonly #looks = new Map<string, Try>();
  #more = 0;
  #moreLooks = 0;

  add(violation: Violation): void {
    const what = violation.access ?? violation.syscall;
    // Who looks for other processes looks at all of them.
    const on = subjectOf(violation).replace(/^\/proc\/\d+(?=\/|$)/, '/proc/PID');
    const key = `${what}\0${on}`;
    const look = isLook(violation);
    const list = look ? this.#looks : this.#tries;
    const found = list.get(key);
    if (found !== undefined) found.count += 1;
    else if (list.size < MOST_TRIES) list.set(key, { what, on, program: violation.executable, count: 1, look });
    else if (look) this.#moreLooks += 1;
    else this.#more += 1;
  }

  get list(): Try[] {
    return [...this.#tries.values(), ...this.#looks.values()];
  }

  get more(): number {
    return this.#more;
  }

  get moreLooks(): number {
    return this.#moreLooks;
  }
}

/** What was more than a look. */
export const refusedIn = (entry: Pick<Entry, 'tries' | 'more'>) =>
  entry.tries.filter(({ look }) => !look).length + entry.more;

export function folderOf(project: string | undefined): string {
  return project === undefined
    ? join(homedir(), '.cache/holdfast-guard')
    : join(project, 'node_modules/.cache/holdfast-guard');
}

/** The run that a script belongs to: named by who has started the package manager, else by that process and its start. */
export function fileOf(folder: string, env: NodeJS.ProcessEnv): string {
  if (env.HOLDFAST_GUARD_LOG) return env.HOLDFAST_GUARD_LOG;
  let start = '0';
  try {
    // proc_pid_stat(5): field 22, counted behind the name, which may hold anything.
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
    start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    // It has ended already.
  }
  return join(folder, `${start.padStart(12, '0')}-${process.ppid}.jsonl`);
}

const MOST_RUNS = 20;

/** @throws What Node's fs does. */
export function append(file: string, entry: Entry): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  appendFileSync(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  for (const old of runsIn(folder).slice(MOST_RUNS)) rmSync(old, { force: true });
}

/** The files of runs, the newest first. */
export function runsIn(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  } catch {
    return [];
  }
  const timed = names.map((name) => {
    const path = join(folder, name);
    return { path, time: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  return timed.sort((one, other) => other.time - one.time).map(({ path }) => path);
}

/** What a line holds; nothing, if whoever wrote it was ended meanwhile. */
function entryOf(line: string): Entry[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as Entry];
  } catch {
    process.stderr.write(`holdfast-guard: a line of the log cannot be read: ${line.slice(0, 80)}\n`);
    return [];
  }
}

/** The scripts of a run; none if there is no such file. */
export function entriesOf(file: string): Entry[] {
  let text: string;
  try {
    text = regularText(file);
  } catch {
    return [];
  }
  return text.split('\n').flatMap(entryOf);
}
