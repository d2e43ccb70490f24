// Runs a command, confined by bounds, and says which lines a policy needs for it.

import { existsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { getNodeValue, parseTree } from 'jsonc-parser';
import { HoldfastError } from '../errors.ts';
import { defaultRules } from '../policy/baseline.ts';
import { shown } from '../policy/check.ts';
import { definePolicy } from '../policy/define.ts';
import { CompiledPolicy, type Policy } from '../policy/policy.ts';
import { inFolder } from '../policy/variables.ts';
import type { Access } from '../process/accesses.ts';
import type { SandboxedProcess } from '../process/sandboxed-process.ts';
import type { SpawnSandboxedOptions } from '../spawn/options.ts';
import { compilePolicy } from '../spawn/options.ts';
import { spawnSandboxed } from '../spawn/spawn.ts';
import { Generaliser, type Omission, type Proposal } from './generalise.ts';
import { addLines, commentOf, type Line, setValue } from './merge.ts';
import { canonical, lies, secretNames, secretPlaces, secretsBelow } from './secrets.ts';

/** How far a lesson is. */
export interface LearnProgress {
  /** Since the start. */
  readonly milliseconds: number;
  /** How many processes there were, and how many of their calls were looked at. */
  readonly processes: number;
  readonly calls: number;
}

/** Options of {@link learn}: those of a spawn, but for its policy. */
export interface LearnOptions extends Omit<SpawnSandboxedOptions, 'policy' | 'record' | 'engine'> {
  engine?: 'auto' | 'notify' | 'ptrace';
  /**
   * What is known already: what it gives is given in the lesson, and not proposed again; what it denies is denied. Variables
   * are expanded. A `mode` in it has no meaning here.
   */
  policy?: Policy;
  /**
   * The bounds of the lesson: what the command may do while it is watched, beside what `policy` gives. Secrets are never in
   * it. Default: {@link lessonBounds}: everything may be read, the working directory and the temporary folders written, and there is no network, nor a unix socket.
   */
  within?: Policy;
  /** Whether the programs are learned, too, as `exec`; else whatever may be read may be executed. Default: false. */
  programs?: boolean;
  /** Called in the tick of the spawn: the place for listeners. */
  hooks?: (child: SandboxedProcess) => void;
  /** Called about twice a second. */
  onProgress?: (progress: LearnProgress) => void;
}

/** What a lesson has shown. */
export interface Lesson {
  /** How the command ended. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** {@link LearnOptions.policy}, and what the lesson has added: for {@link definePolicy}, or a file. */
  readonly policy: Policy;
  /** What is new in it, and why. */
  readonly proposals: readonly Proposal[];
  /** Secrets that lie in what it gives, as far as they are known. */
  readonly denied: readonly string[];
  /** What was asked for and is not in it, and why. */
  readonly omissions: readonly Omission[];
  /** All that was asked for. */
  readonly accesses: readonly Access[];
  /** Calls that are in no line of `accesses`: above 0 the lesson is not whole. */
  readonly truncated: number;
  /** The command's, as it was called. */
  readonly command: readonly string[];
}

/** What the command may do in a lesson where nobody says otherwise. */
export function lessonBounds(cwd: string = process.cwd()): Policy {
  const folders = [...new Set([tmpdir(), '/tmp', '/var/tmp'].map(canonical))];
  return {
    scratch: true,
    files: { read: ['/'], metadata: ['/'], write: [asPath(resolve(cwd)), ...folders] },
    // Writing a unix socket is connecting to it, and who listens in a temporary folder would act outside of the lesson.
    network: { deny: ['unix:/', 'unix:@*'] },
  };
}

/** A path that may be no pattern and no variable. */
function asPath(path: string): string {
  return /[*?[\]{}\\$%]|^\s|\s$/.test(path) ? pathToFileURL(path).href : path;
}

const PROGRESS = 500;
const notWanted = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'ELOOP',
  'ENAMETOOLONG',
  'ENXIO',
  'ENODEV',
  'EROFS',
]);
function folderOf(cwd: unknown): string {
  return canonical(resolve(cwd instanceof URL ? fileURLToPath(cwd) : ((cwd as string | undefined) ?? process.cwd())));
}

