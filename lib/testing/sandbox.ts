// A place for one test: a folder, ports, another time, faults; and all of it gone at the end.
import { existsSync, mkdirSync, mkdtempSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  type CompiledPolicy,
  compilePolicy,
  HoldfastError,
  type Policy,
  type PolicyName,
  type RunSandboxedOptions,
  redirect,
  respond,
  runSandboxed,
  type SandboxedProcess,
  type SandboxedResult,
} from '../index.ts';
import { clockOf, type FakeTime, setClock } from './clock.ts';
import { binFolders, nodeFolder, packageOf, partsOf, programFor } from './command.ts';
import { changes, copyInto, type FileTree, inside, makeFiles, readText, remove, snapshot } from './files.ts';
import {
  answer,
  type CallFilter,
  type Delay,
  delay,
  type Fault,
  fault,
  type InjectedFault,
  type InterveningCall,
  type Intervention,
  intervene,
  type Place,
  type RunState,
  type SpiedCall,
  spy,
  unexpected,
} from './interventions.ts';
import { isListening, type ReservedPort, reservePort } from './ports.ts';
import { fieldsOf, wrong } from './problems.ts';

type AnyPolicy = PolicyName | Policy | CompiledPolicy;

/** What a test wants of its sandbox. */
export interface SandboxOptions {
  /** What the private folder has at the start. */
  files?: FileTree;
  /** What all its runs may do, besides what each of them says. */
  policy?: AnyPolicy;
  /** What all its runs have in their environment, besides what each of them says. */
  env?: Readonly<Record<string, string | undefined>>;
  /** What time it is for its runs, at the start of each. Default: the real time. */
  time?: FakeTime;
  /** The name of the machine for its runs: what `uname -n` says. Default: the real one. */
  hostname?: string;
  /** Where `fixture()` and programs of the package are looked for. Default: where the tests were started; in vitest the test file's folder. */
  base?: string | URL;
  /** Whether the folder stays, for a person to look into. Default: false. */
  keep?: boolean;
}

/** What a run may be given: that of `runSandboxed`, and another time and name of the machine than the sandbox's. */
export interface SandboxRunOptions
  extends Omit<
      RunSandboxedOptions,
      'policy' | 'env' | 'cwd' | 'encoding' | 'lines' | 'all' | 'reject' | 'violations' | 'stdio'
    >,
    Pick<SandboxOptions, 'time' | 'hostname' | 'env'> {
  /** In the private folder, which is the default. */
  cwd?: string;
  policy?: AnyPolicy;
}

/** What came of a run. It is there whether the program did well or not; what cannot be started at all rejects. */
export interface SandboxRun extends SandboxedResult<string, string, string> {
  /** What was made or changed in the private folder by the end of the run: paths below it, sorted. */
  readonly written: readonly string[];
  /** The exact names of those that are no UTF-8 (as text they have U+FFFD), in the same order. Missing where there are none. */
  readonly writtenBytes?: readonly Buffer[];
  /** What is not there any more. */
  readonly removed: readonly string[];
  /** As `writtenBytes`. */
  readonly removedBytes?: readonly Buffer[];
  /** Where it has connected or sent to, each once: `'127.0.0.1:80'`, `'[::1]:80'`, `'unix:/run/x.sock'`. */
  readonly connections: readonly string[];
  /** The calls that `fail()` has made fail, in order. They are no violations. */
  readonly faults: readonly InjectedFault[];
  /** The private folder. */
  readonly folder: string;
}

/** A run that goes on. `child` is its process. */
export interface SandboxRunPromise extends Promise<SandboxRun> {
  readonly child: SandboxedProcess;
}

const optionNames = ['files', 'policy', 'env', 'time', 'hostname', 'base', 'keep'];
/** What a result needs, and is therefore as it is. */
const fixed = ['encoding', 'lines', 'all', 'reject', 'violations', 'stdio'];
/** Folders by these names, beside the tests, are fixtures by convention. */
const conventional = /^(?:\.\/)?(fixtures|__fixtures__)(?:\/|$)/;
/** As they are when this is loaded: tests put others in their place. */
const { setTimeout, clearTimeout } = globalThis;
const HOOK_TIMEOUT = 30_000;
const POLL_MS = 20;

/**
 * For a runner that ends its process without ending its tests: their folders go, but for those where a program still runs, which could
 * make the removal lead elsewhere.
 */
