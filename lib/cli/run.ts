// `holdfast run`: a program under a policy, from a shell.
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import * as holdfast from '../index.ts';
import { parseDuration } from '../limits/units.ts';
import { exitCodeOfSignal } from '../run/result.ts';
import { exitCodeOfStart, OWN_FAILURE } from '../support/exit-codes.ts';
import { Output } from '../support/output.ts';
import { coloursFor } from './colours.ts';
import { Job } from './job.ts';
import { summaryOf } from './summary.ts';

type Policy = holdfast.Policy;
type Result = holdfast.SandboxedResult<undefined, undefined>;

interface Flags {
  policy?: string[];
  read?: string[];
  write?: string[];
  exec?: string[];
  look?: string[];
  deny?: string[];
  connect?: string[];
  bind?: string[];
  env?: string[];
  clearEnv?: true;
  cwd?: string;
  tmp?: true;
  timeout?: number;
  forceKillAfter?: number;
  limit?: [string, string | number][];
  wait?: true;
  dryRun?: true;
  report?: string;
  json?: true;
  all?: true;
  quiet?: true;
  verbose?: true;
  summary?: string;
}

/** Without a default, which the help would show. */
const each = (value: string, before: string[] = []): string[] => [...before, value];

function milliseconds(text: string): number {
  const parsed = parseDuration(/^\d+$/.test(text) ? Number(text) : text);
  if ('problem' in parsed) throw new InvalidArgumentError(parsed.problem);
  return parsed.value;
}

function limit(text: string, before: [string, string | number][] = []): [string, string | number][] {
  const [, name, value] = /^(\w+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write NAME=VALUE, as memory=256MiB.');
  return [...before, [name, /^\d+(\.\d+)?$/.test(value) ? Number(value) : value]];
}

/** What a program finds in its environment that says nothing of who has started it, for `--clear-env`. */
const plainNames =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR)$/;

function environment({ env = [], clearEnv, cwd }: Flags): NodeJS.ProcessEnv {
  const own = Object.entries(process.env);
  const result = Object.fromEntries(clearEnv ? own.filter(([name]) => plainNames.test(name)) : own);
  // As a shell's cd does: what believes it would look elsewhere.
  if (cwd !== undefined) result.PWD = resolve(cwd);
  for (const entry of env) {
    const at = entry.indexOf('=');
    if (at > 0) result[entry.slice(0, at)] = entry.slice(at + 1);
    else result[entry] = process.env[entry];
  }
  return result;
}

/** A file, if it looks like one: names have neither dots nor slashes. */
const isFile = (name: string) => /[./]/.test(name);

function policyOf(flags: Flags): Policy | holdfast.PolicyName | holdfast.StrictName {
  const { read, write, exec, look, deny, connect, bind } = flags;
  const bases = (flags.policy ?? []).map((name) =>
    isFile(name) ? holdfast.loadPolicy(name) : (name as holdfast.PolicyName),
  );
  const own: Record<string, unknown> = {};
  const files = { read, write, metadata: look, deny };
  const network = { connect, bind };
  const some = (lists: Record<string, string[] | undefined>) =>
    Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
  if (Object.keys(some(files)).length > 0) own.files = some(files);
  if (Object.keys(some(network)).length > 0) own.network = some(network);
  if (exec !== undefined) own.exec = exec;
  if (flags.tmp) own.tmp = true;
  if (flags.dryRun) own.mode = 'report';
  // By its name alone: 'strict' is nothing that anything starts from.
  if (Object.keys(own).length === 0 && bases.length === 1 && typeof bases[0] === 'string') return bases[0];
  return { ...(bases.length > 0 && { extends: bases }), ...own };
}

function exitCodeOf({ exitCode, signal, error }: Result, env: NodeJS.ProcessEnv): number {
  const cause = error?.cause;
  if (signal !== null) return exitCodeOfSignal(signal);
  if (exitCode !== null) return exitCode;
  if (cause instanceof holdfast.HoldfastError) return OWN_FAILURE;
  return exitCodeOfStart((cause ?? {}) as NodeJS.ErrnoException, env.PATH);
}

/** What `--json` prints. */
function dataOf(result: Result, code: number) {
  const { error, stdout, stderr, all, violations, ...data } = result;
  const failure = error && { code: error.code, message: error.shortMessage };
  return { version: 1, status: code, ...data, ...(failure && { error: failure }), violations };
}

/** To standard error, or where `--summary` says; a file that cannot be written is told. */
const write = (text: string, output: Output | undefined) => {
  if (text === '') return;
  if (output === undefined) process.stderr.write(text);
  else output.write(text);
};

interface Ended {
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
  readonly job: Job | undefined;
}

/** Opens the files before the program can have put anything in their place. */
async function run(command: string, args: string[], flags: Flags): Promise<Ended> {
  const opened: Output[] = [];
  const open = (file: string | undefined) => {
    if (file === undefined) return undefined;
    const output = Output.open(file, true);
    opened.push(output);
    return output;
  };
  try {
    return await runWith(command, args, flags, { summary: open(flags.summary), page: open(flags.report) });
  } finally {
    for (const output of opened) output.close();
  }
}

interface Outputs {
  readonly summary: Output | undefined;
  readonly page: Output | undefined;
}

