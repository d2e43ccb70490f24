// From the call of spawn to the event.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { spawnSandboxed } from 'holdfast';
import { ms } from './run.js';

/** Whether a child process of this one is there still: `close` comes a moment before the supervisor's own end. */
const somethingLeft = () => readFileSync('/proc/thread-self/children', 'latin1') !== '';

/** Milliseconds until `event`, or until nothing is left, the median of some starts; none begins before that. */
function startOf(start, event, count) {
  return async () => {
    const times = [];
    for (let i = 0; i < count; i++) {
      const began = ms();
      const child = start();
      await new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on(event, () => times.push(ms() - began));
        child.on('close', resolve);
      });
      while (somethingLeft()) await new Promise((resolve) => setImmediate(resolve));
      if (event === 'gone') times.push(ms() - began);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  };
}

const measure = (name, title, event, options, count, goal) => ({
  name,
  title,
  unit: 'ms',
  subjects: {
    child_process: startOf(() => spawn('true', [], options), event, count),
    holdfast: startOf(() => spawnSandboxed('true', [], options), event, count),
  },
  compare: [{ of: 'holdfast', to: 'child_process', goal }],
});

export const starts = (few) => [
  measure('start', "spawn('true') until 'close'", 'close', {}, few(20), 1.3),
  measure('start-quiet', "spawn('true'), stdio ignored, until 'close'", 'close', { stdio: 'ignore' }, few(20)),
  measure('start-spawn', "spawn('true') until 'spawn'", 'spawn', {}, few(20)),
  measure('start-gone', "spawn('true') until nothing of it is left", 'gone', {}, few(20)),
];
