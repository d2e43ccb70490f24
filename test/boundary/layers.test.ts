// Each class of calls goes to the cheapest layer that decides the same (docs/performance.md). Random policies, trees and calls:
// what the kernel is left to decide, what the supervisor decides, and a naive reading of the rules must agree, and leave the same
// tree behind. And what is left to the kernel shows no more of other processes than before.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { checkSupport, deny, type Policy, type SandboxPlan, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runBare } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { answersOf, generator, type Random, seeds } from './drawn.ts';
import { expectHeld, expectUntouched, movingScene, type Race, type Scene, scene } from './race.ts';

const { EACCES, EEXIST, EISDIR, ENOENT, ENOTDIR, EPERM, EXDEV } = constants.errno;
const told = new Set([EEXIST, EISDIR, ENOENT, ENOTDIR]);
const landlock = checkSupport().landlockAbi ?? 0;

const names = ['a', 'b', 'c'];
const folders = names.flatMap((one) => [one, ...names.flatMap((two) => [`${one}/${two}`, `${one}/${two}/a`])]);

function plant(root: string, random: Random): void {
  mkdirSync(root);
  for (const folder of folders) {
    mkdirSync(join(root, folder));
    writeFileSync(join(root, folder, 'file'), folder);
    // For the tree to execute, if it may.
    copyFileSync('/bin/true', join(root, folder, 'run'));
    writeFileSync(join(root, folder, 'script'), `#!${join(root, random.pick(folders))}/run\n`, { mode: 0o755 });
  }
  for (let i = 0; i < 8; i++) {
    const target = random.pick([
      () => random.pick(folders),
      () => `${random.pick(folders)}/file`,
      () => 'nowhere',
      () => '..',
    ])();
    const place = join(root, random.pick(folders), `link${i}`);
    symlinkSync(random.below(2) === 0 ? join(root, target) : target === '..' ? '..' : join(root, target), place);
  }
}

function drawPolicy(root: string, random: Random): Policy {
  const some = (most: number) =>
    Array.from({ length: random.below(most + 1) }, () => join(root, random.pick([...folders, 'a/file', 'b/a/file'])));
  const deny: NonNullable<NonNullable<Policy['files']>['deny']>[number][] = [];
  if (random.below(3) === 0) {
    const access = random.pick([
      undefined,
      ['read'],
      ['write'],
      ['metadata'],
      ['exec'],
      ['read', 'write', 'exec'],
    ] as const);
    deny.push({ path: join(root, random.pick(folders)), ...(access && { access }) });
  }
  const metadata = random.pick([[], ['/'], ['/'], [join(root, random.pick(folders))]]);
  // A list is of what may be executed in place of what may be read, which the kernel reads for anybody.
  const exec = random.pick([undefined, [], [...some(2), join(root, random.pick(folders), 'run')]]);
  return { files: { read: some(3), write: some(3), metadata, deny }, defaults: { proc: false }, ...(exec && { exec }) };
}

/** Folders that hooks are to hear of. */
function drawFilters(random: Random): Record<string, string> {
  return { onOpen: random.pick(folders), onMkdir: random.pick(folders), onSymlink: random.pick(folders) };
}

interface Call {
  op: string;
  path: string;
  other?: string;
}

function drawCall(random: Random): Call {
  const name = () => {
    const last = random.pick([
      'file',
      'file',
      'run',
      'new',
      `link${random.below(8)}`,
      `link${random.below(8)}/file`,
      'a',
      '',
    ]);
    const way = random.pick([random.pick(folders), `${random.pick(folders)}/..`, `${random.pick(folders)}/.`]);
    return last === '' ? way : `${way}/${last}`;
  };
  const op = random.pick([...'rfodwtcxbBqTupslakvmyRUnhCEE']);
  if (op === 'E')
    return { op, path: `${random.pick(folders)}/${random.pick(['run', 'run', 'script', 'file', 'new'])}` };
  return { op, path: name(), ...('ynh'.includes(op) && { other: name() }) };
}

