// `holdfast-guard -c SCRIPT`: how a package manager calls its script-shell.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, lstatSync, mkdirSync, openSync, readlinkSync, statSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { HoldfastError, type Policy, respond, spawnSandboxed } from '../index.ts';
import { isOfTerminal } from '../support/terminal.ts';
import { type Caller, callerOf, exceptionFor, outermostOf, titleOf } from './caller.ts';
import { type Reach, reachOf } from './downloads.ts';
import { scriptEnvironment } from './environment.ts';
import { append, type Entry, fileOf, folderOf, refusedIn, Tries } from './journal.ts';
import { scriptPolicy } from './policy.ts';
import { readSettings, type Settings } from './settings.ts';
import { summaryText } from './summary.ts';
import { turnIn } from './turn.ts';

const SHELL = '/bin/sh';

/**
 * npm that a script starts keeps its cache and its logs in the temporary folder, since the user's it may not write; and looks for
 * no settings where it may not read any, and would be blamed for it.
 */
const INSIDE = `export npm_config_cache="$TMPDIR/npm-cache" npm_config_userconfig="$TMPDIR/npmrc" npm_config_globalconfig="$TMPDIR/npmrc-global"
exec "$0" -c "$1"`;

/** Exit code of what is the guard's own trouble, as `holdfast run` has it. */
export const TROUBLE = 125;

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** As a shell ends: by the same signal, so that who waits sees it. */
function endAs({ code, signal }: Ended): void {
  if (signal === null) {
    process.exitCode = code ?? TROUBLE;
    return;
  }
  process.removeAllListeners(signal);
  process.exitCode = 128 + (constants.signals[signal] ?? 0);
  process.kill(process.pid, signal);
}

const polite = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

function passOn(child: { kill(signal: NodeJS.Signals): unknown }): void {
  for (const signal of polite)
    process.on(signal, () => {
      if (!isOfTerminal(signal)) child.kill(signal);
    });
}

/** The project's own, as the package manager's own shell would run it. */
function runPlain(script: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(SHELL, ['-c', script], { stdio: 'inherit' });
    passOn(child);
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
}

/** What a hook can respond, in bytes; names and addresses are ASCII. */
const MOST_HOSTS = 4096;

/** What may be written has to be there, since its name belongs to the folder above. What looks like a file is not made. */
function makeFolders(paths: readonly string[]): string[] {
  const notes: string[] = [];
  for (const path of paths) {
    if (existsSync(path)) continue;
    if (basename(path).slice(1).includes('.')) notes.push(`${path} may be written, but is not there: make it first`);
    else mkdirSync(path, { recursive: true });
  }
  return notes;
}

