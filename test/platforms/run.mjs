// The suite on architecture × kernel × engine × rule, into the table of docs/platforms.md.
//   npm run platforms [-- --arch A] [--kernel NAME|host] [--engine E] [--place P] [--selection core|wide|whole] [--list] [--table]
// Without choices: every cell. What is run replaces its cell and no other. --list: which there are; --table: the table alone.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { architectures, engines, kernels, places, root } from './places.mjs';
import { selections } from './selection.mjs';
import { keep, writeTable } from './table.mjs';

const text = { type: 'string' };
const flag = { type: 'boolean', default: false };
const { values } = parseArgs({
  options: {
    ...{ arch: text, kernel: text, engine: text, place: text },
    ...{ selection: { ...text, default: 'core' }, list: flag, table: flag },
  },
});
if (!Object.hasOwn(selections, values.selection))
  throw new Error(`--selection ${values.selection}: known are ${Object.keys(selections)}`);
const known = {
  arch: architectures,
  kernel: ['host', ...kernels],
  engine: engines,
  place: places.map(({ name }) => name),
};
for (const [name, all] of Object.entries(known)) {
  const wanted = values[name];
  if (wanted !== undefined && !all.includes(wanted))
    throw new Error(`--${name} ${wanted}: known are ${all.join(', ')}`);
}

const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout.trim();

const machines = [
  { on: 'host', arch: process.arch, kernel: 'host' },
  ...architectures.flatMap((arch) => kernels.map((kernel) => ({ on: 'guest', arch, kernel }))),
];
const cells = machines
  .flatMap(({ on, ...machine }) =>
    places
      .filter((place) => place.on === on)
      .flatMap((place) => (place.engines ?? engines).map((engine) => ({ ...machine, engine, place: place.name }))),
  )
  .filter((cell) => Object.keys(known).every((name) => values[name] === undefined || values[name] === cell[name]));

/** A file that did not load, or none of whose tests began (beforeAll), has failed, too. */
function count(results) {
  const tests = results.flatMap(({ name, status, assertionResults, message }) =>
    status !== 'failed' || assertionResults.some((test) => test.status === 'failed')
      ? assertionResults
      : [
          ...assertionResults,
          { status: 'failed', fullName: name.slice(name.indexOf('/test/') + 1), failureMessages: [message] },
        ],
  );
  const of = (wanted) => tests.filter(({ status }) => status === wanted);
  const failures = of('failed').map(({ fullName }) => fullName);
  const unsupported = tests.length - of('passed').length - failures.length;
  return { passed: of('passed').length, failed: failures.length, unsupported, failures };
}

function runPart(place, files, cell) {
  mkdirSync(join(root, 'build'), { recursive: true });
  const path = join(root, `build/platforms-${process.pid}.json`);
  rmSync(path, { force: true });
  const env = { CI: 'true', HOLDFAST_ENGINE: cell.engine, HOLDFAST_TEST_REPORT: path };
  const given = place.run(files, env, cell) ?? (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
  rmSync(path, { force: true });
  return given === undefined ? [] : JSON.parse(given).testResults;
}

function runCell(cell) {
  const place = places.find(({ name }) => name === cell.place);
  // What needs a hold the engine kernel has not: it has files of its own.
  const selection = cell.engine === 'kernel' ? 'kernel' : values.selection;
  const parts = place.selection === undefined ? selections[selection] : [[]];
  const results = parts.flatMap((files) => runPart(place, files, { ...cell, selection }));
  const outcome = count(results);
  // A worker that does not start leaves no word in the report.
  const missing = parts.flat().filter((file) => !results.some(({ name }) => name.endsWith(`/${file}`)));
  if (missing.length > 0) outcome.problem = `not run: ${missing.join(', ')}`;
  if (outcome.passed === 0 && outcome.failed === 0) outcome.problem = 'nothing was run';
  const date = new Date().toISOString().slice(0, 10);
  return { ...cell, release: place.release(cell), selection: place.selection ?? selection, ...outcome, date, commit };
}

if (values.list) for (const cell of cells) console.log(Object.values(cell).join(', '));
else {
  if (cells.length === 0 && !values.table) throw new Error('these choices leave no cell: --list shows them');
  for (const cell of values.table ? [] : cells) {
    const result = runCell(cell);
    console.log(result);
    keep(root, result);
    if (result.problem !== undefined || result.failed > 0) process.exitCode = 1;
  }
  writeTable(root);
}
