// Compiles test/programs/*.c, for this machine or by another's compiler. A program that needs flags of its own names them
// in its first line:
//   // cflags: -static -lrt
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../programs/', import.meta.url));
const flags = ['-O1', '-g', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-pthread'];

/**
 * @param {string} folder
 * @param {string} source
 * @param {string} compiler
 * @returns {Promise<void>}
 */
function compile(folder, source, compiler) {
  const target = join(folder, basename(source, '.c'));
  if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) return Promise.resolve();
  const [first = ''] = readFileSync(source, 'utf8').split('\n', 1);
  const own = /^\/\/ cflags: (.*)$/.exec(first)?.[1]?.split(/\s+/) ?? [];
  // Under a name of its own until it is whole: another test run in the same tree may be reading the old one.
  const partial = `${target}.${process.pid}`;
  return new Promise((resolve, reject) => {
    const gcc = spawn(compiler, [...flags, '-o', partial, source, ...own], { stdio: ['ignore', 'inherit', 'inherit'] });
    gcc.on('error', reject);
    gcc.on('close', (code) => {
      if (code !== 0) return reject(new Error(`${compiler} ${basename(source)} failed with exit code ${code}`));
      renameSync(partial, target);
      resolve();
    });
  });
}

/**
 * Those that are older than their sources.
 * @param {string} folder Where they are put.
 */
export async function compilePrograms(folder, compiler = 'gcc') {
  mkdirSync(folder, { recursive: true });
  const queue = (existsSync(sources) ? readdirSync(sources) : []).filter((name) => name.endsWith('.c'));
  const worker = async () => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      await compile(folder, join(sources, name), compiler);
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
}
