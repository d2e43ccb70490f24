// npm run bench -- [--quick] [--only NAME,...] [--rounds N] [--docs] [--assert]
// What holding costs, as ratios within one run. docs/performance.md says how to read it.
import { parseArgs } from 'node:util';
import colors from 'picocolors';
import { buildPrograms } from './build.js';
import { calls } from './calls.js';
import { imports } from './import.js';
import { others } from './peers.js';
import { realPrograms } from './programs.js';
import { evaluate, load, machine, print, summaries, writeDocs, writeJson } from './report.js';
import { starts } from './start.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, // a tenth of the work, three rounds: does it run?
    only: { type: 'string', multiple: true }, // measures whose name begins with one of these
    rounds: { type: 'string' },
    docs: { type: 'boolean', default: false }, // rewrite the table in docs/performance.md
    assert: { type: 'boolean', default: false }, // exit with 1 if a goal is missed
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 3 : 9));
if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds}`);
const few = (count) => (values.quick ? Math.ceil(count / 10) : count);

buildPrograms();
const wanted = values.only?.flatMap((names) => names.split(','));
const all = [...calls(few), ...starts(few), ...imports(few), ...realPrograms(few), ...others(few)];
const selected = all.filter(({ name }) => wanted === undefined || wanted.some((part) => name.startsWith(part)));
if (selected.length === 0) throw new RangeError(`no measure is called ${values.only}`);

const before = load();
const measures = [];
for (const measure of selected) {
  const times = [];
  // Round 0 warms caches up. Within a round every subject has its turn, so that slow drifts touch all alike.
  for (let round = 0; round <= rounds; round++) {
    const taken = {};
    for (const [name, run] of Object.entries(measure.subjects)) taken[name] = await run();
    if (round > 0) times.push(taken);
  }
  const measured = evaluate(measure, times);
  measures.push(measured);
  print(measured);
}

for (const summary of summaries(measures, all)) {
  measures.push(summary);
  print(summary);
}

const result = { machine: machine(), before, after: load(), rounds, quick: values.quick, measures };
console.log(colors.dim(`load ${before.join(' ')} before, ${result.after.join(' ')} after; ${rounds} rounds`));
console.log(colors.dim(writeJson(result)));
if (values.docs) console.log(colors.dim(writeDocs(result)));
const missed = measures.flatMap(({ name, compare }) =>
  compare.filter(({ reached }) => reached === false).map(() => name),
);
if (missed.length > 0) console.log(colors.red(`goals missed: ${missed.join(', ')}`));
if (values.assert && missed.length > 0) process.exitCode = 1;
