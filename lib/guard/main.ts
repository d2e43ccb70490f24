// The command `holdfast-guard`: a script-shell for package managers, and what people call beside that.
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { HoldfastError } from '../index.ts';
import { exitCodeOfStart } from '../support/exit-codes.ts';
import { runManager, runScripts, showSummary } from './command.ts';
import { runScript, TROUBLE } from './script.ts';

const { version } = createRequire(import.meta.url)('holdfast/package.json') as { version: string };

function command(): Command {
  const program = new Command('holdfast-guard')
    .description(
      'Runs the install scripts of dependencies in a sandbox: as a package manager’s script-shell, or around one: holdfast-guard npm ci',
    )
    .version(version)
    .argument('[command...]', 'a package manager and its arguments')
    .option('--strict', 'what a script may not makes it, and this command, fail; as HOLDFAST_GUARD=strict')
    .passThroughOptions()
    .enablePositionalOptions()
    .showHelpAfterError()
    .configureOutput({ outputError: (text, write) => write(text) })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : TROUBLE))
    .action(async (line: string[], options: { strict?: boolean }) => {
      if (line.length === 0) program.help({ error: true });
      process.exitCode = await runManager(line, options.strict === true);
    });
  program
    .command('run-scripts')
    .description(
      'The install scripts of what is installed (node_modules), where a package manager was told to run none.',
    )
    .argument('[packages...]', 'of these packages only')
    .option('--strict', 'what a script may not makes it, and this command, fail')
    .action(async (names: string[], options: { strict?: boolean }) => {
      process.exitCode = await runScripts(names, options.strict === true);
    });
  program
    .command('summary')
    .description('What the scripts of the last install tried.')
    .option('--json', 'as data')
    .option('--looks', 'what they only looked for, too')
    .action((options: { json?: boolean; looks?: boolean }) => showSummary(options));
  return program;
}

// Node was started without these (lib/guard/start.sh); a package manager and the project's own scripts have them.
const given = 'HOLDFAST_GUARD_GIVEN_';
for (const [name, value] of Object.entries(process.env)) {
  if (!name.startsWith(given)) continue;
  process.env[name.slice(given.length)] = value;
  delete process.env[name];
}

const args = process.argv.slice(2);
try {
  if (args[0] === '-c') {
    // A package manager has said nothing else so far, and what it would mean is not known.
    if (args.length !== 2)
      throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `-c takes one script: ${args.length - 1} were given`);
    await runScript(args[1] ?? '');
  } else {
    await command().parseAsync();
  }
} catch (error) {
  const { syscall, message, stack } = error as NodeJS.ErrnoException;
  const start = syscall?.startsWith('spawn') === true; // of the package manager: as a shell says it
  const text = error instanceof HoldfastError ? String(error) : start ? message : stack;
  process.stderr.write(`holdfast-guard: ${text}\n`);
  process.exitCode = start ? exitCodeOfStart(error as NodeJS.ErrnoException) : TROUBLE;
}
