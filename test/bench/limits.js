// What is asked for and what is reached, per limit, under one process and under a hundred: writes the table of docs/limits.md.
//   npm run bench:limits [-- --rounds N] [NAME...]
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { spawnSandboxed } from '../../dist/index.js';
import { header, names, withTable } from './limits-table.js';

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '5' } },
  allowPositionals: true,
});
const rounds = Number(values.rounds);
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'holdfast-limits-'));
const work = join(folder, 'work');
mkdirSync(work);
const limited = join(folder, 'limited');
execFileSync('gcc', ['-O1', '-D_GNU_SOURCE', '-pthread', '-o', limited, join(root, 'test/programs/limited.c')]);
const policy = { files: { read: ['/proc', '/dev', '/etc', folder], write: [work] } };

const MiB = 2 ** 20;
const bytes = (value) => `${(value / MiB).toFixed(value % MiB === 0 ? 0 : 1)} MiB`;
const times = (value) => `${value} ms`;
const counts = String;

/** Runs once, with what came out. */
async function run(args, limits) {
  const child = spawnSandboxed(limited, args.map(String), {
    policy,
    cwd: work,
    limits,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let out = '';
  let size = 0;
  child.stdout.on('data', (data) => {
    size += data.length;
    if (out.length < 1e6) out += data;
  });
  await once(child, 'close');
  return { limit: child.limit, out, size };
}

const reached = ({ limit }) => limit?.reached;
const most = ({ out }) => Math.max(...out.trim().split('\n').map(Number));
const room = ({ out }) => Number(/(?:room )?(\d+)\n$/.exec(out)?.[1]) + 1;

/** Of each limit: what is asked for, how the figure is written, what one process and what a hundred do, and what tells of it. */
const measured = {
  memory: [256 * MiB, bytes, ['fill', 1, 4000], ['fill', 100, 40], reached],
  cpuTime: [1000, times, ['spin', 1, 30_000], ['spin', 100, 30_000], reached],
  wallTime: [1000, times, ['stay', 1], ['stay', 100], reached],
  processes: [20, counts, ['room', 50], ['threads-fork', 100, 5], room],
  threads: [
    120,
    counts,
    ['threads', 500],
    ['threads-fork', 100, 5],
    ({ out }) => (out.startsWith('most') ? Number(/most (\d+)/.exec(out)[1]) + 100 + 1 : Number.parseInt(out, 10) + 1),
  ],
  openFiles: [64, counts, ['most', 1, 'openFiles'], ['most', 100, 'openFiles'], most],
  fileSize: [4 * MiB, bytes, ['most', 1, 'fileSize'], ['most', 100, 'fileSize'], most],
  written: [64 * MiB, bytes, ['write', 1, 4000], ['write', 100, 100], reached],
  output: [MiB, bytes, ['print', 1], ['print', 100], ({ size }) => size],
  addressSpace: [512 * MiB, bytes, ['most', 1, 'addressSpace'], ['most', 100, 'addressSpace'], most],
};

const row = (...cells) => `| ${cells.join(' | ')} |\n`;

async function figures(name) {
  const [asked, write, one, hundred, tell] = measured[name];
  const cells = [];
  for (const args of [one, hundred]) {
    const found = [];
    for (let i = 0; i < rounds; i++) found.push(tell(await run(args, { [name]: asked })));
    found.sort((a, b) => a - b);
    const [least, worst] = [found[0], found.at(-1)];
    cells.push(least === worst ? write(worst) : `${write(found[rounds >> 1])}, at most ${write(worst)}`);
    console.log(name, write(asked), args.join(' '), found.map(write).join(', '));
  }
  return row(`\`${name}\``, write(asked), ...cells);
}

try {
  let table = `Median and worst of ${rounds}, Linux ${release().split('-')[0]}, ${cpus().length} processors, on a machine that others used at the same time. \`processes\` and
\`threads\` under a hundred: a hundred threads that fork at once, with the most that were seen.

${header}`;
  for (const name of names) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    if (name === 'coreSize') table += row('`coreSize`', '0', 'no file', 'no file');
    else table += await figures(name);
  }
  const page = join(root, 'docs/limits.md');
  if (positionals.length === 0) writeFileSync(page, withTable(readFileSync(page, 'utf8'), table));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
