// The command `holdfast`.
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { doctor } from './doctor.ts';
import { explainCommand } from './explain.ts';
import { learnCommand } from './learn.ts';
import { runCommand } from './run.ts';

const { version } = createRequire(import.meta.url)('holdfast/package.json') as { version: string };

const program = new Command('holdfast')
  .description(
    'Runs programs that you do not trust. The library is what `import { spawnSandboxed } from "holdfast"` gives.',
  )
  .version(version)
  // What follows a command's first word is that command's, and what follows the program's name is the program's.
  .enablePositionalOptions()
  .showHelpAfterError();

program
  .command('doctor')
  .description(
    'What this machine offers, what is missing, and what to do about it. Exit code 0 if programs can be started, else 1.',
  )
  .option('--json', 'the same as data: what checkSupport({ start: true }) has')
  .action(async (options: { json?: boolean }) => {
    process.exitCode = await doctor(options.json === true, version);
  });

program.addCommand(runCommand());
program.addCommand(learnCommand());
program.addCommand(explainCommand());

await program.parseAsync();
