// What came of it: a table for the eye, JSON for machines, and the table in docs/performance.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import colors from 'picocolors';

const jsonPath = fileURLToPath(new URL('../../build/bench.json', import.meta.url));
const docsPath = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const times = (value) => `${value.toFixed(2)}×`;

/** The ratios of each round, since what disturbs a round disturbs both of its sides. */
export function evaluate(measure, rounds) {
  const compare = measure.compare.map(({ of, to, goal }) => {
    const parts = [to].flat();
    const ofTimes = rounds.map((round) => round[of]);
    const toTimes = rounds.map((round) => parts.reduce((sum, part) => sum + round[part], 0));
    const ratios = rounds.map((_, i) => ofTimes[i] / toTimes[i]);
    const ratio = median(ratios);
    return {
      of,
      to: parts.join(' + '),
      ofTime: median(ofTimes),
      toTime: median(toTimes),
      ratio,
      // Disturbance only ever adds time, so on a busy machine this says more.
      best: Math.min(...ofTimes) / Math.min(...toTimes),
      least: Math.min(...ratios),
      most: Math.max(...ratios),
      ...(goal === undefined ? {} : { goal, reached: ratio <= goal }),
    };
  });
  return { name: measure.name, title: measure.title, unit: measure.unit, group: measure.group, compare, rounds };
}

const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

const groups = {
  walkers: {
    title: 'make -j2, find, grep -r, git status: geometric mean',
    goals: { holdfast: 3.2, 'holdfast, metadata': 1.8, 'holdfast, kernel layers': 1.2 },
  },
  builders: {
    title: 'git, python3, node, npm, tar: geometric mean',
    goals: { holdfast: 1.5, 'holdfast, metadata': 1.25 },
  },
};

/** The groups whose members were all measured, as measures of their own. */
export function summaries(measures, all) {
  return Object.entries(groups).flatMap(([name, { title, goals }]) => {
    const members = measures.filter(({ group }) => group === name);
    if (members.length === 0 || members.length < all.filter(({ group }) => group === name).length) return [];
    const compare = members[0].compare.map(({ of, to }, i) => {
      const each = members.map((member) => member.compare[i]);
      const goal = goals[of];
      const ratio = geometricMean(each.map((one) => one.ratio));
      return {
        of,
        to,
        ratio,
        best: geometricMean(each.map((one) => one.best)),
        least: geometricMean(each.map((one) => one.least)),
        most: geometricMean(each.map((one) => one.most)),
        ...(goal === undefined ? {} : { goal, reached: ratio <= goal }),
      };
    });
    return [{ name, title, unit: '', compare, rounds: [] }];
  });
}

export function print({ title, unit, compare }) {
  console.log(colors.bold(title));
  for (const { of, to, ofTime, toTime, ratio, best, least, most, goal, reached } of compare) {
    const took = (time) => (time === undefined ? ''.padStart(7) : digits(time).padStart(7));
    const line =
      `  ${of.padEnd(29)} ${took(ofTime)} ${unit}   ${to.padEnd(27)} ${took(toTime)} ${unit}   ` +
      `${times(ratio).padStart(7)} (${least.toFixed(2)}–${most.toFixed(2)}, best ${best.toFixed(2)})`;
    if (goal === undefined) console.log(line);
    else console.log(`${line}  ${(reached ? colors.green : colors.red)(`${reached ? '✓' : '✗'} goal ≤ ${goal}`)}`);
  }
}

export const machine = () => ({
  date: new Date().toISOString(),
  kernel: release(),
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  cpus: cpus().length,
  user: process.getuid() === 0 ? 'root' : 'ordinary',
});

export const load = () => loadavg().map((value) => Number(value.toFixed(2)));

export function writeJson(result) {
  mkdirSync(dirname(jsonPath), { recursive: true });
  writeFileSync(jsonPath, `${JSON.stringify(result, undefined, 2)}\n`);
  return jsonPath;
}

export function writeDocs({ machine, before, after, rounds, measures }) {
  const lines = [
    `Measured on ${machine.date.slice(0, 10)}: Linux ${machine.kernel}, ${machine.cpus} × ${machine.cpu}, Node ${machine.node.slice(1)}, ` +
      `user ${machine.user}; ${rounds} rounds; load ${before[0]} before, ${after[0]} after.`,
    '',
    '| what | holdfast | compared with | | ratio (least–most) | best | goal |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const { title, unit, compare } of measures) {
    for (const { of, to, ofTime, toTime, ratio, best, least, most, goal, reached } of compare) {
      const what = of === 'holdfast' ? title : `${title}; ${of.replace('holdfast, ', '')}`;
      const took = (time) => (time === undefined ? '' : `${digits(time)} ${unit}`);
      const aim = goal === undefined ? '' : `≤ ${goal}${reached ? '' : ', missed'}`;
      lines.push(
        `| ${what} | ${took(ofTime)} | ${to} | ${took(toTime)} | ` +
          `**${times(ratio)}** (${least.toFixed(2)}–${most.toFixed(2)}) | ${times(best)} | ${aim} |`,
      );
    }
  }
  const [begin, end] = ['<!-- bench:begin -->', '<!-- bench:end -->'];
  const text = readFileSync(docsPath, 'utf8');
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end);
  if (from < begin.length || to < from) throw new Error(`${docsPath} has no ${begin} … ${end}`);
  writeFileSync(docsPath, `${text.slice(0, from)}\n${lines.join('\n')}\n${text.slice(to)}`);
  return docsPath;
}
