// A Node of a given resident size that starts commands, as it is told by its parent: node start-host.js MEGABYTES
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { compilePolicy, createSandboxPool, spawnSandboxed } from 'holdfast';

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const ms = () => Number(process.hrtime.bigint()) / 1e6;
const turn = () => new Promise((resolve) => setImmediate(resolve));

const missing = () => Number(process.argv[2]) * 2 ** 20 - process.memoryUsage.rss();
const ballast = [];
while (missing() > 2 ** 20) ballast.push(Buffer.alloc(Math.min(missing(), 2 ** 28), 1));

const poolSize = 2;
const pool = process.argv.includes('pool') ? createSandboxPool({ size: poolSize }) : undefined;

/** What is a child of this process and does not wait in the pool: `close` comes a moment before the supervisor's own end. */
const left = () =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim().split(' ').filter(Boolean).length -
  poolLeft();
const poolLeft = () => (pool === undefined ? 0 : poolSize);
const settled = async () => {
  while (left() > 0 || (pool !== undefined && pool.waiting < poolSize)) await turn();
};

const starters = {
  child_process: (options) => spawn('true', [], options),
  holdfast: (options) => spawnSandboxed('true', [], options),
  pool: (options) => pool.spawn('true', [], options),
};

/** The longest time between two turns of the event loop, until it is asked for. */
function longestTurn() {
  let [longest, last, running] = [0, ms(), true];
  const look = () => {
    longest = Math.max(longest, ms() - last);
    last = ms();
    if (running) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    running = false;
    look();
    return longest;
  };
}

/** The median of milliseconds until `event`, or until nothing is left, or of the longest that Node did nothing else. */
async function run({ how, event, options, compiled, count, pause = 0 }) {
  const given = compiled ? { ...options, policy: compilePolicy(options.policy) } : options;
  const times = [];
  for (let i = 0; i < count; i++) {
    const longest = event === 'turn' ? longestTurn() : undefined;
    const began = ms();
    const child = starters[how](given);
    await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
      if (event !== 'turn') child.on(event, () => times.push(ms() - began));
    });
    if (event === 'turn') times.push(longest());
    await settled();
    if (event === 'gone') times.push(ms() - began);
    // What a pool makes anew has only begun.
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return median(times);
}

process.on('message', async (asked) => {
  try {
    process.send({ took: await run(asked) });
  } catch (error) {
    process.send({ failed: error.stack });
  }
});
process.on('disconnect', () => process.exit());
await settled();
process.send({ ready: true });
