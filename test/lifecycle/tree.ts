// Watching processes from outside: who is alive, whose child it is, and waits that end.

import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Policy } from 'holdfast';
import { expect } from 'vitest';
import { patience } from '../helpers/patience.ts';

/** A process that cannot be mistaken for a later one of the same number. */
export interface Seen {
  role: string;
  pid: number;
  start: string;
}

/** Fields of proc_pid_stat(5) after the name, which may contain anything: state, ppid, pgrp, session, … */
function statOf(pid: number | string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export const startOf = (pid: number): string => statOf(pid)?.[19] ?? 'gone';
export const stateOf = (pid: number): string => statOf(pid)?.[0] ?? 'gone';
export const parentOf = (pid: number): number => Number(statOf(pid)?.[1] ?? 0);

/** A zombie is dead: its parent only has not looked yet. */
export function alive({ pid, start }: Seen): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat[19] === start && stat[0] !== 'Z' && stat[0] !== 'X';
}

/** Processes below this one, zombies too. */
export function descendantsOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (pid: number): number[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root);
}

/** Processes that run a program (of a name that only one test uses). */
export function running(executable: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readlinkSync(`/proc/${name}/exe`) === executable;
      } catch {
        return false;
      }
    })
    .map(Number);
}

export const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** Waits until something is so, and fails with what is not so after a generous time. */
export async function until(holds: () => boolean, what: string | (() => string), milliseconds = 20_000): Promise<void> {
  const end = Date.now() + milliseconds * patience;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${milliseconds} ms: ${typeof what === 'string' ? what : what()}`);
    await sleep(5);
  }
}

/** At `close`: nothing of any tree, at most a supervisor that is about to end, and then that is gone too. */
export async function nothingLeft(): Promise<void> {
  expect(descendantsOf(process.pid).filter((pid) => parentOf(pid) !== process.pid)).toEqual([]);
  await until(
    () => descendantsOf(process.pid).length === 0,
    () => `no child is left; there are ${descendantsOf(process.pid)}`,
  );
}

export async function allGone(tree: Iterable<Seen>): Promise<void> {
  const members = [...tree];
  expect(members.length).toBeGreaterThan(0);
  await until(
    () => !members.some(alive),
    () => `everything has died; alive: ${JSON.stringify(members.filter(alive))}`,
  );
}

/** What a promise gives, or a failure that says what did not happen. */
export function within<T>(promise: Promise<T>, what: string, milliseconds = 20_000): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds * patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

interface Emitter {
  once(event: string, listener: (...args: never[]) => void): unknown;
}

/** The arguments of an event that must come. */
export function event(emitter: unknown, name: string, milliseconds = 20_000): Promise<unknown[]> {
  const came = new Promise<unknown[]>((resolve) => (emitter as Emitter).once(name, (...args) => resolve(args)));
  return within(came, `the event ${name}`, milliseconds);
}

export async function textOf(stream: Readable | null): Promise<string> {
  let text = '';
  if (stream) for await (const chunk of stream) text += chunk;
  return text;
}

/** Reads lines until one begins with this word. The stream flows on afterwards. */
export function linesUntil(stream: Readable | null, word: string): Promise<string[]> {
  const reading = new Promise<string[]>((resolve, reject) => {
    let text = '';
    stream?.on('data', (chunk) => {
      text += chunk;
      const lines = text.split('\n').slice(0, -1);
      if (lines.some((line) => line.split(' ')[0] === word)) resolve(lines);
    });
    stream?.on('end', () => reject(new Error(`the output ended before "${word}": ${text}`)));
  });
  return within(reading, `a line that begins with ${word}`);
}

/** The members of a tree made by life_tree.c, once it is whole. */
export async function treeFrom(stream: Readable | null): Promise<Map<string, Seen>> {
  const lines = await linesUntil(stream, 'ready');
  const members = lines.map((line) => line.split(' ')).filter(([role]) => role !== 'ready');
  return new Map(
    members.map(([role = '', pid]) => [role, { role, pid: Number(pid), start: startOf(Number(pid)) }] as const),
  );
}

/** The system's own: what stands before it in PATH may be a script that needs more than the policies here allow. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** What the tests' own programs need, and a folder of the test's. */
export function policyFor(...folders: string[]): Policy {
  const node = dirname(dirname(realpathSync(process.execPath)));
  return {
    files: {
      read: [node, '/proc', '/dev', '/sys', '/etc', join(root, 'build'), ...folders],
      write: ['/dev/null', '/dev/tty', ...folders],
    },
  };
}
