// `holdfast explain`: which rule of a policy decides, for people and for scripts.
import { Command } from 'commander';
import { type ExplainQuestion, type Explanation, explain, loadPolicy, type Policy, type PolicyName } from '../index.ts';

/** Allowed, refused, and holdfast's own failures as in `holdfast run`. */
const ALLOWED = 0;
const REFUSED = 1;
const OWN_FAILURE = 125;

const questions = ['read', 'write', 'look', 'exec', 'connect', 'bind'] as const;

interface Flags extends Partial<Record<(typeof questions)[number], string>> {
  policy?: string[];
  cwd?: string;
  under?: string[];
  json?: true;
}

/** Without a default, which the help would show. */
const each = (value: string, before: string[] = []): string[] => [...before, value];

function questionOf(flags: Flags, args: readonly string[]): ExplainQuestion {
  const asked = questions.filter((name) => flags[name] !== undefined);
  const [kind] = asked;
  if (kind === undefined || asked.length > 1)
    throw new Error(`one question at a time: give one of ${questions.map((name) => `--${name}`).join(', ')}`);
  const subject = flags[kind] as string;
  const { cwd, under } = flags;
  const where = { ...(cwd !== undefined && { cwd }), ...(under !== undefined && { under }) };
  if (kind !== 'exec' && args.length > 0) throw new Error('arguments belong to --exec');
  if (kind === 'connect' || kind === 'bind') return { address: subject, access: kind, ...where };
  if (kind === 'exec') return { exec: subject, ...(args.length > 0 && { argv: [subject, ...args] }), ...where };
  return { path: subject, access: kind === 'look' ? 'metadata' : kind, ...where };
}

/** A file's policy, or a policy by its name, which has neither dots nor slashes; or several. */
function policyOf(given: readonly string[] = []): Policy | PolicyName | undefined {
  const bases = given.map((name) => (/[./]/.test(name) ? loadPolicy(name) : (name as PolicyName)));
  return bases.length > 1 ? { extends: bases } : bases[0];
}

function text({ message, considered }: Explanation): string {
  const rules = considered.map(({ rule, effect, path, dry }) =>
    ['  ', effect, dry ? ' (dry)' : '', ' ', rule, ' ', path ?? ''].join('').trimEnd(),
  );
  return `${[message, ...rules].join('\n')}\n`;
}

/** The command, to be added to the program. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('Says which rule of a policy decides on one thing, and why. Nothing is run.')
    .usage('[options] [-- args...]')
    .argument('[args...]', 'of the program that is executed')
    .showHelpAfterError('(holdfast explain --help says more)')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : OWN_FAILURE))
    .option('-p, --policy <file|name>', "a policy's file, or a policy's name; without any, the default", each)
    .option('-C, --cwd <folder>', 'where the program starts, and relative paths begin')
    .optionsGroup('The question:')
    .option('-r, --read <path>', 'may it be read?')
    .option('-w, --write <path>', 'may it be changed, or made?')
    .option('-x, --exec <path>', 'may it be executed (with these arguments)?')
    .option('--look <path>', 'may it be looked at?')
    .option('-c, --connect <address>', 'may it be connected to?')
    .option('-b, --bind <address>', 'may it be listened on?')
    .option('--under <program>', 'asked by who has executed this, or descends from one who has', each)
    .optionsGroup('The answer:')
    .option('--json', 'as data: what explain() gives')
    .addHelpText(
      'after',
      `
The first line says what decides; below it, each rule that speaks of it, the deepest last.
Exit code: 0 if it is allowed (or let by: mode 'report', a dry rule), 1 if it is refused, 125 if that cannot be said: a policy or a question that is not valid.`,
    )
    .action((args: string[], flags: Flags) => {
      try {
        const answer = explain(policyOf(flags.policy), questionOf(flags, args));
        process.stdout.write(flags.json ? `${JSON.stringify(answer)}\n` : text(answer));
        process.exitCode = answer.allowed ? ALLOWED : REFUSED;
      } catch (error) {
        process.stderr.write(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exitCode = OWN_FAILURE;
      }
    });
}
