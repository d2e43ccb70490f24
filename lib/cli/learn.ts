// `holdfast learn`: runs a command within bounds and writes the policy that it needs.
import { existsSync, readFileSync } from 'node:fs';
import { Command } from 'commander';
import {
  HoldfastError,
  type LearnProgress,
  type Lesson,
  learn,
  lessonBounds,
  loadPolicy,
  mergeLesson,
  type Policy,
} from '../index.ts';
import { visible } from '../process/violation.ts';
import { exitCodeOfSignal } from '../run/result.ts';
import { exitCodeOfStart, OWN_FAILURE } from '../support/exit-codes.ts';
import { Output } from '../support/output.ts';
import { coloursFor } from './colours.ts';
import { Job } from './job.ts';

interface Flags {
  output: string;
  within?: string;
  read?: string[];
  write?: string[];
  deny?: string[];
  connect?: string[];
  bind?: string[];
  programs?: true;
  dryRun?: true;
  json?: true;
  quiet?: true;
}

/** Without a default, which the help would show. */
const each = (value: string, before: string[] = []): string[] => [...before, value];

/** What was said of the bounds, in place of the default or of a file's. */
function boundsOf(flags: Flags): Policy {
  const { read, write, deny, connect, bind } = flags;
  const base = flags.within === undefined ? lessonBounds() : loadPolicy(flags.within);
  const files = { ...base.files, ...(read && { read }), ...(write && { write }), ...(deny && { deny }) };
  // Of what the default refuses, the very same is given; what is narrower is given beside it, as the longer prefix.
  const asked = [...(connect ?? []), ...(bind ?? [])];
  const refused = base.network?.deny?.filter(
    (address) => flags.within !== undefined || !asked.includes(address as string),
  );
  const network = {
    ...base.network,
    ...(connect && { connect }),
    ...(bind && { bind }),
    ...(refused && { deny: refused }),
  };
  return { ...base, files, ...(Object.keys(network).length > 0 && { network }) };
}