const open = new Map<string, () => boolean>();
const removeAll = () => {
  for (const [root, isIdle] of open) {
    try {
      if (isIdle()) remove(root);
    } catch {}
  }
};

function opened(root: string, isIdle: () => boolean): void {
  if (open.size === 0) process.on('exit', removeAll);
  open.set(root, isIdle);
}

function closed(root: string): void {
  open.delete(root);
  if (open.size === 0) process.off('exit', removeAll);
}

function folderOf(base: unknown): string {
  if (base === undefined) return process.cwd();
  if (typeof base !== 'string' && !(base instanceof URL)) throw wrong('options.base', base, 'must be a folder');
  const path = base instanceof URL || base.startsWith('file:') ? fileURLToPath(base) : resolve(base);
  if (!existsSync(path)) throw wrong('options.base', base, 'is not there');
  return statSync(path).isDirectory() ? path : dirname(path);
}

function checkHostname(name: unknown, field: string): string | undefined {
  if (name === undefined) return undefined;
  if (typeof name === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(name)) return name;
  throw wrong(field, name, 'must be a name of 1 to 64 letters, digits, dots, hyphens and underscores');
}

function checkEnvironment(env: unknown, field: string): Record<string, string | undefined> {
  if (env === undefined) return {};
  if (env === null || typeof env !== 'object') throw wrong(field, env, 'must be an object');
  return { ...(env as Record<string, string | undefined>) };
}

const isPlain = (policy: unknown): policy is Policy =>
  typeof policy === 'object' && policy !== null && Object.getPrototypeOf(policy) !== null
    ? Object.getPrototypeOf(policy) === Object.prototype
    : typeof policy === 'object' && policy !== null;

/** A test's own rules keep their names in violations: what comes with the sandbox is what they extend. */
function combined(own: AnyPolicy | undefined, ...others: AnyPolicy[]): AnyPolicy {
  if (own === undefined) return { extends: others };
  if (!isPlain(own)) return own === ('strict' as string) ? own : { extends: [own, ...others] };
  const given = own.extends === undefined ? [] : [own.extends].flat();
  return { ...own, extends: [...given, ...others] };
}

