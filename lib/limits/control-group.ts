// A control group of the tree's own, where this process may make one (cgroups(7), Documentation/admin-guide/cgroup-v2.rst
// of the kernel). Nothing needs it: without, memory is sampled.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../native/native.ts';

/** What is set in it, by the file's name. */
export interface GroupSettings {
  /** Bytes. */
  memory?: number;
  /** Processors: 1.5 is all the time of one, and half of another's. */
  cpus?: number;
}

type Controller = 'memory' | 'cpu';

/** Where a group can be made, or why nowhere. */
export type GroupPlace = { parent: string; enable: readonly Controller[] } | { problem: string };

/** A group that was made, and what speaks for the tree's leaving it alone. */
export interface ControlGroup {
  /** Its folder. */
  readonly path: string;
  /** Where this process's own is, whose limits its children read by default. */
  readonly own: string;
  /** All mounts of the hierarchy: whoever may write there could leave the group. */
  readonly mounts: readonly string[];
}

const PERIOD = 100_000; // microseconds; the kernel's own default for cpu.max
const NAME = /^holdfast-(\d+)-(\d+)-\d+$/;

const controllersOf = ({ memory, cpus }: GroupSettings): Controller[] => [
  ...(memory === undefined ? [] : (['memory'] as const)),
  ...(cpus === undefined ? [] : (['cpu'] as const)),
];

const words = (file: string): string[] => readFileSync(file, 'latin1').trim().split(/\s+/);

/** As mountinfo writes a path (proc(5)): blanks and the like as octal numbers. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

interface Mount {
  root: string;
  place: string;
}

function hierarchyMounts(): Mount[] {
  const mounts: Mount[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const [, , , root = '', place = ''] = line.split(' ', 5);
    if (/ - cgroup2 /.test(line)) mounts.push({ root: unescaped(root), place: unescaped(place) });
  }
  return mounts;
}

/** Where a group is to be seen. One outside of what is mounted (`/../x`) is not. */
function folderOf(group: string, mounts: readonly Mount[]): string | undefined {
  if (group.split('/').includes('..')) return undefined;
  for (const { root, place } of mounts) {
    if (root === '/') return resolve(join(place, group));
    if (group === root || group.startsWith(`${root}/`)) return resolve(join(place, group.slice(root.length)));
  }
  return undefined;
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    // Both ends of a move, and what is above them, must be ours (cgroup-v2.rst, "Delegation Containment").
    accessSync(join(folder, 'cgroup.procs'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The place beside this process's own group. One that systemd looks after is nobody else's, unless it says so: it may take
 * controllers away again (systemd's CGROUP_DELEGATION document).
 */
export function findGroupPlace(settings: GroupSettings): GroupPlace {
  try {
    return place(controllersOf(settings)).place;
  } catch (error) {
    return { problem: `its control group cannot be read: ${(error as Error).message}` };
  }
}

function place(wanted: readonly Controller[]): { place: GroupPlace; own: string; mounts: Mount[] } {
  const group = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1];
  const mounts = group === undefined ? [] : hierarchyMounts();
  const own = group === undefined ? undefined : folderOf(group, mounts);
  if (own === undefined) {
    return {
      place: { problem: 'no hierarchy of cgroup v2 is mounted that has the group of this process' },
      own: '',
      mounts,
    };
  }
  const answer = (place: GroupPlace) => ({ place, own, mounts });
  // The root of all groups is the only one that may have processes and controllers for its children at once.
  const isRoot = !existsSync(join(own, 'cgroup.type'));
  const parent = isRoot ? own : dirname(own);
  if (!isRoot && mounts.some(({ place }) => place === own)) {
    return answer({
      problem: `this process is in the topmost group that it can see, ${own}, where none can be made beside it`,
    });
  }
  if (!mayWrite(parent)) return answer({ problem: `${parent} is not writable for this process` });
  const known = words(join(parent, 'cgroup.controllers'));
  const missing = wanted.filter((controller) => !known.includes(controller));
  if (missing.length > 0) return answer({ problem: `${parent} has no controller ${missing.join(' and ')}` });
  if (existsSync('/run/systemd/system') && !native().isDelegated(parent)) {
    return answer({
      problem: `${parent} is systemd's own: run Node in a unit with Delegate=yes, in a group below the unit's`,
    });
  }
  const on = words(join(parent, 'cgroup.subtree_control'));
  const enable = wanted.filter((controller) => !on.includes(controller));
  if (enable.length > 0 && !existsSync(join(parent, 'cgroup.type'))) {
    return answer({
      problem: `the controller ${enable.join(' and ')} is not enabled in the root's cgroup.subtree_control`,
    });
  }
  return answer({ parent, enable });
}

/** Field 22 of /proc/PID/stat (proc(5)): with the number it names one process for ever. */
function startTime(pid: number | 'self'): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** What Node and supervisor have left behind that were killed at once. One that is in use cannot be removed (EBUSY). */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, pid = '', start] = NAME.exec(name) ?? [];
    if (pid === '') continue;
    try {
      if (startTime(Number(pid)) === start) continue;
    } catch {
      // It is gone.
    }
    try {
      rmdirSync(join(parent, name));
    } catch {
      // In use, or somebody was faster.
    }
  }
}