function runGuarded(
  script: string,
  caller: Caller,
  policy: Policy,
  env: NodeJS.ProcessEnv,
  reach: Reach,
  tries: Tries,
) {
  return new Promise<Ended>((resolve, reject) => {
    const child = spawnSandboxed(SHELL, ['-c', INSIDE, SHELL, script], {
      cwd: caller.folder,
      env,
      // What it is not given it cannot read: neither the terminal nor what a pipe has for others.
      stdio: ['ignore', 'inherit', 'inherit'],
      policy,
      forceKillAfter: 5000,
    });
    passOn(child);
    if (reach.hosts !== '') {
      const hosts = `127.0.0.1 localhost\n::1 localhost\n${reach.hosts}`;
      child.onOpen({ path: '/etc/hosts', access: 'read' }, () => respond(hosts.slice(0, MOST_HOSTS)));
    }
    child.on('violation', (violation) => tries.add(violation));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
}

/** A word to who sits at the terminal, since the package manager keeps what is printed. `holdfast-guard npm ci` says it at the end. */
function tell(text: string): void {
  if (process.env.HOLDFAST_GUARD_LOG) return;
  if (!process.stderr.isTTY && !process.env.CI) {
    try {
      const terminal = openSync('/dev/tty', 'w');
      writeSync(terminal, text);
      return closeSync(terminal);
    } catch {
      // There is none.
    }
  }
  process.stderr.write(text);
}

function record(caller: Caller, entry: Entry, strict: boolean): void {
  const folder = folderOf(caller.project);
  try {
    append(fileOf(folder, process.env), entry);
  } catch (error) {
    process.stderr.write(`holdfast-guard: what was tried could not be written down: ${(error as Error).message}\n`);
  }
  if (refusedIn(entry) > 0 || entry.notes.length > 0) tell(summaryText([entry], { project: caller.project }));
  if (strict && refusedIn(entry) > 0) {
    process.stderr.write('holdfast-guard: strict: the script fails for what it tried\n');
  }
}

function strictBy(settings: Settings): boolean {
  const said = process.env.HOLDFAST_GUARD;
  if (said !== undefined && said !== '' && said !== 'strict') {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `HOLDFAST_GUARD must be 'strict' or empty: '${said}'`);
  }
  return settings.strict || said === 'strict';
}

/** The name leads elsewhere now than to the working directory: that was moved, or replaced. */
function elsewhere(folder: string): string | undefined {
  const [here, there] = [statSync('.'), lstatSync(folder, { throwIfNoEntry: false })];
  return there !== undefined && here.dev === there.dev && here.ino === there.ino
    ? undefined
    : `not run: ${folder} is another folder than the one in which it was started`;
}

/** Not run at all, and that is a failure: nobody means well who has put a link there. */
function refuse(caller: Caller, why: string, script: string): void {
  const tries = [{ what: 'cwd', on: caller.folder, count: 1, look: false }];
  const { folder, event } = caller;
  const ended = { code: 1, signal: null, durationMs: 0, tries, more: 0 };
  record(caller, { time: Date.now(), package: titleOf(caller), folder, event, script, notes: [why], ...ended }, false);
  process.stderr.write(`holdfast-guard: ${titleOf(caller)} ${event}: ${why}\n`);
  process.exitCode = 1;
}

export async function runScript(script: string): Promise<void> {
  let caller = callerOf(process.env, process.cwd());
  const settings = readSettings(caller.project);
  const strict = strictBy(settings);
  if (caller.misplaced !== undefined) return refuse(caller, caller.misplaced, script);
  if (caller.own && settings.own === 'run') return endAs(await runPlain(script));
  if (!caller.own) {
    await turnIn(outermostOf(caller));
    // Who had the turn before may have moved it, or put something else in its place. Node would say what it has said before.
    const { own, project } = caller;
    caller = callerOf(process.env, readlinkSync('/proc/self/cwd'));
    const moved = caller.own !== own || caller.project !== project ? 'not run: its folder was moved' : undefined;
    const why = caller.misplaced ?? moved ?? elsewhere(caller.folder);
    if (why !== undefined) return refuse(caller, why, script);
  }

  const time = Date.now();
  const { exception, note } = exceptionFor(caller, settings.exceptions, process.env);
  const notes = note === undefined ? [] : [note];
  const entry = (rest: Pick<Entry, 'code' | 'signal' | 'tries' | 'more' | 'moreLooks'>): Entry => ({
    time,
    package: titleOf(caller),
    folder: caller.folder,
    event: caller.event,
    script,
    durationMs: Date.now() - time,
    ...(exception !== undefined && { exception: exception.key }),
    notes,
    ...rest,
  });
  if (exception?.skip) {
    record(caller, { ...entry({ code: 0, signal: null, tries: [], more: 0 }), skipped: true }, strict);
    return;
  }

  const reach = await reachOf(exception?.downloads ?? []);
  for (const host of reach.unknown) notes.push(`${host} has no address here, and is not reached`);
  notes.push(...makeFolders(exception?.write ?? []));
  if (reach.hosts.length > MOST_HOSTS - 50) notes.push('its hosts have more addresses than it can be told');
  const policy = scriptPolicy(caller, exception, reach, process.env);
  const env = scriptEnvironment(process.env, exception?.env ?? [], {
    // What it starts by npm is in the sandbox already.
    npm_config_script_shell: SHELL,
    // It would fail for want of its cache, which is shared with other builds and so not for packages to fill.
    CCACHE_DISABLE: '1',
    // Python would put its bytecode beside node-gyp's sources.
    PYTHONDONTWRITEBYTECODE: '1',
  });
  const tries = new Tries();
  const ended = await runGuarded(script, caller, policy, env, reach, tries);
  const done = entry({ ...ended, tries: tries.list, more: tries.more, moreLooks: tries.moreLooks });
  record(caller, done, strict);
  endAs(strict && ended.code === 0 && refusedIn(done) > 0 ? { code: 1, signal: null } : ended);
}
