// Builds the benchmark's own programs into build/bench/.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('programs/', import.meta.url));
export const built = fileURLToPath(new URL('../../build/bench/', import.meta.url));

export const program = (name) => join(built, name);

function compile(name, extension, compiler, flags) {
  const source = join(sources, `${name}.${extension}`);
  const target = program(name);
  if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) return;
  // Static, so that nothing but the measured call is held.
  const args = [...flags, '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-o', target, source];
  const { status, error } = spawnSync(compiler, args, { stdio: 'inherit' });
  if (error || status !== 0) throw new Error(`${compiler} ${source}: ${error?.message ?? `exit code ${status}`}`);
}

export function buildPrograms() {
  mkdirSync(built, { recursive: true });
  compile('loop', 'c', 'gcc', ['-pthread']);
  compile('floor', 'c', 'gcc', []);
  compile('asker', 'cc', 'g++', ['-std=c++20', '-fno-exceptions', '-fno-rtti']);
}
