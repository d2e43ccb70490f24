// What came of it: a table for the eye, and JSON for machines (docs.js: for docs/performance.md).
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import colors from 'picocolors';

export const jsonPath = fileURLToPath(new URL('../../build/bench.json', import.meta.url));

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

export const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
export const times = (value) => `${value.toFixed(2)}×`;

/** The ratios of each round, since what disturbs a round disturbs both of its sides; without `to` the figure itself. */
export function evaluate(measure, rounds) {
  const compare = measure.compare.map(({ of, to, goal, atLeast }) => {
    const ofTimes = rounds.map((round) => round[of]);
    if (to === undefined) {
      const value = median(ofTimes);
      const aim =
        atLeast !== undefined
          ? { atLeast, reached: value >= atLeast }
          : goal === undefined
            ? {}
            : { goal, reached: value <= goal };
      return { of, ofTime: value, least: Math.min(...ofTimes), most: Math.max(...ofTimes), ...aim };
    }
    const parts = [to].flat();
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
    members: ['status', 'make', 'find', 'grep'],
    goals: { holdfast: 3.2, 'holdfast, metadata': 1.8, 'holdfast, kernel layers': 1.2 },
  },
  builders: {
    title: 'npm ci, git clone and gc, tar, compileall, a web server, threads: geometric mean',
    members: ['clone', 'compileall', 'threads', 'server', 'npm', 'tar'],
    goals: { holdfast: 1.5, 'holdfast, metadata': 1.25 },
  },
};

/** Whether it has a goal of its own, or a share in one. */
export const hasGoal = ({ group, compare }) =>
  group !== undefined || compare.some(({ goal, atLeast }) => goal !== undefined || atLeast !== undefined);

/** The groups whose members were all measured, as measures of their own. */
export function summaries(measures, leave) {
  return Object.entries(groups).flatMap(([name, { title, members: names, goals }]) => {
    const members = measures.filter(({ group }) => group === name);
    if (members.length === 0) return [];
    const missing = names.filter((one) => !members.some((member) => member.name === one));
    if (missing.length > 0) {
      leave(name, `without ${missing.join(', ')} it is not the mean that the goal is for`);
      return [];
    }
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

/** Puts what was measured on one processor beside the same of all of them. */
export function addPinned(measures, pinned) {
  for (const { name, compare } of measures) {
    const twin = pinned.find((one) => one.name === name);
    for (const row of compare) {
      const same = twin?.compare.find(({ of, to }) => of === row.of && to === row.to);
      if (same !== undefined) row.pinned = same;
    }
  }
}

export const aim = ({ goal, atLeast }) =>
  atLeast !== undefined ? `≥ ${atLeast.toLocaleString('en')}` : goal === undefined ? '' : `≤ ${goal}`;

export function print({ title, unit, compare }, note = '') {
  console.log(`${colors.bold(title)}${note}`);
  for (const row of compare) {
    const { of, to, ofTime, toTime, ratio, best, least, most, reached } = row;
    const took = (time) => (time === undefined ? ''.padStart(7) : digits(time).padStart(7));
    const line =
      ratio === undefined
        ? `  ${of.padEnd(29)} ${took(ofTime)} ${unit}   (${digits(least)}–${digits(most)})`
        : `  ${of.padEnd(29)} ${took(ofTime)} ${unit}   ${to.padEnd(27)} ${took(toTime)} ${unit}   ` +
          `${times(ratio).padStart(7)} (${least.toFixed(2)}–${most.toFixed(2)}, best ${best.toFixed(2)})`;
    if (reached === undefined) console.log(line);
    else console.log(`${line}  ${(reached ? colors.green : colors.red)(`${reached ? '✓' : '✗'} goal ${aim(row)}`)}`);
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

export function writeJson(result, path) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
  return path;
}