let count = 0;

/**
 * Makes a group with these settings, with nobody in it yet. Undefined where there is none to be had, and where the kernel
 * refuses it (cgroup.max.descendants): what it would hold is held otherwise.
 */
export function makeControlGroup(settings: GroupSettings): ControlGroup | undefined {
  if (controllersOf(settings).length === 0) return undefined;
  let path: string | undefined;
  try {
    const { place: found, own, mounts } = place(controllersOf(settings));
    if ('problem' in found) return undefined;
    const { parent, enable } = found;
    if (enable.length > 0) {
      writeFileSync(join(parent, 'cgroup.subtree_control'), enable.map((controller) => `+${controller}`).join(' '));
    }
    removeAbandoned(parent);
    const wanted = join(parent, `holdfast-${process.pid}-${startTime('self')}-${count++}`);
    mkdirSync(wanted);
    path = wanted;
    set(wanted, settings);
    return { path, own, mounts: mounts.map(({ place }) => place) };
  } catch {
    if (path !== undefined) rmdirSync(path);
    return undefined;
  }
}

function set(path: string, { memory, cpus }: GroupSettings): void {
  const put = (file: string, value: number | string) => writeFileSync(join(path, file), String(value));
  if (memory !== undefined) {
    put('memory.max', memory);
    // Else what is swapped out would not count. Without swap accounting there is no such file.
    if (existsSync(join(path, 'memory.swap.max'))) put('memory.swap.max', 0);
    // All of it at once, not whoever is largest.
    put('memory.oom.group', 1);
  }
  if (cpus !== undefined) put('cpu.max', `${Math.round(cpus * PERIOD)} ${PERIOD}`);
}

/** Moves a process with all of its threads into it; what it makes later is there, too. */
export function enterControlGroup(group: ControlGroup, pid: number): void {
  writeFileSync(join(group.path, 'cgroup.procs'), String(pid));
}

/**
 * The most bytes that it had, if it has reached its limit, and nothing could be given back. Before its exec the command shares
 * the memory of its supervisor, which the kernel then ends with it (and counts as killed in the supervisor's group).
 */
export function ranOutOfMemory(group: ControlGroup): number | undefined {
  try {
    const events = readFileSync(join(group.path, 'memory.events'), 'latin1');
    if (!/^oom [1-9]/m.test(events)) return undefined;
    const peak = join(group.path, 'memory.peak');
    return Number(readFileSync(existsSync(peak) ? peak : join(group.path, 'memory.current'), 'latin1'));
  } catch {
    return undefined;
  }
}

/** A file of the group's own for one of this process's group; undefined for others. */
export function sameFileIn(group: ControlGroup, path: string): string | undefined {
  return dirname(path) === group.own ? join(group.path, basename(path)) : undefined;
}

/** When nothing of the tree is left. The kernel may take a moment to see that. Why it is still there, if it is. */
export async function removeControlGroup(group: ControlGroup): Promise<Error | undefined> {
  for (let left = 100; ; left--) {
    try {
      await rmdir(group.path);
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      if (code !== 'EBUSY' || left === 0) return error as Error;
      await sleep(10);
    }
  }
}
