// npm run bench -- [--quick] [--only NAME,...] [--rounds N] [--docs] [--again] [--one-processor no|only] [--assert]
// What holding costs, as ratios within one run. docs/performance.md says how to read it.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import colors from 'picocolors';
import { buildPrograms } from './build.js';
import { calls } from './calls.js';
import { writeDocs } from './docs.js';
import { growth } from './growth.js';
import { imports } from './import.js';
import { others } from './peers.js';
import { realPrograms } from './programs.js';
import { recording } from './recording.js';
import { addPinned, evaluate, hasGoal, jsonPath, load, machine, print, summaries, writeJson } from './report.js';
import { work } from './run.js';
import { starts } from './start.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, // a tenth of the work, one round: does it run?
    only: { type: 'string', multiple: true }, // measures whose name begins with one of these
    rounds: { type: 'string' },
    docs: { type: 'boolean', default: false }, // rewrite the tables and the picture in docs/
    again: { type: 'boolean', default: false }, // measures nothing: what build/bench.json has, for --docs
    'one-processor': { type: 'string' }, // too (default): what has a goal, once more; no (default of --quick); only: nothing else
    json: { type: 'string', default: jsonPath },
    assert: { type: 'boolean', default: false }, // exit with 1 if a goal is missed
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 9));
if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds}`);
const onOne = values['one-processor'] ?? (values.quick ? 'no' : 'too');
if (!['too', 'no', 'only'].includes(onOne)) throw new RangeError(`--one-processor ${onOne}`);
const few = (count) => (values.quick ? Math.ceil(count / 10) : count);

const leftOut = [];
function leave(name, why) {
  leftOut.push({ name, why });
  console.log(colors.dim(`${name} is left out: ${why}`));
}

async function taken({ subjects }) {
  const times = [];
  // Round 0 warms caches up. Within a round every subject has its turn, so that slow drifts touch all alike.
  for (let round = 0; round <= rounds; round++) {
    const taken = {};
    for (const [name, run] of Object.entries(subjects)) taken[name] = await run();
    if (round > 0) times.push(taken);
  }
  return times;
}

async function measured() {
  buildPrograms();
  const wanted = values.only?.flatMap((names) => names.split(','));
  const all = [
    ...calls(few),
    ...recording(few),
    ...starts(few, leave),
    ...imports(few),
    ...growth(few),
    ...realPrograms(few, leave),
    ...others(few, leave),
  ];
  const selected = all.filter(
    (measure) =>
      (wanted === undefined || wanted.some((part) => measure.name.startsWith(part))) &&
      (onOne !== 'only' || hasGoal(measure)),
  );
  if (selected.length === 0) throw new RangeError(`no measure is called ${values.only}`);
  const before = load();
  const note = onOne === 'only' ? ', one processor' : '';
  const measures = [];
  for (const measure of selected) {
    const result = evaluate(measure, await taken(measure));
    await measure.after?.();
    measures.push(result);
    print(result, note);
  }
  for (const summary of summaries(measures, wanted === undefined ? leave : () => {})) {
    measures.push(summary);
    print(summary, note);
  }
  return { machine: machine(), before, after: load(), rounds, quick: values.quick, leftOut, measures };
}

/** The same on one processor: this Node and all that it starts, both sides of each ratio, pinned to the first that may be used. */
function measuredOnOne() {
  const allowed = /^Cpus_allowed_list:\s+(\d+)(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  if (allowed[2] === '') return leave('one processor', 'there is only one');
  const path = join(work, 'one.json');
  const again = process.argv.slice(2).filter((arg) => arg !== '--docs' && arg !== '--assert');
  const args = [
    '-c',
    allowed[1],
    process.execPath,
    process.argv[1],
    ...again,
    '--one-processor',
    'only',
    '--json',
    path,
  ];
  const { error, status } = spawnSync('taskset', args, { stdio: 'inherit' });
  if (error?.code === 'ENOENT') return leave('one processor', 'taskset is not installed');
  if (error || status !== 0) throw new Error(`taskset: ${error?.message ?? `exit code ${status}`}`);
  return JSON.parse(readFileSync(path, 'utf8'));
}

const result = values.again ? JSON.parse(readFileSync(values.json, 'utf8')) : await measured();
const { measures } = result;
if (!values.again) {
  if (onOne === 'too' && measures.some(hasGoal)) {
    const pinned = measuredOnOne();
    if (pinned !== undefined) {
      addPinned(measures, pinned.measures);
      result.pinned = { before: pinned.before, after: pinned.after, leftOut: pinned.leftOut };
    }
  }
  console.log(
    colors.dim(`load ${result.before.join(' ')} before, ${result.after.join(' ')} after; ${result.rounds} rounds`),
  );
  console.log(colors.dim(writeJson(result, values.json)));
}
if (values.docs) for (const path of writeDocs(result)) console.log(colors.dim(path));
const missed = new Set(
  measures.flatMap(({ name, compare }) =>
    compare.flatMap((row) => [
      ...(row.reached === false ? [name] : []),
      ...(row.pinned?.reached === false ? [`${name} (one processor)`] : []),
    ]),
  ),
);
if (missed.size > 0 && onOne !== 'only') console.log(colors.red(`goals missed: ${[...missed].join(', ')}`));
if (values.assert && missed.size > 0) process.exitCode = 1;
