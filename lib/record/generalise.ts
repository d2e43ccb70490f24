// From what a tree has asked for to the lines that a person would write: folders in place of their files, names without
// what a machine has put into them.
import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Access } from '../process/accesses.ts';
import { isSecret, lies, secretPlaces } from './secrets.ts';

export type LearnedField =
  | 'files.read'
  | 'files.write'
  | 'files.metadata'
  | 'exec'
  | 'network.connect'
  | 'network.bind';

/** A line of a policy that a lesson has shown to be needed. */
export interface Proposal {
  readonly field: LearnedField;
  /** As it stands in the policy: `$CWD/build`, `127.0.0.1:80`. */
  readonly value: string;
  /** Who asked for it, by the names of the programs; how often each. Most often first. */
  readonly programs: readonly (readonly [program: string, calls: number])[];
  readonly calls: number;
  /** What it stands for: canonical paths, or addresses; at most ten of them. */
  readonly examples: readonly string[];
  /** How many there were. */
  readonly covers: number;
  /** The same in one line: `make 12×, cc1 40×: 31 different, such as /src/main.c`. */
  readonly reason: string;
}

/** What was asked for and is not proposed. */
export interface Omission {
  readonly access: Access['access'];
  /** A canonical path, an address, or the name of a system call. */
  readonly target: string;
  readonly program: string;
  readonly calls: number;
  /** It was refused in the lesson, too. */
  readonly refused: boolean;
  readonly reason: string;
}

export interface Places {
  /** All canonical. */
  readonly cwd: string;
  readonly home: string;
  /** Whether something that is there now is a folder; for tests of names alone. */
  readonly isFolder?: (path: string) => boolean;
}

/** What one line has gathered. */
interface Gathered {
  readonly programs: Map<string, number>;
  readonly targets: Set<string>;
}

/** So many siblings make their folder. */
const SIBLINGS = 3;
const MOST_EXAMPLES = 10;

const words =
  // 8 and more digits of a hash or a random name; a UUID
  /^[0-9a-f]{8,}$|^[0-9a-f]{8}-[0-9a-f]{4}-/i;
/** mkstemp(3) and its like: six and more characters, of which some are digits or of the other case. */
const random =
  /(?:^|[-_.])(?=[A-Za-z0-9]{6,}$)(?:[a-z]*[A-Z0-9]+[a-z]+[A-Z0-9][A-Za-z0-9]*|[A-Za-z]+[0-9]+[A-Za-z][A-Za-z0-9]*)$/;
/** A number that another run has not: a process, a time. */
const numbered = /(?:^|[-_.])[0-9]{3,}(?:[-_.]|$)/;
const twoHex = /^[0-9a-f]{2}$/;

/** Whether a name was made up by a machine: another run has another one. */
export function isMadeUp(name: string): boolean {
  const stem = name.replace(/\.(?:js|mjs|cjs|json|css|o|tmp|lock|map|pyc|html|log)$/, '');
  return [name, stem].some(
    (one) => words.test(one) || random.test(one) || numbered.test(one) || /^(?:tmp|\.tmp)[-_.A-Za-z0-9]{4,}$/.test(one),
  );
}

/** `node_modules`, `site-packages`: what lies in it is as much as what is installed. */
const packageFolder = /^(.*?\/(?:node_modules|site-packages|dist-packages|vendor\/bundle))(?:\/|$)/;

/** Where a lesson of one place is one of all. */
function ancestorsOf(path: string): string[] {
  const all: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    all.push(at);
    if (at === '/') return all;
  }
}

export class Generaliser {
  readonly #places: Places;
  readonly #secrets: string[];
  readonly #isFolder: (path: string) => boolean;

  constructor(places: Places) {
    this.#places = places;
    this.#secrets = secretPlaces(places.home);
    this.#isFolder = places.isFolder ?? ((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
  }

