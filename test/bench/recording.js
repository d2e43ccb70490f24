// `record: true` to the same sandbox without it: of one place again and again, and of a new one by each call.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ended, file, layers, ms, sandboxedLoop, spawnOn, work } from './run.js';

const sides = { 'without it': layers.holdfast, holdfast: { ...layers.holdfast, record: true } };
const compare = [{ of: 'holdfast', to: 'without it' }];

const single = (name, title, call, count) => ({
  name: `record-${name}`,
  title: `${title}, \`record: true\``,
  unit: 'µs',
  subjects: Object.fromEntries(
    Object.entries(sides).map(([side, how]) => [side, () => sandboxedLoop(call, file, count, { how })]),
  ),
  compare,
});

/** Each file is opened once: as many accesses, none of which has been there before. */
function newNames(count) {
  const folder = join(work, 'recorded');
  let isMade = false;
  const timed = (how) => async () => {
    if (!isMade) {
      mkdirSync(folder);
      for (let i = 0; i < count; i++) writeFileSync(join(folder, `file-${i}`), 'line\n');
      isMade = true;
    }
    const began = ms();
    await ended(spawnOn(how, 'grep', ['-rc', 'line', folder], { stdio: ['ignore', 'pipe', 'pipe'] }), 'grep');
    return ms() - began;
  };
  return {
    name: 'record-names',
    title: `grep -r through ${count} files, \`record: true\``,
    unit: 'ms',
    subjects: Object.fromEntries(Object.entries(sides).map(([side, how]) => [side, timed(how)])),
    compare,
  };
}

export const recording = (few) => [
  single('stat', 'stat, held, no hook', 'stat', few(20_000)),
  single('open', 'open and close, held, no hook', 'open', few(20_000)),
  newNames(few(2000)),
];
