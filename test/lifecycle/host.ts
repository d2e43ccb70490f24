// Node processes of their own that use holdfast, for what cannot be done to the process that runs the tests.
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, root } from './tree.ts';

let library: string | undefined;

/** The library as JavaScript, beside the native part that the tests use. Compiled once for each test file. */
function compiledLibrary(): string {
  if (library !== undefined) return library;
  const folder = temporaryFolder('library');
  execFileSync(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', root, '--outDir', join(folder, 'dist'), '--emitDeclarationOnly', 'false'],
    ...['--declaration', 'false', '--declarationMap', 'false'],
  ]);
  for (const name of ['build', 'node_modules', 'prebuilds']) symlinkSync(join(root, name), join(folder, name));
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  library = folder;
  return folder;
}

/**
 * Starts Node on a script. It has `holdfast` (the module), `policy` and `say(...)` for lines on standard output, and
 * finds its arguments in `args`. `under` is a program with its arguments that runs Node in its place.
 */
export function startHost(
  script: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
  under: readonly string[] = [],
): ChildProcess {
  const folder = compiledLibrary();
  const file = join(temporaryFolder('host'), 'host.mjs');
  writeFileSync(
    file,
    `import fs from 'node:fs';
import * as holdfast from ${JSON.stringify(join(folder, 'dist/index.js'))};
const { spawnSandboxed } = holdfast;
const policy = ${JSON.stringify(policyFor())};
const args = process.argv.slice(2);
const say = (...words) => fs.writeSync(1, words.join(' ') + '\\n');
${script}
`,
  );
  const [command = process.execPath, ...line] = [...under, process.execPath, file, ...args];
  return spawn(command, line, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
}