  /** Nobody means all of it: a place of everything, or one that holds a secret. */
  #isWide(folder: string): boolean {
    const { cwd, home } = this.#places;
    const depth = folder === '/' ? 0 : folder.split('/').length - 1;
    return (
      depth < 2 ||
      /^\/(?:var|proc|run|sys|home|etc|dev|mnt|media)(?:\/[^/]*)?$/.test(folder) ||
      lies(home, folder) ||
      (folder !== cwd && lies(cwd, folder)) ||
      this.#secrets.some((secret) => lies(secret, folder))
    );
  }

  /** Those of the places that are folders: now, or were when something lay in them. */
  foldersOf(places: Map<string, Gathered>): string[] {
    return [...places]
      .filter(([place, { targets }]) => this.#isFolder(place) || [...targets].some((target) => target !== place))
      .map(([place]) => place);
  }

  isSecret(path: string): boolean {
    return isSecret(path, this.#secrets);
  }

  /** The place that a path stands for, and everything below it. */
  #place(path: string): string {
    const { cwd } = this.#places;
    const [, packages] = packageFolder.exec(path) ?? [];
    if (packages !== undefined) return packages;
    // Above what a machine has named.
    const base = lies(path, cwd) ? cwd : '/';
    const names = path.slice(base === '/' ? 1 : base.length + 1).split('/');
    let at = base;
    for (const [i, name] of names.entries()) {
      const hashed = twoHex.test(name) && i + 1 < names.length;
      if ((isMadeUp(name) || hashed) && !this.#isWide(at)) return at;
      at = join(at, name);
    }
    return path;
  }

  /** Siblings become their folder, as long as there are enough of them. */
  #merge(places: Map<string, Gathered>, isWide = (folder: string) => this.#isWide(folder)): void {
    for (let more = true; more; ) {
      more = false;
      const children = new Map<string, string[]>();
      for (const place of places.keys()) {
        const folder = dirname(place);
        children.set(folder, [...(children.get(folder) ?? []), place]);
      }
      for (const [folder, list] of children) {
        if (list.length < SIBLINGS || places.has(folder) || isWide(folder)) continue;
        this.#cover(places, folder);
        more = true;
      }
    }
  }

  /** A place takes in what lies below it. */
  #cover(places: Map<string, Gathered>, folder: string): void {
    const whole = places.get(folder) ?? { programs: new Map(), targets: new Set() };
    for (const [place, gathered] of places) {
      if (place === folder || !lies(place, folder)) continue;
      for (const [program, calls] of gathered.programs)
        whole.programs.set(program, (whole.programs.get(program) ?? 0) + calls);
      for (const target of gathered.targets) whole.targets.add(target);
      places.delete(place);
    }
    places.set(folder, whole);
  }

  #coverAll(places: Map<string, Gathered>): void {
    for (const place of [...places.keys()].sort((a, b) => a.length - b.length))
      if (places.has(place)) this.#cover(places, place);
  }

  #gather(places: Map<string, Gathered>, place: string, access: Access, target: string): void {
    const gathered = places.get(place) ?? { programs: new Map<string, number>(), targets: new Set<string>() };
    gathered.programs.set(access.program, (gathered.programs.get(access.program) ?? 0) + access.count);
    gathered.targets.add(target);
    places.set(place, gathered);
  }

  /** A path as it stands in a policy: by its variable where it has one. */
  written(path: string): string {
    const { cwd, home } = this.#places;
    // What a policy would take for a pattern or a variable can be given as a URL.
    if (/[*?[\]{}\\$%]|^\s|\s$/.test(path)) return pathToFileURL(path).href;
    if (lies(path, cwd)) return `$CWD${path.slice(cwd.length)}`;
    if (home !== '/' && path !== home && lies(path, home)) return `$HOME${path.slice(home.length)}`;
    return path;
  }

  #proposals(field: LearnedField, places: Map<string, Gathered>, write = (place: string) => this.written(place)) {
    return [...places].map(([place, { programs, targets }]): Proposal => {
      const sorted = [...programs].sort((a, b) => b[1] - a[1]);
      const examples = [...targets].slice(0, MOST_EXAMPLES);
      return {
        field,
        value: write(place),
        programs: sorted,
        calls: sorted.reduce((sum, [, calls]) => sum + calls, 0),
        examples,
        covers: targets.size,
        reason: reasonOf(sorted, targets.size, examples[0] ?? ''),
      };
    });
  }

  /** What is read: the working directory as a whole, of others the folder. */
  read(
    accesses: readonly Access[],
    omit: (access: Access, reason: string) => void,
  ): [Map<string, Gathered>, Proposal[]] {
    const { cwd } = this.#places;
    const places = new Map<string, Gathered>();
    for (const access of accesses) {
      const path = access.path as string;
      if (lies(path, cwd)) {
        this.#gather(places, cwd, access, path);
      } else if (this.#isWide(path) && this.#isFolder(path)) {
        omit(access, 'it was listed, and the right to that is the right to all that lies in it');
      } else {
        this.#gather(places, this.#place(path), access, path);
      }
    }
    this.#merge(places);
    this.#coverAll(places);
    return [places, this.#proposals('files.read', places)];
  }

  /** What is changed: what was made as a whole, and the folder where names were changed. */
  write(
    accesses: readonly Access[],
    omit: (access: Access, reason: string) => void,
  ): [Map<string, Gathered>, Proposal[]] {
    const { cwd } = this.#places;
    const places = new Map<string, Gathered>();
    const changed = new Set(accesses.filter(({ ofFolder }) => !ofFolder).map(({ path }) => path as string));
    for (const access of accesses) {
      const path = access.path as string;
      // The topmost that was made, or changed itself.
      const made = ancestorsOf(path).findLast(
        (folder) => changed.has(folder) && folder !== cwd && !this.#isWide(folder),
      );
      if (access.ofFolder && made === undefined) {
        const folder = dirname(path);
        if (folder !== cwd && this.#isWide(folder))
          omit(access, `it changes a name, and the right to that is the right to all of ${folder}`);
        else this.#gather(places, folder, access, path);
        continue;
      }
      this.#gather(places, this.#place(made ?? path), access, path);
    }
    this.#coverAll(places);
    // In the working directory itself a few folders stay a few folders.
    this.#merge(places, (folder) => folder === cwd || this.#isWide(folder));
    this.#coverAll(places);
    return [places, this.#proposals('files.write', places)];
  }

  /** What is only looked at, and is not shown by what is given anyway. */
  metadata(accesses: readonly Access[], given: readonly string[]): Proposal[] {
    const places = new Map<string, Gathered>();
    const shown = (path: string) => given.some((place) => lies(path, place) || lies(place, path));
    for (const access of accesses) {
      // A rule on a process's own entries is about those of the others in the tree, too.
      const path = (access.path as string).replace(/^\/proc\/\d+(?=\/|$)/, '/proc/self');
      if (!shown(path)) this.#gather(places, this.#place(path), access, path);
    }
    this.#merge(places);
    this.#coverAll(places);
    return this.#proposals('files.metadata', places);
  }

  exec(accesses: readonly Access[]): [Map<string, Gathered>, Proposal[]] {
    const places = new Map<string, Gathered>();
    for (const access of accesses) {
      const path = access.path as string;
      this.#gather(places, packageFolder.exec(path)?.[1] ?? path, access, path);
    }
    this.#coverAll(places);
    return [places, this.#proposals('exec', places)];
  }

  /** What keeps a unix socket from being a line: a folder would give every socket in it. */
  #problemOf(address: string): string | undefined {
    if (/[*\uFFFD]/.test(address) || unexpandable(address)) return 'its name cannot be written in a policy';
    const folder = dirname(address);
    return isMadeUp(basename(address)) && address.startsWith('/') && (this.#isWide(folder) || isShared(folder))
      ? `another run has another name for it, and the right to that is the right to all sockets in ${folder}`
      : undefined;
  }

  network(
    field: 'network.connect' | 'network.bind',
    accesses: readonly Access[],
    omit: (access: Access, reason: string) => void,
  ): Proposal[] {
    const places = new Map<string, Gathered>();
    for (const access of accesses) {
      const address = access.address as string;
      const problem = access.port === undefined ? this.#problemOf(address) : undefined;
      if (problem !== undefined) {
        omit(access, problem);
        continue;
      }
      this.#gather(
        places,
        addressText(access),
        access,
        access.port === undefined ? address : `${address} port ${access.port}`,
      );
    }
    return this.#proposals(field, places, (place) => place);
  }
}

/** A folder in which others have things, too. */
function isShared(folder: string): boolean {
  if (/^(?:\/tmp|\/var\/tmp|\/dev\/shm|\/run\/user\/\d+)$/.test(folder)) return true;
  return ((statSync(folder, { throwIfNoEntry: false })?.mode ?? 0) & 0o002) !== 0;
}

/** What a policy that is kept as data would take for a variable. */
const unexpandable = (path: string) => path.startsWith('/') && /\$\{?(?:CWD|HOME|TMP|PACKAGE)(?!\w)/.test(path);

const MOST_NAMES = 4;

function reasonOf(programs: readonly (readonly [string, number])[], covers: number, example: string): string {
  const names = programs
    .slice(0, MOST_NAMES)
    .map(([program, calls]) => `${program.split('/').at(-1) || '?'} ${calls}×`);
  if (programs.length > MOST_NAMES) names.push(`${programs.length - MOST_NAMES} more`);
  return `${names.join(', ')}: ${covers === 1 ? example : `${covers} different, such as ${example}`}`;
}

/** ip(7), ip_local_port_range: what the kernel chooses for who asks for none. */
const EPHEMERAL = [32768, 60999] as const;

function addressText({ access, address = '', port }: Access): string {
  if (port === undefined) return address === '@' ? 'unix:@*' : `unix:${address}`;
  const host = address.includes(':') ? `[${address}]` : address;
  const loopback = address === '::1' || address.startsWith('127.');
  const chosen = port >= EPHEMERAL[0] && port <= EPHEMERAL[1];
  // A server of the tree's own, which has another port next time.
  if (loopback && access === 'connect' && chosen) return `${host}:${EPHEMERAL.join('-')}`;
  return `${host}:${port}`;
}