function wrong(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${field}: ${shown(value)} ${problem}`);
}

const own = ['policy', 'within', 'programs', 'hooks', 'onProgress'] as const;

interface Plan {
  readonly cwd: string;
  readonly home: string;
  readonly policy: Policy;
  /** As data: for the supervisor. */
  readonly known: Policy;
  readonly programs: boolean;
  readonly lesson: Policy;
}

function plan(options: LearnOptions): Plan {
  const { policy = {}, within, programs = false } = options;
  for (const name of ['hooks', 'onProgress'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function')
      throw wrong(name, options[name], 'must be a function');
  }
  if (typeof programs !== 'boolean') throw wrong('programs', programs, 'must be true or false');
  for (const name of ['record', 'engine'] as const) {
    const value = (options as Record<string, unknown>)[name];
    if (value === 'kernel' || (name === 'record' && value !== undefined))
      throw wrong(name, value, 'is not an option of a lesson, which has to see each call');
  }
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy) || CompiledPolicy.is(policy))
    throw wrong('policy', policy, 'must be a policy as data, so that lines can be added to it');
  const cwd = folderOf(options.cwd);
  const home = canonical(homedir());
  const { mode: _, ...rest } = policy as Policy & { mode?: unknown };
  const known = definePolicy(rest, { cwd });
  const bounds = definePolicy(within ?? lessonBounds(cwd), { cwd });
  const secrets = [...secretPlaces(home).map(asPath), ...secretNames.map((name) => `**/${name}`)];
  const exec = programs || (known as { exec?: unknown }).exec !== undefined ? { exec: ['/'] } : {};
  const lesson: Policy = {
    extends: [known, { ...bounds, ...(bounds.exec === undefined && exec) }],
    files: { deny: secrets.map(secretRule) },
  } as Policy;
  return { cwd, home, policy: rest as Policy, known, programs, lesson };
}

/** Given by what is known, or by what every program has: no line is needed. */
const given = new Set(['defaults', 'command', 'scratch', 'tmp']);
const isKnown = ({ rule }: Access) => rule !== undefined && (given.has(rule) || rule.startsWith('extends[0].'));

/** Its folder, or what is in it, as lib/process/scratch.ts names it: another lesson has another one. */
function isScratch(path: string): boolean {
  const folder = canonical(tmpdir());
  return (
    lies(path, folder) && /^\/holdfast-[A-Za-z0-9]{6}(?:\/|$)/.test(path.slice(folder === '/' ? 0 : folder.length))
  );
}

const targetOf = ({ path, address, port, syscall, signal }: Access): string =>
  path ??
  (address === undefined ? (syscall ?? signal ?? '') : port === undefined ? address : `${address} port ${port}`);

function omissionOf(access: Access, reason: string): Omission {
  const { access: kind, program, count, outcome } = access;
  return { access: kind, target: targetOf(access), program, calls: count, refused: outcome === 'refused', reason };
}

function reasonOfRefusal({ access, rule, syscall }: Access): string {
  if (access === 'syscall') return `${syscall} is never allowed, or a rule refuses it`;
  if (rule?.startsWith('files.deny')) return 'it is a secret';
  if (rule?.startsWith('extends[0]')) return `${rule.slice('extends[0].'.length)} of the policy denies it`;
  return rule === undefined
    ? 'it lies beyond the bounds of the lesson'
    : `${rule.replace('extends[1]', 'within')} denies it`;
}

function lessonOf(accesses: readonly Access[], plan: Plan) {
  const { cwd, home, known, programs } = plan;
  const omissions: Omission[] = [];
  const omit = (access: Access, reason: string) => omissions.push(omissionOf(access, reason));
  const generaliser = new Generaliser({ cwd, home });
  const wanted: Access[] = [];
  const unwritable: Access[] = [];
  let scratch = false;
  for (const access of accesses) {
    const { path, address, outcome, errno, rule, probe } = access;
    if (outcome === 'refused') {
      if (!probe || access.access !== 'metadata') omit(access, reasonOfRefusal(access));
      continue;
    }
    if (rule === 'scratch' && access.access === 'write') scratch = true;
    if (outcome === 'failed' && notWanted.has(errno ?? '')) continue;
    if (access.access === 'metadata' && path !== undefined && isScratch(path)) continue;
    if (isKnown(access) || access.access === 'signal' || access.access === 'syscall') continue;
    const place = path ?? (address?.startsWith('/') ? address : undefined);
    if (place !== undefined && generaliser.isSecret(place)) omit(access, 'it is a secret');
    else if (access.pathBytes !== undefined && !(access.access !== 'write' && lies(place ?? '', cwd)))
      unwritable.push(access);
    else wanted.push(access);
  }
  const of = (kind: Access['access']) => wanted.filter(({ access }) => access === kind);
  const learnsPrograms = programs || (known as { exec?: unknown }).exec !== undefined;
  const reads = learnsPrograms ? of('read') : [...of('read'), ...of('exec')];
  const [readPlaces, read] = generaliser.read(reads, omit);
  const [writePlaces, write] = generaliser.write(of('write'), omit);
  for (const access of unwritable) {
    const places = access.access === 'write' ? writePlaces : readPlaces;
    if (![...places.keys()].some((place) => lies(access.path as string, place)))
      omit(access, 'its name is no UTF-8, which a policy as text cannot say');
  }
  const [, exec] = learnsPrograms ? generaliser.exec(of('exec')) : [undefined, []];
  const rules = CompiledPolicy.rules(compilePolicy(known, { cwd })).files;
  const given = [
    ...readPlaces.keys(),
    ...writePlaces.keys(),
    ...rules.filter(({ effect }) => effect === 'allow').map(({ path }) => path),
    ...defaultRules(true).map(({ path }) => path),
    cwd,
  ];
  const metadata = generaliser.metadata(of('metadata'), given);
  const connect = generaliser.network('network.connect', of('connect'), omit);
  const bind = generaliser.network('network.bind', of('bind'), omit);
  const proposals = [read, write, metadata, exec, connect, bind].flatMap((list) =>
    [...list].sort((a, b) => (a.value < b.value ? -1 : 1)),
  );
  const folders = [cwd, ...generaliser.foldersOf(readPlaces), ...generaliser.foldersOf(writePlaces)];
  const denied = secretsIn(folders, accesses, plan, (path) => generaliser.written(path));
  return { proposals, omissions, scratch, denied };
}

/**
 * Those that lie in folders that are given: by their names, in whatever of their folders and whenever they come there; and of
 * those that have a place, what is there or was asked for.
 */
function secretsIn(
  folders: readonly string[],
  accesses: readonly Access[],
  { cwd, home, known }: Plan,
  written: (path: string) => string,
): string[] {
  if (cwd === '/') return [];
  const tops = [...new Set(folders)].filter((one, _, all) => !all.some((other) => other !== one && lies(one, other)));
  const below = tops.map((folder) => {
    const text = written(folder);
    return text.startsWith('file:') ? inFolder(folder, secretsBelow) : text + secretsBelow;
  });
  const places = secretPlaces(home);
  const isAskedFor = (place: string) => accesses.some(({ path }) => path !== undefined && lies(path, place));
  const placed = places.filter(
    (place) => tops.some((folder) => lies(place, folder)) && (existsSync(place) || isAskedFor(place)),
  );
  const all = [...below, ...placed.map(written)];
  const denied = new Set((known.files?.deny ?? []).map((rule) => JSON.stringify(rule)));
  return all.filter((path) => {
    const [rule] = definePolicy({ files: { deny: [secretRule(path)] } }, { cwd }).files?.deny ?? [];
    return !denied.has(JSON.stringify(rule));
  });
}

/** That it is there may be seen: who looks for it and finds nothing does without. */
const secretRule = (path: string) => ({ path, access: ['read', 'write', 'exec'] as const });

/** Its lines, with their reasons. */
function linesOf({ proposals, denied }: Pick<Lesson, 'proposals' | 'denied'>): Line[] {
  if (denied.length === 0) return [...proposals];
  const rules = denied.map(
    (path): Line => ({ field: 'files.deny', value: secretRule(path), reason: 'may hold secrets' }),
  );
  // Who looks for what is denied, and finds nothing, does without; a refused look would be told.
  const looks = { field: 'files.metadata', value: '$CWD', reason: 'what is denied below may be looked for' };
  return [...proposals, looks, ...rules];
}

/**
 * Runs a command within bounds, and finds the policy that it needs: each line stands for what was really done, at the folder
 * or the name that a person would write. Secrets are never proposed, nor can they be read in the lesson.
 *
 * A lesson shows what a command does, not whether that is good: read what it proposes, and learn from runs that you trust.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`, `ERR_HOLDFAST_INVALID_POLICY` (by the promise), and what a spawn gives in
 * its event `error`.
 */
export async function learn(
  command: string,
  args: readonly string[] = [],
  options: LearnOptions = {},
): Promise<Lesson> {
  const planned = plan(options);
  const spawned = Object.fromEntries(
    Object.entries(options).filter(([name]) => !(own as readonly string[]).includes(name)),
  );
  const child = spawnSandboxed(command, args, {
    stdio: 'inherit',
    ...spawned,
    policy: planned.lesson,
    record: true,
  } as SpawnSandboxedOptions) as SandboxedProcess;
  options.hooks?.(child);
  const watch = watching(child, options.onProgress);
  try {
    await new Promise<void>((done, fail) => {
      child.once('error', fail);
      child.once('close', () => done());
    });
  } finally {
    clearInterval(watch);
  }
  const accesses = await child.accesses();
  const { proposals, omissions, scratch, denied } = lessonOf(accesses, planned);
  const found = {
    proposals,
    denied,
    omissions,
    accesses,
    truncated: accesses.truncated,
    command: [command, ...args],
  };
  return {
    exitCode: child.exitCode,
    signal: child.signalCode,
    policy: merged(planned.policy, found, scratch, planned.programs),
    ...found,
  };
}

function watching(child: SandboxedProcess, onProgress: LearnOptions['onProgress']): NodeJS.Timeout | undefined {
  if (onProgress === undefined) return undefined;
  const timer = setInterval(async () => {
    const usage = await child.getUsage().catch(() => undefined);
    if (usage === undefined) return;
    onProgress({ milliseconds: usage.wallTime, processes: usage.processes, calls: usage.callsHeld });
  }, PROGRESS);
  timer.unref();
  return timer;
}

function merged(
  policy: Policy,
  lesson: Pick<Lesson, 'proposals' | 'denied'>,
  scratch: boolean,
  programs: boolean,
): Policy {
  const text = mergedText(JSON.stringify(policy), lesson, scratch, programs);
  return getNodeValue(parseTree(text, [], { allowTrailingComma: true }) as never) as Policy;
}

function mergedText(
  text: string,
  lesson: Pick<Lesson, 'proposals' | 'denied'>,
  scratch: boolean,
  programs: boolean,
): string {
  let out = scratch ? setValue(text, 'scratch', true) : text;
  if (programs) out = setValue(out, 'exec', []);
  return addLines(out, linesOf(lesson));
}

/**
 * The text of a policy file with what a lesson has added: JSON with a comment beside each new line, who asked for it and how often. What stands there
 * stays: lines, order, comments.
 * @param text What the file has now: that of the lesson's `policy` option. Without it, a new one.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY` if it is no JSON, or has something else where a list is to be.
 */
export function mergeLesson(text: string | undefined, lesson: Lesson): string {
  const { scratch, exec } = lesson.policy as { scratch?: boolean; exec?: unknown };
  if (text === undefined) {
    const head = commentOf(`Learned from: ${lesson.command.join(' ')}`);
    return `${mergedText(`// ${head}\n// What it was seen to need; read it before you trust it.\n{}`, lesson, scratch === true, exec !== undefined)}\n`;
  }
  const errors: never[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  if (errors.length > 0 || root?.type !== 'object') {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_POLICY', 'text: is no JSON object, so no line can be added to it');
  }
  return mergedText(text, lesson, scratch === true, Array.isArray(exec));
}