function line(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(columns - 1, 1))}…`;
}

/** One line of a terminal that is written again and again. */
class Progress {
  readonly #shown: boolean;
  #written = false;

  constructor(quiet: boolean) {
    this.#shown = !quiet && process.stderr.isTTY === true;
  }

  tell = ({ milliseconds, processes, calls }: LearnProgress): void => {
    if (!this.#shown) return;
    const text = `learning: ${Math.round(milliseconds / 1000)} s, ${processes} processes, ${calls} calls looked at`;
    process.stderr.write(`\r\u001b[2K${line(text, process.stderr.columns || 80)}`);
    this.#written = true;
  };

  end(): void {
    if (this.#written) process.stderr.write('\r\u001b[2K');
  }
}

function table(lesson: Lesson, file: string, written: boolean): string {
  const pc = coloursFor(process.stderr);
  const { proposals, omissions, denied, truncated } = lesson;
  const rows = proposals.map(({ field, value, reason }) => [field, value, reason] as const);
  const widths = [0, 1].map((i) => Math.min(Math.max(0, ...rows.map((row) => (row[i] as string).length)), 48));
  const lines = [''];
  lines.push(
    proposals.length === 0
      ? pc.bold('Nothing new: what the policy gives is all that it needed.')
      : pc.bold(
          `${proposals.length} new ${proposals.length === 1 ? 'line' : 'lines'}${denied.length > 0 ? ` (and ${denied.length} for what may hold secrets)` : ''}:`,
        ),
  );
  for (const [field, value, reason] of rows)
    lines.push(
      `  ${field.padEnd(widths[0] as number)}  ${pc.green(visible(value).padEnd(widths[1] as number))}  ${pc.dim(visible(reason))}`,
    );
  if (omissions.length > 0) {
    lines.push('', pc.bold(`Asked for and not proposed (${omissions.length}):`));
    for (const { access, target, program, reason } of omissions.slice(0, 20))
      lines.push(
        `  ${pc.red('-')} ${access} ${visible(target)} ${pc.dim(`(${visible(program.split('/').at(-1) ?? '')}): ${visible(reason)}`)}`,
      );
    if (omissions.length > 20) lines.push(pc.dim(`  … and ${omissions.length - 20} more: --json has all`));
  }
  if (truncated > 0)
    lines.push(
      '',
      pc.red(
        `${truncated} calls are not in it: there were more different ones than there is room for. The policy is not whole.`,
      ),
    );
  lines.push(
    '',
    written
      ? `${file}: ${proposals.length === 0 ? 'as it was' : 'written'}. Read it before you trust it.`
      : 'Nothing was written (--dry-run).',
    '',
  );
  return lines.join('\n');
}

const codeOf = ({ exitCode, signal }: Lesson): number =>
  signal !== null ? exitCodeOfSignal(signal) : (exitCode ?? OWN_FAILURE);

async function run(command: string, args: string[], flags: Flags): Promise<() => void> {
  const { output, json, quiet } = flags;
  const progress = new Progress(json === true || quiet === true);
  const text = existsSync(output) ? readFileSync(output, 'utf8') : undefined;
  const policy = text === undefined ? {} : loadPolicy(output);
  let job: Job | undefined;
  // The command may write around it.
  const to = flags.dryRun ? undefined : Output.open(output, false);
  const lesson = await learn(command, args, {
    policy,
    within: boundsOf(flags),
    programs: flags.programs === true,
    // What it prints must not stand among the data.
    stdio: json ? ['inherit', 2, 'inherit'] : 'inherit',
    hooks: (child) => {
      job = new Job(child);
    },
    onProgress: progress.tell,
  }).finally(async () => {
    await job?.end();
    progress.end();
  });
  const merged = mergeLesson(text, lesson);
  if (!flags.dryRun && merged !== text) {
    // What was written is what a later run reads: it is to be found out now if it cannot be.
    loadPolicy(to?.write(merged) ?? output);
  }
  const code = codeOf(lesson);
  if (json) {
    const { accesses: _, policy: learned, ...rest } = lesson;
    process.stdout.write(`${JSON.stringify({ version: 1, status: code, file: output, policy: learned, ...rest })}\n`);
  } else if (!quiet || lesson.truncated > 0) {
    process.stderr.write(table(lesson, output, !flags.dryRun));
  }
  process.exitCode = code;
  return () => job?.endAs(lesson.signal);
}

function failure(error: unknown, json: boolean | undefined): number {
  const { code = 'ERR_HOLDFAST', message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'EACCES') {
    const { syscall = '' } = error as NodeJS.ErrnoException;
    if (syscall.startsWith('spawn')) {
      process.stderr.write(`holdfast: ${message}\n`);
      return exitCodeOfStart(error as NodeJS.ErrnoException);
    }
  }
  if (
    !(error instanceof HoldfastError) &&
    !(error instanceof TypeError) &&
    typeof (error as { errno?: unknown }).errno !== 'number'
  )
    throw error;
  process.stderr.write(
    json
      ? `${JSON.stringify({ version: 1, status: OWN_FAILURE, error: { code, message } })}\n`
      : `holdfast: ${message}\n`,
  );
  return OWN_FAILURE;
}

export function learnCommand(): Command {
  return new Command('learn')
    .description('Runs a command within bounds, and writes the policy that it needs, with a reason beside each line.')
    .argument('<command>', 'the program')
    .argument('[args...]', 'its arguments, as they are')
    .requiredOption('-o, --output <file>', 'the policy: made, or added to; what stands in it stays')
    .option(
      '--within <file>',
      'a policy that is the bounds of the lesson, in place of the default: read everything but secrets, write here and to temporary folders, no network',
    )
    .option('--read <path>', 'of the bounds: what may be read, in place of everything', each)
    .option(
      '--write <path>',
      'of the bounds: what may be written, in place of this folder and the temporary ones',
      each,
    )
    .option('--deny <path>', 'of the bounds: what may not be had, and is not proposed', each)
    .option('--connect <address>', 'of the bounds: where connections may go', each)
    .option('--bind <address>', 'of the bounds: where it may listen', each)
    .option('--programs', 'learns which programs are executed, too')
    .option('--dry-run', 'says what it has learned and writes nothing')
    .option(
      '--json',
      'says it as one line of JSON on standard output; what the command prints there goes to standard error',
    )
    .option('-q, --quiet', 'says nothing that the command does not say')
    .passThroughOptions()
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : OWN_FAILURE))
    .action(async (command: string, args: string[], flags: Flags) => {
      try {
        const end = await run(command, args, flags);
        end();
      } catch (error) {
        process.exitCode = failure(error, flags.json);
      }
    });
}