async function runWith(command: string, args: string[], flags: Flags, { summary, page }: Outputs): Promise<Ended> {
  const { json, quiet, verbose } = flags;
  const colours = coloursFor(summary === undefined ? process.stderr : {});
  const notes: string[] = [];
  let recorder: holdfast.ReportRecorder | undefined;
  let job: Job | undefined;
  // Paths on the command line are those of the shell that it was typed in, whatever --cwd says.
  const named = policyOf(flags);
  const policy = typeof named === 'string' ? named : holdfast.compilePolicy(named);
  const env = environment(flags);
  const result: Result = await holdfast.runSandboxed(command, args, {
    stdio: 'inherit',
    reject: false,
    policy,
    env,
    ...(flags.cwd !== undefined && { cwd: resolve(flags.cwd) }),
    ...(flags.timeout !== undefined && { timeout: flags.timeout }),
    ...(flags.forceKillAfter !== undefined && { forceKillAfter: flags.forceKillAfter }),
    ...(flags.limit !== undefined && { limits: Object.fromEntries(flags.limit) }),
    ...(flags.wait && { descendants: 'wait' }),
    ...(flags.report !== undefined && { record: true }),
    hooks: (child) => {
      job = new Job(child);
      child.on('warning', ({ message }) => notes.push(message));
      if (verbose)
        child.on('violation', ({ message }) => process.stderr.write(`${colours.red('refused')} ${message}\n`));
      if (flags.report !== undefined) recorder = holdfast.report(child);
    },
  });
  await job?.end();
  const code = exitCodeOf(result, env);
  if (json) write(`${JSON.stringify(dataOf(result, code))}\n`, summary);
  else {
    const lines: string[] = [];
    const { error, violations, violationsOmitted } = result;
    const whatEnded = error !== undefined && (error.cause !== undefined || error.timedOut || error.limit?.killed);
    if (whatEnded) lines.push(colours.red(`holdfast: ${error.shortMessage}`));
    if (!quiet) {
      for (const note of notes) lines.push(colours.yellow(`holdfast: ${note}`));
      lines.push(...summaryOf(violations, violationsOmitted, colours, flags.all === true, result.failed));
    }
    write(lines.map((line) => `${line}\n`).join(''), summary);
  }
  if (page !== undefined && recorder !== undefined) page.write(await recorder.html());
  return { code, signal: result.signal, job };
}

function ownFailure(error: unknown, json: boolean | undefined): void {
  const { code, message } = error as NodeJS.ErrnoException;
  if (json) process.stderr.write(`${JSON.stringify({ version: 1, status: OWN_FAILURE, error: { code, message } })}\n`);
  else process.stderr.write(`holdfast: ${error instanceof Error ? message : String(error)}\n`);
}

/** The command, to be added to the program. */
export function runCommand(): Command {
  return new Command('run')
    .description(
      'Runs a program under a policy. What is not allowed is refused, and told at the end, with what would allow it.',
    )
    .usage('[options] [--] <command> [args...]')
    .argument('<command>', 'the program')
    .argument('[args...]', 'its arguments')
    .passThroughOptions()
    .showHelpAfterError('(holdfast run --help says more)')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : OWN_FAILURE))
    .optionsGroup('What it may do (each may be given several times):')
    .option('-p, --policy <file|name>', "a policy's file, or a policy's name", each)
    .option('-r, --read <path>', 'may be read', each)
    .option('-w, --write <path>', 'may be changed', each)
    .option('-x, --exec <path>', 'may be executed; without any, whatever may be read', each)
    .option('--look <path>', 'may be looked at, not read', each)
    .option('--deny <path>', 'neither, also below what is allowed', each)
    .option('-c, --connect <address>', 'may be connected to: 127.0.0.1:80, *:443, unix:/run/x.sock', each)
    .option('-b, --bind <address>', 'may be listened on', each)
    .option('--tmp', 'has a temporary folder of its own')
    .option('--dry-run', 'lets by what would be refused, and tells it')
    .optionsGroup('How it runs:')
    .option('-e, --env <name[=value]>', 'sets a variable, or passes it on in spite of --clear-env', each)
    .option('--clear-env', 'passes on PATH, HOME, TERM, the language and the like only')
    .option('-C, --cwd <folder>', 'where it starts')
    .option('-t, --timeout <time>', 'ends it after so long: 500ms, 10s, 2min', milliseconds)
    .option('--force-kill-after <time>', 'how long it may take to end', milliseconds)
    .option('-l, --limit <name=value>', 'memory=1GiB, processes=50, wallTime=10s, …', limit)
    .option('--wait', 'waits for what it leaves behind, which is killed otherwise')
    .optionsGroup('What is told:')
    .option('--report <file>', 'writes a page of what it did')
    .option('--json', 'tells what came of it as one line of JSON')
    .option('--summary <file>', 'tells it there, and not on standard error')
    .option('-a, --all', 'also looks at what may be there, which programs do without')
    .option('-v, --verbose', 'tells each refusal at once')
    .option('-q, --quiet', 'tells no refusals')
    .addHelpText(
      'after',
      `
Exit code: the program's own; 128+n if signal n ended it; 126 if it cannot be executed, 127 if it is not there;
125 if holdfast itself failed: a policy, an option, or what this machine lacks (holdfast doctor).`,
    )
    .action(async (command: string, args: string[], flags: Flags) => {
      try {
        const { code, signal, job } = await run(command, args, flags);
        process.exitCode = code;
        job?.endAs(signal);
      } catch (error) {
        ownFailure(error, flags.json);
        process.exitCode = OWN_FAILURE;
      }
    });
}