/** As a policy has it; empty for what is about no address. */
function shownAddress({ address, port }: { address?: string; port?: number }): string {
  if (address === undefined) return '';
  if (port === undefined) return `unix:${address}`;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * A place for one test, with a folder of its own as `folder`. Programs run there, under a policy, with nothing of the user's
 * environment. `close()` ends what still runs and removes all of it.
 */
export class Sandbox {
  /** The private folder: where its programs start. */
  readonly folder: string;
  readonly #root: string;
  readonly #home: string;
  readonly #base: string;
  readonly #options: Record<string, unknown>;
  readonly #place: Place;
  readonly #interventions: Intervention[] = [];
  readonly #copies: string[] = [];
  readonly #ports: ReservedPort[] = [];
  /** What programs call a port that is another one: by its number for them. */
  readonly #moved = new Map<number, number>();
  readonly #running = new Map<SandboxedProcess, Promise<unknown>>();
  readonly #waits = new Set<() => void>();
  #answers = 0;
  #closing: Promise<void> | undefined;

  /** @internal Use {@link createSandbox}. */
  constructor(given?: SandboxOptions) {
    const options = fieldsOf('options', given, optionNames);
    if (options.keep !== undefined && typeof options.keep !== 'boolean') {
      throw wrong('options.keep', options.keep, 'must be true or false');
    }
    checkHostname(options.hostname, 'options.hostname');
    checkEnvironment(options.env, 'options.env');
    if (options.time !== undefined) clockOf(options.time, 'options.time');
    this.#base = folderOf(options.base);
    this.#options = options;
    this.#root = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-sandbox-')));
    opened(this.#root, () => this.#running.size === 0);
    this.folder = join(this.#root, 'work');
    this.#home = join(this.#root, 'home');
    this.#place = { folder: this.folder, isSyscall };
    try {
      for (const folder of [this.folder, this.#home, join(this.#root, 'answers')]) mkdirSync(folder);
      if (options.files !== undefined) makeFiles(this.folder, options.files, 'options.files');
    } catch (error) {
      closed(this.#root);
      remove(this.#root);
      throw error;
    }
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return;
    throw new HoldfastError('ERR_HOLDFAST_SANDBOX_CLOSED', 'the sandbox of this test is closed: its test is over');
  }

  /** The absolute path of something in the private folder. */
  path(...parts: string[]): string {
    return inside(this.folder, parts.length === 0 ? '.' : join(...parts), 'path');
  }

  /** Makes files from data, and replaces those that are there. */
  write(files: FileTree): this {
    this.#checkOpen();
    makeFiles(this.folder, files, 'files');
    return this;
  }

  /** The contents of a file in the private folder, as text. */
  read(path: string): string {
    return readText(this.folder, path);
  }

  /**
   * Copies a file or folder from beside the tests into the private folder. Programs may read the copy, and not change it.
   * @param to Its name there. Default: the last part of its own.
   * @returns Its absolute path.
   */
  fixture(from: string | URL, to?: string): string {
    this.#checkOpen();
    if (typeof from !== 'string' && !(from instanceof URL)) throw wrong('from', from, 'must be a path');
    const source = from instanceof URL ? fileURLToPath(from) : this.#find(from);
    if (source === undefined || !existsSync(source))
      throw wrong('from', from, `is not there (looked for in ${this.#base})`);
    const target = inside(this.folder, to ?? basename(source), 'to');
    if (target === this.folder) throw wrong('to', to, 'must be a name in the private folder');
    if (this.#running.size > 0)
      throw wrong('from', from, 'is to be copied while a program runs, which could change the copy');
    copyInto(this.folder, source, target);
    this.#copies.push(target);
    return target;
  }

  /** Beside the tests, or at the root of their package. */
  #find(path: string): string | undefined {
    const places = [this.#base, packageOf(this.#base)?.root].filter((place) => place !== undefined);
    return places.map((place) => resolve(place, path)).find((found) => existsSync(found));
  }

  /**
   * A port of the loopback that nobody else has, reserved until the end of the test. The sandbox's programs may listen and connect
   * there. A program that listens on all addresses is given 127.0.0.1.
   * @param known What programs call it: they may say 3000 and listen there, each in its own test.
   */
  async port(known?: number): Promise<number> {
    this.#checkOpen();
    if (known !== undefined && !(Number.isInteger(known) && known > 0 && known < 65536)) {
      throw wrong('known', known, 'must be a port, 1 to 65535');
    }
    const before = known === undefined ? undefined : this.#moved.get(known);
    if (before !== undefined) return before;
    const reserved = await reservePort();
    if (this.closed) {
      await reserved.release();
      this.#checkOpen();
    }
    this.#ports.push(reserved);
    if (known !== undefined) this.#moved.set(known, reserved.port);
    return reserved.port;
  }

  /** Waits until something accepts connections at a port of this sandbox; the end of the sandbox ends the wait, by an error. */
  async listening(port: number): Promise<void> {
    this.#checkOpen();
    const real = this.#moved.get(port) ?? port;
    if (!this.#ports.some((reserved) => reserved.port === real)) {
      throw wrong('port', port, 'is no port of this sandbox: port() reserves one');
    }
    while (!isListening(real)) {
      if (this.#running.size === 0) throw wrong('port', port, 'has nobody who could listen: no program runs');
      await this.#wait(POLL_MS);
      this.#checkOpen();
    }
  }

  /**
   * What programs read at a path in place of what is there: of opens for reading. Looks by `stat` see what is really there.
   * @param path Absolute.
   */
  answer(path: string, contents: string | Uint8Array): this {
    this.#checkOpen();
    if (typeof path !== 'string' || !path.startsWith('/')) throw wrong('path', path, 'must be an absolute path');
    if (typeof contents !== 'string' && !(contents instanceof Uint8Array)) {
      throw wrong('contents', contents, 'must be text or bytes');
    }
    const file = join(this.#root, 'answers', String(this.#answers++));
    writeFileSync(file, contents);
    // The one that was given last counts.
    this.#interventions.unshift(answer(canonical(resolve(path)), file));
    return this;
  }

  /**
   * Makes calls of later runs fail: `fail('write', { nth: 3, errno: 'ENOSPC' })`. `read`, `write` and `fsync` are about files; pipes,
   * sockets and the like are left alone.
   */
  fail(call: InterveningCall, fault_: Fault): this {
    this.#checkOpen();
    this.#interventions.push(fault(call, fault_, this.#place));
    return this;
  }

  /** Makes calls of later runs wait before they are made: `delay('connect', 500)`. */
  delay(call: InterveningCall, milliseconds: number, filter?: Delay): this {
    this.#checkOpen();
    this.#interventions.push(delay(call, milliseconds, filter, this.#place));
    return this;
  }

  /** A list that grows by each such call of later runs. */
  spy(call: InterveningCall, filter?: CallFilter): readonly SpiedCall[] {
    this.#checkOpen();
    const calls: SpiedCall[] = [];
    // Before all that answers: what fails was called, too.
    this.#interventions.unshift(spy(call, filter, calls, this.#place));
    return calls;
  }

  /**
   * Runs a program in the private folder, to its end. A name without a slash is looked for in the package's own `bin`, in
   * `node_modules/.bin` and in `PATH`.
   * @throws {HoldfastError} What `runSandboxed` throws for wrong options, at once.
   */
  run(command: string, args?: readonly string[] | null, options?: SandboxRunOptions): SandboxRunPromise;
  run(command: string, options?: SandboxRunOptions): SandboxRunPromise;
  run(command: string, argsOrOptions?: unknown, last?: unknown): SandboxRunPromise {
    this.#checkOpen();
    const isArgs = argsOrOptions === undefined || argsOrOptions === null || Array.isArray(argsOrOptions);
    const args = isArgs ? ((argsOrOptions ?? []) as string[]) : [];
    const given = ((isArgs ? last : argsOrOptions) ?? {}) as SandboxRunOptions & Record<string, unknown>;
    if (typeof given !== 'object') throw wrong('options', given, 'must be an object');
    for (const name of fixed) {
      if (given[name] !== undefined) throw wrong(`options.${name}`, given[name], "is not an option of a test's run");
    }
    const { time = this.#options.time, hostname, env, cwd, policy, hooks, hookTimeout, ...rest } = given;
    const start = inside(this.folder, cwd ?? '.', 'options.cwd');
    const own = checkEnvironment(env, 'options.env');
    const name = checkHostname(hostname ?? this.#options.hostname, 'options.hostname');
    const clock = time === undefined ? undefined : clockOf(time, 'options.time');
    const environment = this.#environment(own);
    const program = programFor(String(command), this.#base, environment.PATH);
    for (const each of [policy, this.#options.policy]) if (isPlain(each)) this.#takeFixtures(each);

    const state = this.#state();
    const connections: string[] = [];
    const before = snapshot(this.folder);
    const run = runSandboxed(
      typeof command !== 'string' ? command : program.node ? process.execPath : program.file,
      program.node ? [program.file, ...args] : args,
      {
        ...rest,
        all: true,
        reject: false,
        env: environment,
        cwd: start,
        policy: combined(policy, ...this.#policies(program.file)),
        hookTimeout: hookTimeout ?? HOOK_TIMEOUT + Math.max(0, ...this.#interventions.map(({ waits = 0 }) => waits)),
        hooks: (child) => {
          // Before those who answer: where it really goes, and whether, is another question.
          child.onConnect((call) => void connections.push(shownAddress(call)));
          child.onSend((call) => void connections.push(shownAddress(call)));
          if (clock !== undefined) setClock(child, clock);
          if (name !== undefined) this.#name(child, name);
          intervene(child, this.#interventions, state);
          this.#direct(child);
          hooks?.(child);
        },
      } as RunSandboxedOptions,
    ) as unknown as Promise<SandboxedResult<string, string, string>> & { child: SandboxedProcess };

    const { child } = run;
    const ended = run.then((result): SandboxRun => {
      // Nothing was run, so there is nothing to expect of it.
      if (result.exitCode === null && result.signal === null && result.error !== undefined) throw result.error;
      const violations = unexpected(result.violations, state.expected);
      const refused = new Set([...violations, ...state.faults].map(shownAddress));
      return {
        ...result,
        violations,
        ...(this.closed ? { written: [], removed: [] } : changes(this.folder, before)),
        connections: [...new Set(connections)].filter((address) => !refused.has(address)),
        faults: state.faults,
        folder: this.folder,
      };
    });
    const over = ended.then(
      () => {},
      () => {},
    );
    this.#running.set(child, over);
    void over.then(() => this.#running.delete(child));
    return Object.assign(ended, { child });
  }

  #environment(own: Record<string, string | undefined>): Record<string, string | undefined> {
    const path = [...binFolders(this.#base), dirname(process.execPath), process.env.PATH ?? '/usr/bin:/bin'];
    return {
      PATH: path.join(delimiter),
      HOME: this.#home,
      LANG: 'C.UTF-8',
      TZ: 'UTC',
      ...checkEnvironment(this.#options.env, 'options.env'),
      ...own,
    };
  }

  /** What a run has besides what its test says: what it is made of, its ports, a place for temporary files. */
  #policies(file: string): AnyPolicy[] {
    const ports = this.#ports.flatMap(({ port }) => [`127.0.0.1:${port}`, `[::1]:${port}`]);
    const policy: Policy = {
      files: {
        // As URLs: in a name's own characters nobody is to see a pattern.
        read: [this.folder, this.#home, ...nodeFolder(), ...partsOf(file, this.folder)].map((path) =>
          pathToFileURL(path),
        ),
        deny: this.#copies.map((path) => ({ path: pathToFileURL(path), access: ['write'] })),
      },
      network: { connect: ports, bind: ports },
      scratch: true,
    };
    const { policy: ofAll } = this.#options as { policy?: AnyPolicy };
    return ofAll === undefined ? [policy] : [ofAll, policy];
  }

  /** `fixtures`, where a policy lets it be read and nobody has made it: those beside the tests. */
  #takeFixtures({ files }: Policy): void {
    for (const path of files?.read ?? []) {
      const name = typeof path === 'string' ? conventional.exec(path)?.[1] : undefined;
      if (name === undefined || existsSync(join(this.folder, name))) continue;
      if (this.#find(name) !== undefined) this.fixture(name);
    }
  }

  #state(): RunState {
    return { faults: [], expected: [], wait: (milliseconds) => this.#wait(milliseconds) };
  }

  #wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waits.delete(end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#waits.add(end);
    });
  }

  #name(child: SandboxedProcess, name: string): void {
    child.onSyscall('uname', () => respond({ nodename: name }));
    const file = join(this.#root, 'answers', String(this.#answers++));
    writeFileSync(file, `${name}\n`);
    child.onOpen((call) => {
      const isName = call.path === '/etc/hostname' || call.path === '/proc/sys/kernel/hostname';
      return isName && call.access === 'read' ? redirect(file) : undefined;
    });
  }

  /** Ports are where programs think they are, and nobody listens on more than the loopback. */
  #direct(child: SandboxedProcess): void {
    if (this.#ports.length === 0) return;
    const own = new Set(this.#ports.map(({ port }) => port));
    const everywhere = (address: string) => address === '0.0.0.0' || address === '::';
    const here = (address: string) => everywhere(address) || address === '::1' || address.startsWith('127.');
    child.onBind((call) => {
      if (call.family === 'unix') return undefined;
      const port = this.#moved.get(call.port);
      if (port !== undefined && here(call.address)) return redirect({ address: '127.0.0.1', port });
      if (own.has(call.port) && everywhere(call.address)) return redirect({ address: '127.0.0.1', port: call.port });
      return undefined;
    });
    child.onConnect((call) => {
      const port = call.family === 'unix' ? undefined : this.#moved.get(call.port);
      return port !== undefined && here(call.address) ? redirect({ address: '127.0.0.1', port }) : undefined;
    });
  }

  /**
   * Ends what still runs, with all that it has started, and removes the folder. It resolves when nothing is left. Runs that were
   * ended so resolve as what a signal has ended.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const end of this.#waits) end();
    await Promise.all([...this.#running].map(([child, over]) => child.killTree().then(() => over)));
    await Promise.all(this.#ports.map((port) => port.release()));
    closed(this.#root);
    if (this.#options.keep === true) process.stderr.write(`holdfast: kept ${this.folder}\n`);
    else remove(this.#root);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** As the kernel names it, which is what hooks hear of; also of what is not there. */
function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(canonical(dirname(path)), basename(path));
  }
}

function isSyscall(name: string): boolean {
  try {
    compilePolicy({ syscalls: { deny: [name as never] } });
    return true;
  } catch {
    return false;
  }
}

/**
 * A place for one test.
 *
 * ```ts
 * await using sandbox = createSandbox({ files: { 'in.txt': 'text' } });
 * const run = await sandbox.run('my-cli', ['in.txt'], { policy: { files: { write: ['out'] } } });
 * ```
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`.
 */
export function createSandbox(options?: SandboxOptions): Sandbox {
  return new Sandbox(options);
}