type Right = 'read' | 'write' | 'metadata' | 'exec';

/** The rules, read naively: the deepest one decides, and at the same place the one that denies. */
function right(policy: Policy, cwd: string, path: string, bit: Right, above = false): boolean {
  const { read = [], write = [], metadata = [], deny = [] } = policy.files ?? {};
  const rules: [path: string, effect: 'allow' | 'deny', bit: string][] = [
    ...[...read, cwd].map((each) => [String(each), 'allow', 'read'] as const),
    ...write.map((each) => [String(each), 'allow', 'write'] as const),
    ...metadata.map((each) => [String(each), 'allow', 'metadata'] as const),
    ...((policy.exec ?? []) as string[]).map((each) => [String(each), 'allow', 'exec'] as const),
  ].map((each) => [...each]);
  for (const each of deny as { path: string; access?: string[] }[])
    for (const access of each.access ?? ['read', 'write', 'exec', 'metadata']) rules.push([each.path, 'deny', access]);
  const decide = (wanted: string): [depth: number, effect: string] => {
    let best: [number, string] = [-1, 'none'];
    for (const [rule, effect, of] of rules) {
      const covers = rule === '/' || path === rule ? !above || path !== rule : path.startsWith(`${rule}/`);
      const depth = rule === '/' ? 0 : rule.split('/').length;
      if (of !== wanted || !covers) continue;
      if (depth > best[0] || (depth === best[0] && effect === 'deny')) best = [depth, effect];
    }
    return best;
  };
  const executing = decide('exec');
  if (bit === 'exec') return (policy.exec || executing[0] >= 0 ? executing : decide('read'))[1] === 'allow';
  if (bit !== 'metadata') return decide(bit)[1] === 'allow';
  // On the way to what a rule allows everything can be looked at, and so can what may be read or written.
  if (rules.some(([rule, effect]) => effect === 'allow' && rule.startsWith(path === '/' ? '/' : `${path}/`)))
    return true;
  const [own, reading, writing] = [decide('metadata'), decide('read'), decide('write')];
  const allowed = Math.max(
    ...[reading, writing, executing].map(([depth, effect]) => (effect === 'allow' ? depth : -1)),
  );
  if (own[1] === 'allow') return true;
  if (own[1] === 'deny') return own[0] < allowed;
  return allowed >= 0 && !(reading[1] === 'deny' && reading[0] > allowed);
}

