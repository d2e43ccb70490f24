// Compiles the supervisor's sources with sanitizers, once for the tests of its parts (test/native/run.mjs) and for the
// whole supervisor that the suite runs over (run.mjs).
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn, tower } from '../../.config/rooms.mjs';

const self = fileURLToPath(import.meta.url);
export const root = join(dirname(self), '../..');

/** One folder for each: its objects, and what is linked of them. */
export const builds = {
  address: {
    folder: join(root, 'build/sanitizers/address'),
    sanitizers: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'],
    // One runtime: UBSan's own would not know of log_path.
    runtime: ['-static-libasan', '-static-libubsan'],
  },
  thread: {
    folder: join(root, 'build/sanitizers/thread'),
    sanitizers: ['-fsanitize=thread', '-fno-omit-frame-pointer'],
    runtime: [],
  },
};
const compiler = process.env.CXX ?? 'g++';
const flags = ['-std=c++20', '-g1', '-Og', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-pthread'];
const supervisorFlags = ['-fno-exceptions', '-fno-rtti'];

const architecture = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
const reporter = 'native/supervisor/sanitizers.cc';
export const supervisorSources = tower
  .filter((room) => room !== 'arch')
  .flatMap((room) => sourcesIn(`native/${room}`, /\.cc$/))
  .concat(`native/arch/${architecture}.cc`);

/** Where a sanitized supervisor writes what it finds. */
export const findingsOf = (build) => join(build.folder, 'findings');

export function stop(message) {
  console.error(message);
  process.exit(1);
}

export function run(command, args, { timeout } = {}) {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    });
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: -1, output: error.message }));
    child.on('close', (code, signal) => resolve({ code, signal, output }));
  });
}

/** Runs `work` on every item, as many at once as there are processors. */
export async function all(items, work) {
  const results = [];
  const queue = [...items.entries()];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

/** An object is fresh while it is newer than everything its dependency file names, and than the flags above. */
function fresh(object) {
  const dependencies = object.replace(/\.o$/, '.d');
  if (!existsSync(object) || !existsSync(dependencies)) return false;
  const time = statSync(object).mtimeMs;
  const names = readFileSync(dependencies, 'utf8').replaceAll('\\\n', ' ').split(': ')[1]?.trim().split(/\s+/) ?? [];
  const files = [self, ...names.map((name) => join(root, name))];
  return files.every((file) => existsSync(file) && statSync(file).mtimeMs <= time);
}

async function compile(name, build) {
  const object = join(build.folder, `${name.replaceAll('/', '-').replace(/\.cc$/, '')}.o`);
  // Where this tree's findings go: an object that came with a copy of another tree would tell that one.
  const told = name === reporter;
  if (!told && fresh(object)) return { object };
  const sanitized = told ? `-DHOLDFAST_SANITIZERS="${join(findingsOf(build), 'found')}"` : '-DHOLDFAST_SANITIZERS';
  const options = [...flags, ...build.sanitizers, ...supervisorFlags, sanitized];
  const result = await run(compiler, [...options, '-MMD', '-c', name, '-o', object]);
  return result.code === 0 ? { object } : { failure: `${name} does not compile:\n${result.output}` };
}

/** The objects of `sources`, in their order. */
export async function compileAll(sources, build) {
  mkdirSync(build.folder, { recursive: true });
  const objects = await all(sources, (source) => compile(source, build));
  const failures = objects.filter((result) => result.failure).map((result) => result.failure);
  if (failures.length > 0) stop(failures.join('\n'));
  return objects.map(({ object }) => object);
}

/** The command and arguments that link `program`. */
export function linker(build, program, objects, more = []) {
  return [compiler, [...build.sanitizers, ...more, '-pthread', '-o', program, ...objects]];
}

/** The whole supervisor; sanitizers cannot be linked into a static executable. */
export async function buildSupervisor(build) {
  const program = join(build.folder, 'holdfast-supervisor');
  const objects = await compileAll(supervisorSources, build);
  const own = [...build.runtime, '-static-libstdc++', '-static-libgcc'];
  const linked = await run(...linker(build, program, objects, own));
  if (linked.code !== 0) stop(linked.output);
  return program;
}
