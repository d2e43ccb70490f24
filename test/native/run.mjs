// Builds and runs test/native/*_test.cc, each a program of its own with every supervisor source but main.cc, under
// AddressSanitizer and UndefinedBehaviorSanitizer. Those of the threaded parts name their sources in a line
// `// ThreadSanitizer: FILE...` and run under that too. Exit code 0 passes, 77 skips, anything else fails.
//   npm run test:native [-- NAME...]     only the tests whose names begin so
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { sourcesIn } from '../../.config/rooms.mjs';
import { all, builds, compileAll, linker, root, run, stop, supervisorSources } from '../sanitizers/build.mjs';

const timeLimit = 120_000;
/** These have a main() and sanitizers' options of their own. */
const supervisor = supervisorSources.filter((source) => !/^(main|sanitizers)\.cc$/.test(basename(source)));
const wanted = process.argv.slice(2);
const tests = sourcesIn('test/native', /\.cc$/).filter(
  (source) => wanted.length === 0 || wanted.some((name) => basename(source).startsWith(name)),
);

/** Compiles `sources` and `tests` in one way, and runs the tests. An archive lets each take only what it uses. */
async function suite(build, sources, tests, suffix) {
  const objects = await compileAll([...sources, ...tests], build);
  const archive = join(build.folder, 'supervisor.a');
  const archived = await run('ar', ['crs', archive, ...objects.slice(0, sources.length)]);
  if (archived.code !== 0) stop(archived.output);
  return all(objects.slice(sources.length), async (object) => {
    const program = object.replace(/\.o$/, '');
    const name = basename(program).replace(/^test-native-/, '') + suffix;
    const linked = await run(...linker(build, program, [object, archive]));
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