/** What the rules say of a call as things stand now; undefined where this reading has nothing to say. */
function judged(policy: Policy, cwd: string, root: string, { op, path }: Call): boolean | undefined {
  const full = `${root}/${path}`;
  const real = (of: string) => {
    try {
      return realpathSync(of);
    } catch {
      return undefined;
    }
  };
  const ask = (at: string, bit: Right, above = false) => right(policy, cwd, at, bit, above);
  const last = basename(full);
  const named = last === '..' || last === '.' ? undefined : real(dirname(full));
  const own = named === undefined ? undefined : join(named, last);
  const target = real(full);
  if ('ym'.includes(op)) {
    // What is there already is said to be there, whoever asks.
    if (own === undefined || existsSync(own) || isLink(own)) return undefined;
    return ask(own, 'write', op === 'y');
  }
  if ('lk'.includes(op))
    return own === undefined || !(existsSync(own) || isLink(own)) ? undefined : ask(own, 'metadata');
  if (target !== undefined) {
    const folder = statSync(target).isDirectory();
    // By way of its folder, which is opened for its name alone.
    if (op === 'f' && (named === undefined || !ask(named, 'metadata'))) return undefined;
    if ('rfod'.includes(op)) return ask(target, 'read');
    if ('wtc'.includes(op)) return folder ? undefined : ask(target, 'write');
    if ('bB'.includes(op)) return folder ? undefined : ask(target, 'read') && ask(target, 'write');
    if (op === 'T') return folder ? undefined : ask(target, 'read') && ask(target, 'write');
    if (op === 'q') return folder ? undefined : ask(target, 'read');
    if ('sapv'.includes(op)) return ask(target, 'metadata');
    // What a script leads to is a program like any other.
    if (op === 'E' && (folder || (statSync(target).mode & 0o111) === 0)) return undefined;
    if (op === 'E') {
      const line = readFileSync(target, 'latin1').split('\n', 1)[0] ?? '';
      const through = line.startsWith('#!') ? real(line.slice(2)) : target;
      return through === undefined ? undefined : ask(target, 'exec') && ask(through, 'exec');
    }
    return undefined;
  }
  if (own === undefined || isLink(own) || path.endsWith('/')) return undefined;
  if ('cx'.includes(op)) return ask(own, 'write');
  if ('Bq'.includes(op)) return ask(own, 'write') && ask(own, 'read');
  return undefined;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Everything below a folder, by name: its kind, its mode, and what it holds. */
function pictured(root: string, under = ''): string[] {
  return readdirSync(join(root, under))
    .sort()
    .flatMap((name) => {
      const path = join(under, name);
      const status = lstatSync(join(root, path));
      const shown = `${path} ${status.mode.toString(8)} `;
      if (status.isSymbolicLink()) return [shown + readlinkSync(join(root, path)).replace(root, 'ROOT')];
      return status.isDirectory() ? [shown, ...pictured(root, path)] : [`${shown}${status.size}`];
    });
}

/** By layer_calls, with names below a folder. */
const make = (
  child: Pick<ChildProcess, 'stdin' | 'stdout' | 'stderr'>,
  calls: Call[],
  root: string,
  before: (call: Call) => void,
) =>
  answersOf(
    child,
    calls,
    ({ op, path, other }) => [op, ...[path, other ?? []].flat().map((name) => `${root}/${name}`)],
    before,
  );

const errnoOf = (answer: string) => Number(answer.split(' ').at(-1));

async function compare(seed: number, seen: Set<string>): Promise<void> {
  const scene = temporaryFolder('layers');
  const layers = ['kernel', 'continued', 'filtered', 'hook'];
  const filters = drawFilters(generator(seed + 5));
  const results: Record<string, { answers: string[]; tree: string[]; plan: SandboxPlan; heard: string[][] }> = {};
  const calls = Array.from(
    { length: 120 },
    (
      (random) => () =>
        drawCall(random)
    )(generator(seed + 7)),
  );
  for (const layer of layers) {
    // Names of one length: they stand in the scripts.
    const root = join(scene, String(layers.indexOf(layer)));
    plant(root, generator(seed));
    const cwd = join(root, 'c/c');
    const policy = drawPolicy(root, generator(seed + 3));
    const child = spawnSandboxed(program('layer_calls'), [], { policy, cwd });
    if (layer !== 'kernel') child.on('violation', () => {});
    // Without an opinion, so that the rules decide, and the supervisor does all that they hear of.
    const heard: string[][] = [];
    for (const hook of ['onOpen', 'onMkdir', 'onSymlink'] as const) {
      const hear = (call: { path: string }) => {
        heard.at(-1)?.push(`${hook} ${call.path.replace(root, '')}`);
      };
      if (layer === 'hook') child[hook](hear);
      if (layer === 'filtered') child[hook]({ path: `${root}/${filters[hook]}` }, hear);
    }
    const closed = once(child as never, 'close');
    const plan = await child.plan();
    const verdicts: (boolean | undefined)[] = [];
    const answers = await make(child, calls, root, (call) => {
      heard.push([]);
      verdicts.push(judged(policy, cwd, root, call));
    });
    await closed;
    results[layer] = { answers, tree: pictured(root), plan, heard };
    for (const [i, allowed] of verdicts.entries()) {
      const error = errnoOf(answers[i] as string);
      const what = `seed ${seed}, ${layer}: ${JSON.stringify(calls[i])}, ${JSON.stringify(policy)}`;
      if (allowed === false) expect(error, what).not.toBe(0);
      if (allowed === true) expect([EACCES, EPERM, EXDEV], what).not.toContain(error);
    }
  }
  const { kernel, continued, filtered, hook } = results as Required<typeof results>;
  for (const [i, call] of calls.entries()) {
    const what = `seed ${seed}: ${JSON.stringify(call)} in call ${i}`;
    const [left, gone, asked] = [kernel, continued, hook].map((result) => result?.answers[i] as string);
    for (const answer of [gone, filtered?.answers[i]])
      expect(answer, `${what}, ${JSON.stringify(filters)}`).toBe(asked);
    const meant = hook?.heard[i]?.filter((each) => {
      const [name = '', path = ''] = each.split(' ');
      return path === `/${filters[name]}` || path.startsWith(`/${filters[name]}/`);
    });
    expect(filtered?.heard[i], `${what}, ${JSON.stringify(filters)}`).toEqual(meant);
    // Of what is refused, the kernel tells what stands there before it asks Landlock.
    if (errnoOf(asked as string) === EACCES && told.has(errnoOf(left as string))) continue;
    expect(left, what).toBe(asked);
  }
  expect(kernel?.tree, `seed ${seed}`).toEqual(hook?.tree);
  for (const result of [continued, filtered]) expect(result?.tree, `seed ${seed}`).toEqual(hook?.tree);
  for (const result of [kernel, continued, filtered, hook])
    for (const [name, { layer }] of Object.entries(result?.plan.classes ?? {})) seen.add(`${name}: ${layer}`);
}

describe('every layer decides the same', () => {
  test(
    'random policies, trees and calls',
    async () => {
      const seen = new Set<string>();
      for (const seed of seeds) await compare(seed, seen);
      if (landlock === 0) return;
      // The comparison says something only if it met both.
      const expected = [
        'metadata: kernel',
        'metadata: supervisor',
        'read: landlock',
        'write: landlock',
        'make: landlock',
      ];
      expect([...seen]).toEqual(expect.arrayContaining(landlock >= 3 ? expected : expected.slice(0, 3)));
    },
    patient(300_000),
  );
});

describe('with all metadata left to the kernel', () => {
  // Each prints what it could learn of a process that is not of the tree.
  const looks = [
    'readlink /proc/$P/exe',
    'readlink /proc/$P/cwd',
    'readlink /proc/$P/root',
    'readlink /proc/$P/fd/0',
    'ls -d /proc/$P/cwd/',
    'cd /proc/$P/cwd && pwd -P',
    'cd /proc/$P/root/etc && pwd -P',
    'cat /proc/$P/cmdline',
    'cat /proc/$P/environ',
    'cat /proc/$P/status',
    'cat /proc/$P/maps',
    'cat /proc/$P/root/etc/hostname',
    'cat /proc/$P/cwd/secret',
  ];

  test.each(looks)('another process stays closed: %s', async (look) => {
    const folder = temporaryFolder('others');
    writeFileSync(join(folder, 'secret'), 'secret');
    const other = spawn('sleep', ['60'], { cwd: folder, stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      const script = look.replaceAll('$P', String(other.pid));
      const bare = await runBare('/bin/sh', ['-c', script]);
      for (const listens of [false, true]) {
        const child = spawnSandboxed('/bin/sh', ['-c', script], {
          cwd: '/',
          stdio: ['ignore', 'pipe', 'pipe'],
          policy: { files: { metadata: ['/'] }, defaults: { proc: listens } },
        });
        if (listens) child.on('violation', () => {});
        let told = '';
        child.stdout.on('data', (chunk) => (told += chunk));
        const { classes } = await child.plan();
        if (landlock > 0) expect(classes.metadata.layer).toBe('kernel');
        await once(child as never, 'close');
        expect(told).toBe('');
        expect(child.exitCode).not.toBe(0);
      }
      expect(bare.code === 0 || look.includes('secret') || look.includes('hostname')).toBe(true);
    } finally {
      other.kill('SIGKILL');
    }
  });

  test('a file that may not be read can be looked at, and not read', async () => {
    const folder = temporaryFolder('looks');
    mkdirSync(join(folder, 'in'));
    writeFileSync(join(folder, 'secret'), 'secret');
    symlinkSync('secret', join(folder, 'link'));
    const script =
      'stat -c %s ../secret; readlink ../link; test -e ../secret && echo there; cat ../secret; ls ..; echo $?';
    for (const metadata of [['/'], [folder], []]) {
      const child = spawnSandboxed('/bin/sh', ['-c', script], {
        cwd: join(folder, 'in'),
        policy: { files: { metadata } },
      });
      let told = '';
      child.stdout.on('data', (chunk) => (told += chunk));
      await once(child as never, 'close');
      expect(told).toBe(metadata.length === 0 ? '2\n' : '6\nsecret\nthere\n2\n');
    }
  });

  test('a hook on one of its calls holds that one alone', async () => {
    const heard: string[] = [];
    const child = spawnSandboxed('/bin/sh', ['-c', 'test -e /usr; readlink /proc/self/exe; exec stat -c %F /usr'], {
      policy: { files: { metadata: ['/'] } },
      stdio: 'ignore',
    });
    child.onReadlink((call) => {
      heard.push(call.path);
    });
    const { metadata } = (await child.plan()).classes;
    await once(child as never, 'close');
    expect(heard.some((path) => path.endsWith('/exe'))).toBe(true);
    if (landlock > 0) expect(metadata).toMatchObject({ layer: 'kernel', obstacles: [{ change: 'no onReadlink' }] });
  });
});

describe('a plan', () => {
  const planOf = async (policy: Policy, prepare: (child: ReturnType<typeof spawnSandboxed>) => void = () => {}) => {
    const child = spawnSandboxed('/bin/true', [], { policy, cwd: temporaryFolder('plan'), stdio: 'ignore' });
    prepare(child);
    const closed = once(child as never, 'close');
    const { classes } = await child.plan();
    await closed;
    return classes;
  };
  const plain: Policy = { defaults: { proc: false } };
  const where = { skip: landlock < 3 }; // an older Landlock knows nothing of truncation, and leaves nothing to itself

  test('names what holds a class, and what would change it', where, async () => {
    const changes = (plan: { obstacles: readonly { change?: string }[] }) => plan.obstacles.map(({ change }) => change);
    const all = await planOf(plain);
    for (const name of ['read', 'write', 'readWrite', 'make'] as const)
      expect(all[name]).toEqual({ layer: 'landlock', obstacles: [] });
    expect(changes(all.metadata)).toEqual(["policy.files.metadata: ['/']"]);
    expect(changes((await planOf({})).read)).toEqual(Array(3).fill('policy.defaults: { proc: false }'));
    const listening = await planOf(plain, (child) => child.on('violation', () => {}));
    for (const name of ['read', 'write', 'readWrite', 'make'] as const) {
      expect(listening[name].layer).toBe(name === 'read' ? 'continued' : 'supervisor');
      expect(changes(listening[name])).toEqual(["no listener for 'violation'"]);
    }
    const other = temporaryFolder('plan');
    mkdirSync(join(other, 'in'));
    const denied = await planOf({ ...plain, files: { read: [other], deny: [join(other, 'in')] } });
    expect(changes(denied.read)).toEqual(['a policy without files.deny[0]']);
    expect(denied.write.layer).toBe('landlock');
    const missing = await planOf({ ...plain, files: { write: [join(other, 'new')] } });
    expect(changes(missing.write)).toEqual(['make it before, or leave out files.write[0]']);
    expect(missing.make.layer).toBe('supervisor');
    const inWritable = await planOf({ ...plain, files: { read: [join(other, 'in')], write: [other] } });
    expect(changes(inWritable.read)).toContain('the same right to the folder that it stands in');
    expect(changes((await planOf({ ...plain, files: { ungranted: 'ENOENT' } })).read)).toEqual([
      "policy.files.ungranted: 'EACCES'",
    ]);
    expect(changes((await planOf({ ...plain, exec: ['/bin/true', other] })).read)).toEqual(['reading it as well']);
  });

  test('holds what hooks hear of, and no more', where, async () => {
    const writes = await planOf(plain, (child) => child.onOpen({ access: 'write' }, () => {}));
    expect([writes.read.layer, writes.write.layer, writes.readWrite.layer]).toEqual(['landlock', 'hook', 'hook']);
    const reads = await planOf(plain, (child) => child.onOpen({ access: 'read' }, () => {}));
    expect(reads.read.layer).toBe('hook');
    const makes = await planOf(plain, (child) => child.onMkdir(() => {}));
    expect(makes.make.layer).toBe('landlock');
    expect(makes.make.obstacles).toEqual([{ why: 'a hook hears of mkdir', change: 'no onMkdir' }]);
    expect((await planOf(plain, (child) => child.onExec(() => {}))).read.layer).toBe('supervisor');
    // Also where nothing would be left to the kernel without it.
    const hidden: Policy = { ...plain, files: { ungranted: 'ENOENT' } };
    expect((await planOf(hidden)).read.layer).toBe('continued');
    expect((await planOf(hidden, (child) => child.onOpen(() => {}))).read.layer).toBe('hook');
  });

  test('is one for all who ask, and nobody can change it', async () => {
    const child = spawnSandboxed('/bin/true', [], { stdio: 'ignore' });
    const [one, other] = await Promise.all([child.plan(), child.plan()]);
    await once(child as never, 'close');
    expect(await child.plan()).toBe(one);
    expect(other).toBe(one);
    for (const part of [one, one.classes, one.classes.read, one.classes.read.obstacles, ...one.classes.read.obstacles])
      expect(Object.isFrozen(part)).toBe(true);
  });

  test('cannot be asked of what does not run', async () => {
    const child = spawnSandboxed('/bin/true', [], { stdio: 'ignore' });
    await once(child as never, 'close');
    await expect(child.plan()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
    const never = spawnSandboxed('/nowhere/at-all', [], { stdio: 'ignore' });
    never.on('error', () => {});
    await expect(never.plan()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
  });
});

test('what the command is given open it can open by name', async () => {
  const folder = temporaryFolder('given');
  writeFileSync(join(folder, 'input'), 'given');
  writeFileSync(join(folder, 'output'), '');
  const { closeSync, openSync, readFileSync } = await import('node:fs');
  const input = openSync(join(folder, 'input'), 'r');
  const output = openSync(join(folder, 'output'), 'w');
  const child = spawnSandboxed('/bin/sh', ['-c', 'cat /dev/stdin > /dev/stdout'], {
    policy: { files: { metadata: ['/'] }, defaults: { proc: false } },
    cwd: '/',
    stdio: [input, output, 'inherit'],
  });
  await once(child as never, 'close');
  closeSync(input);
  closeSync(output);
  expect(readFileSync(join(folder, 'output'), 'utf8')).toBe('given');
});

describe('races', () => {
  const timeout = patient(120_000);
  type Child = ReturnType<typeof spawnSandboxed>;

  async function race(
    name: string,
    args: readonly (string | number)[],
    policy: Policy,
    prepare: (child: Child) => unknown,
  ): Promise<Race> {
    const child = spawnSandboxed(program(name), args.map(String), {
      policy: { ...policy, defaults: { proc: false } },
    });
    let told = '';
    child.stdout.on('data', (chunk) => {
      told += chunk;
    });
    const closed = once(child as never, 'close');
    await prepare(child);
    await closed;
    expect(child.exitCode).toBe(0);
    return JSON.parse(told) as Race;
  }

  /** The rules allow both; only the hook keeps one of them closed. */
  async function filtered(name: string, args: readonly (string | number)[], { inside, outside }: Scene) {
    const heard = new Set<string>();
    const policy = { files: { read: [inside, outside], write: [inside, outside] }, exec: [] };
    const made = await race(name, args, policy, (child) => {
      for (const hook of ['onOpen', 'onMkdir', 'onSymlink'] as const)
        child[hook]({ path: outside }, (call: { path: string }) => {
          heard.add(call.path);
          return deny();
        });
    });
    expect([...heard].every((path) => path.startsWith(outside))).toBe(true);
    return { race: made, heard };
  }

  /** Nothing of ours looks. */
  async function leftToKernel(name: string, args: readonly (string | number)[], { inside }: Scene) {
    const policy = { files: { read: [inside], write: [inside] } };
    const made = await race(name, args, policy, async (child) => {
      const { classes } = await child.plan();
      if (landlock < 3) return;
      for (const each of ['read', 'write', 'readWrite', 'make'] as const) expect(classes[each].layer).toBe('landlock');
    });
    return { race: made };
  }

  const ways = ['thread', 'vm', 'shared'];
  const calls = ['open', 'create', 'mkdir'];

  describe('against folders that a filter does not speak of', () => {
    test.each(ways)('a path that changes by %s is heard of', { timeout }, async (mode) => {
      const made = scene();
      const seen = await filtered('race_path', [mode, 'open', 2_000, made.inside, made.outside], made);
      expectHeld(seen);
      expect(seen.heard.size).toBeGreaterThan(0);
      expectUntouched(made);
    });

    test.each(calls)(
      'a folder and a link that change places during %s lead nowhere else',
      { timeout },
      async (call) => {
        const made = movingScene();
        expectHeld(await filtered('race_exchange', ['symlink', call, 2_000, made.inside], made));
        expectUntouched(made);
      },
    );
  });

  describe('against what the kernel is left to decide', () => {
    test.each(ways)('a path that changes by %s reaches nothing else', { timeout }, async (mode) => {
      const made = scene();
      expectHeld(await leftToKernel('race_path', [mode, 'open', 5_000, made.inside, made.outside], made));
      expectUntouched(made);
    });

    test.each(calls)(
      'a folder and a link that change places during %s lead nowhere else',
      { timeout },
      async (call) => {
        const made = movingScene();
        expectHeld(await leftToKernel('race_exchange', ['symlink', call, 3_000, made.inside], made));
        expectUntouched(made);
      },
    );
  });
});

test('a folder that somebody outside replaces is decided by the rules where its calls are held', async () => {
  const folder = temporaryFolder('replaced');
  const { renameSync } = await import('node:fs');
  mkdirSync(join(folder, 'in'));
  const child = spawnSandboxed(program('layer_calls'), [], {
    cwd: '/',
    policy: { files: { read: [join(folder, 'in')], write: [join(folder, 'in')] } },
  });
  child.on('violation', () => {});
  const { classes } = await child.plan();
  if (landlock >= 3) expect([classes.read.layer, classes.write.layer]).toEqual(['continued', 'continued']);
  renameSync(join(folder, 'in'), join(folder, 'before'));
  mkdirSync(join(folder, 'in'));
  writeFileSync(join(folder, 'in/file'), 'new');
  const calls = [
    { op: 'r', path: 'in/file' },
    { op: 'c', path: 'in/made' },
    { op: 'm', path: 'in/folder' },
    { op: 'r', path: 'before' },
  ];
  const answers = await make(child, calls, folder, () => {});
  expect(answers).toEqual(['n 0', ' 0', ' 0', ` ${EACCES}`]);
});
