// Builds and runs test/native/*_test.cc, each a program of its own with every supervisor source but main.cc, under
// AddressSanitizer and UndefinedBehaviorSanitizer. Those of the threaded parts name their sources in a line
// `// ThreadSanitizer: FILE...` and run under that too. Exit code 0 passes, 77 skips, anything else fails.
//   npm run test:native [-- NAME...]     only the tests whose names begin so
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn, tower } from '../../.config/rooms.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const builds = {
  address: {
    folder: join(root, 'build/native-test'),
    sanitizers: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'],
  },
  thread: { folder: join(root, 'build/native-test-threads'), sanitizers: ['-fsanitize=thread'] },
};
const compiler = process.env.CXX ?? 'g++';
const flags = ['-std=c++20', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-pthread'];
const supervisorFlags = ['-fno-exceptions', '-fno-rtti'];
const timeLimit = 120_000;

function run(command, args, { timeout } = {}) {
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

/** An object is fresh while it is newer than everything its dependency file names. */
function fresh(object) {
  const dependencies = object.replace(/\.o$/, '.d');
  if (!existsSync(object) || !existsSync(dependencies)) return false;
  const time = statSync(object).mtimeMs;
  const names = readFileSync(dependencies, 'utf8').replaceAll('\\\n', ' ').split(': ')[1]?.trim().split(/\s+/) ?? [];
  return names.every((name) => existsSync(join(root, name)) && statSync(join(root, name)).mtimeMs <= time);
}

async function compile(source, { folder, sanitizers }) {
  const name = source;
  const object = join(folder, `${name.replaceAll('/', '-').replace(/\.cc$/, '')}.o`);
  if (fresh(object)) return { object };
  const result = await run(compiler, [...flags, ...sanitizers, ...supervisorFlags, '-MMD', '-c', name, '-o', object]);
  return result.code === 0 ? { object } : { failure: `${name} does not compile:\n${result.output}` };
}

/** Runs `work` on every item, as many at once as there are processors. */
async function all(items, work) {
  const results = [];
  const queue = [...items.entries()];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

function stop(message) {
  console.error(message);
  process.exit(1);
}

const architecture = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
const supervisor = tower
  .filter((room) => room !== 'arch')
  .flatMap((room) => sourcesIn(`native/${room}`, /\.cc$/))
  .filter((source) => basename(source) !== 'main.cc')
  .concat(`native/arch/${architecture}.cc`);
const wanted = process.argv.slice(2);
const tests = sourcesIn('test/native', /\.cc$/).filter(
  (source) => wanted.length === 0 || wanted.some((name) => basename(source).startsWith(name)),
);

/** Compiles `sources` and `tests` in one way, and runs the tests. An archive lets each take only what it uses. */
async function suite(build, sources, tests, suffix) {
  mkdirSync(build.folder, { recursive: true });
  const objects = await all([...sources, ...tests], (source) => compile(source, build));
  const failures = objects.filter((result) => result.failure).map((result) => result.failure);
  if (failures.length > 0) stop(failures.join('\n'));
  const archive = join(build.folder, 'supervisor.a');
  const archived = await run('ar', ['crs', archive, ...objects.slice(0, sources.length).map(({ object }) => object)]);
  if (archived.code !== 0) stop(archived.output);
  return all(objects.slice(sources.length), async ({ object }) => {
    const program = object.replace(/\.o$/, '');
    const name = basename(program).replace(/^test-native-/, '') + suffix;
    const linked = await run(compiler, [...build.sanitizers, '-pthread', '-o', program, object, archive]);
    if (linked.code !== 0) return { name, state: 'failed', output: linked.output };
    const { code, signal, output } = await run(program, [], { timeout: timeLimit });
    const state = code === 0 ? 'passed' : code === 77 ? 'skipped' : 'failed';
    const end = `${output}\nended with ${signal ?? `exit code ${code}`}`;
    return { name, state, output: state === 'failed' ? end : output };
  });
}

const threaded = tests
  .map((test) => [test, /^\/\/ ThreadSanitizer: (.*)$/m.exec(readFileSync(join(root, test), 'utf8'))?.[1]])
  .filter(([, names]) => names !== undefined);
const threadedSources = new Set(threaded.flatMap(([, names]) => names.split(' ').map((name) => join('native', name))));
const results = [
  ...(await suite(builds.address, supervisor, tests, '')),
  ...(await suite(
    builds.thread,
    [...threadedSources],
    threaded.map(([test]) => test),
    ' (threads)',
  )),
];

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const { name, state, output } of results) {
  counts[state] += 1;
  console.log(`${{ passed: '✓', failed: '✗', skipped: '↓' }[state]} ${name}`);
  if (state !== 'passed') console.log(output.trimEnd().replace(/^/gm, '    '));
}
if (process.env.HOLDFAST_TEST_REPORT) writeFileSync(process.env.HOLDFAST_TEST_REPORT, JSON.stringify(counts));
console.log(`native: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || results.length === 0 ? 1 : 0;
