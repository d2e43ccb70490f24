// Builds test/programs/*.c once before the tests. A program that needs flags of its own names them in its first line:
//   // cflags: -static -lrt
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../programs/', import.meta.url));
const built = fileURLToPath(new URL('../../build/test-programs/', import.meta.url));

/** Where the program made from test/programs/NAME.c is. */
export function program(name: string): string {
  return join(built, name);
}

function compile(source: string): Promise<void> {
  const target = program(basename(source, '.c'));
  if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) return Promise.resolve();
  const flags =
    /^\/\/ cflags: (.*)$/m.exec(readFileSync(source, 'utf8').split('\n', 1)[0] ?? '')?.[1]?.split(/\s+/) ?? [];
  // Under a name of its own until it is whole: another test run in the same tree may be reading the old one.
  const partial = `${target}.${process.pid}`;
  const args = [
    '-O1',
    '-g',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-D_GNU_SOURCE',
    '-pthread',
    '-o',
    partial,
    source,
    ...flags,
  ];
  return new Promise((resolve, reject) => {
    const gcc = spawn('gcc', args, { stdio: ['ignore', 'inherit', 'inherit'] });
    gcc.on('error', reject);
    gcc.on('close', (code) => {
      if (code !== 0) return reject(new Error(`gcc ${basename(source)} failed with exit code ${code}`));
      renameSync(partial, target);
      resolve();
    });
  });
}

export default async function buildPrograms(): Promise<void> {
  mkdirSync(built, { recursive: true });
  const queue = (existsSync(sources) ? readdirSync(sources) : []).filter((name) => name.endsWith('.c'));
  const worker = async () => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) await compile(join(sources, name));
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
}
