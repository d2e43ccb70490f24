// What people call: a package manager with the guard as its shell, and the summary of what happened.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../index.ts';
import { isOfTerminal } from '../support/terminal.ts';
import { runInstallScripts } from './install-scripts.ts';
import { entriesOf, folderOf, refusedIn, runsIn } from './journal.ts';
import { readSettings } from './settings.ts';
import { escaped, summaryText } from './summary.ts';

const guard = fileURLToPath(import.meta.url);

const coloured = (stream: NodeJS.WriteStream) =>
  process.env.FORCE_COLOR ? true : !process.env.NO_COLOR && stream.isTTY === true;

/** As npm finds it: the nearest folder with a package.json or a node_modules. */
function projectAround(cwd: string): string {
  for (let folder = realpathSync(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules'))) return folder;
    if (folder === dirname(folder)) break;
  }
  throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `there is no project in or above ${cwd}`);
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        if (!isOfTerminal(signal)) child.kill(signal);
      });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0)));
  });
}

/** A run of scripts, with the summary at its end; the exit code of `act`, or 1 where strictness asks for that. */
async function summarised(
  strict: boolean,
  act: (project: string, env: NodeJS.ProcessEnv) => Promise<number>,
): Promise<number> {
  const project = projectAround(process.cwd());
  const settings = readSettings(project); // a mistake is told before anything is installed
  const folder = folderOf(project);
  const log = join(folder, `${Date.now()}-${process.pid}.jsonl`);
  mkdirSync(folder, { recursive: true });
  const failing = strict || settings.strict || process.env.HOLDFAST_GUARD === 'strict';
  const code = await act(project, {
    HOLDFAST_GUARD_PROJECT: project,
    HOLDFAST_GUARD_LOG: log,
    ...(failing && { HOLDFAST_GUARD: 'strict' }),
  });
  const entries = entriesOf(log);
  process.stderr.write(summaryText(entries, { project, coloured: coloured(process.stderr) }));
  // npm goes on when the script of an optional dependency has failed.
  return code === 0 && failing && entries.some((entry) => refusedIn(entry) > 0) ? 1 : code;
}

async function scriptsOf(project: string, names: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const failed = await runInstallScripts(guard, project, names, env);
  for (const place of failed) process.stderr.write(`holdfast-guard: a script of ${place} has failed\n`);
  return failed.length === 0 ? 0 : 1;
}

/** These change what is installed; yarn by itself does, too. */
const installing = /^(?:install|add|remove|up|upgrade|upgrade-interactive|dedupe|rebuild|workspaces|import)$/;

/** Yarn takes no shell for install scripts: it is told to run none, and they are run behind it. */
async function runYarn(
  command: string,
  args: readonly string[],
  project: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const [first] = args.filter((argument) => !argument.startsWith('-'));
  const { stdout, error } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  if (error !== undefined) throw error;
  const line = stdout.startsWith('1.') ? [...args, '--ignore-scripts'] : args;
  const all = { ...process.env, ...env, YARN_ENABLE_SCRIPTS: 'false' };
  if (first !== undefined && !installing.test(first)) return run(command, args, all);
  const code = await run(command, line, all);
  return code === 0 ? scriptsOf(project, [], env) : code;
}

/** As npm reads its environment: letters of either kind. */
const namesGit = (env: NodeJS.ProcessEnv) => Object.keys(env).some((name) => /^npm_config_git$/i.test(name));

/** They run what they like without a shell that could be said. */
const unguarded: ReadonlySet<string> = new Set(['bun', 'bunx', 'deno', 'cnpm', 'tnpm']);

/** Runs it with the guard as its shell; its exit code, or 1 where strictness asks for that. */
export function runManager([command = '', ...args]: readonly string[], strict: boolean): Promise<number> {
  const name = basename(command);
  if (unguarded.has(name)) {
    const message = `${name} takes no shell for install scripts: let it run none, and then \`holdfast-guard run-scripts\``;
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', message);
  }
  return summarised(strict, (project, env) =>
    name === 'yarn' || name === 'yarnpkg'
      ? runYarn(command, args, project, env)
      : run(command, args, {
          ...process.env,
          ...env,
          npm_config_script_shell: guard,
          // A git dependency's own .npmrc can name another program; the environment is before that.
          ...(namesGit(process.env) ? {} : { npm_config_git: 'git' }),
          pnpm_config_script_shell: guard, // from pnpm 11 on
        }),
  );
}

export function runScripts(names: readonly string[], strict: boolean): Promise<number> {
  return summarised(strict, (project, env) => scriptsOf(project, names, env));
}

export function showSummary({ json = false, looks = false }: { json?: boolean; looks?: boolean }): void {
  const project = projectAround(process.cwd());
  const [newest] = runsIn(folderOf(project));
  const entries = newest === undefined ? [] : entriesOf(newest);
  process.stdout.write(
    json
      ? `${escaped(JSON.stringify(entries, undefined, 2))}\n`
      : summaryText(entries, { project, coloured: coloured(process.stdout), looks }),
  );
}
