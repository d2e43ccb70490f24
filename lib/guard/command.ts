// What people call: a package manager with the guard as its shell, and the summary of what happened.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../index.ts';
import { entriesOf, folderOf, refusedIn, runsIn } from './journal.ts';
import { readSettings } from './settings.ts';
import { summaryText } from './summary.ts';

const coloured = (stream: NodeJS.WriteStream) =>
  process.env.FORCE_COLOR ? true : !process.env.NO_COLOR && stream.isTTY === true;

/** As npm finds it: the nearest folder with a package.json or a node_modules. */
function projectAround(cwd: string): string | undefined {
  for (let folder = realpathSync(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules'))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0)));
  });
}

/** Runs it with the guard as its shell; its exit code, or 1 where strictness asks for that. */
export async function runManager([command = '', ...args]: string[], strict: boolean): Promise<number> {
  const project = projectAround(process.cwd());
  if (project === undefined) {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `there is no project in or above ${process.cwd()}`);
  }
  const settings = readSettings(project); // a mistake is told before anything is installed
  const folder = folderOf(project);
  const log = join(folder, `${Date.now()}-${process.pid}.jsonl`);
  mkdirSync(folder, { recursive: true });
  const guard = fileURLToPath(import.meta.url);
  const code = await run(command, args, {
    ...process.env,
    npm_config_script_shell: guard,
    pnpm_config_script_shell: guard,
    HOLDFAST_GUARD_PROJECT: project,
    HOLDFAST_GUARD_LOG: log,
    ...(strict && { HOLDFAST_GUARD: 'strict' }),
  });
  const entries = entriesOf(log);
  process.stderr.write(summaryText(entries, { project, coloured: coloured(process.stderr) }));
  const failing = strict || settings.strict || process.env.HOLDFAST_GUARD === 'strict';
  // npm goes on when the script of an optional dependency has failed.
  return code === 0 && failing && entries.some((entry) => refusedIn(entry) > 0) ? 1 : code;
}

export function showSummary({ json = false, looks = false }: { json?: boolean; looks?: boolean }): void {
  const project = projectAround(process.cwd());
  const [newest] = runsIn(folderOf(project));
  const entries = newest === undefined ? [] : entriesOf(newest);
  process.stdout.write(
    json
      ? `${JSON.stringify(entries, undefined, 2)}\n`
      : summaryText(entries, { project, coloured: coloured(process.stdout), looks }),
  );
}
