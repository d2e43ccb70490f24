// Writes docs/performance.md's tables and picture from what was measured.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { drawn, picturePath } from './picture.js';
import { aim, digits, times } from './report.js';

export const docsPath = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

/** The rows that come first, by their measures' names, and their columns: each kind of sandbox, to the same thing without. */
const first = {
  stat: ['stat', 'bare'],
  open: ['open and close', 'bare'],
  walkers: ['make -j2, find, grep -r, git status', 'bare'],
  builders: ['npm ci, git clone, tar, compileall, web server, threads', 'bare'],
  start: ["spawn('true') until it has ended", 'child_process'],
};
const kinds = ['holdfast', 'holdfast, metadata', 'holdfast, kernel layers'];

function firstTable(measures) {
  const lines = [
    "| compared with nothing around it | plain rules | metadata `['/']` | kernel layers |",
    '|---|---|---|---|',
  ];
  for (const [name, [title, to]] of Object.entries(first)) {
    const rows = measures.find((measure) => measure.name === name)?.compare ?? [];
    const cells = kinds.map((kind) => rows.find((row) => row.of === kind && row.to === to)?.ratio);
    if (cells.some((ratio) => ratio === undefined)) throw new Error(`--docs needs the measure ${name}, whole`);
    lines.push(`| ${title} | ${cells.map(times).join(' | ')} |`);
  }
  return lines;
}

function table(measures) {
  const lines = [
    '| what | holdfast | compared with | | ratio (least–most) | best | one processor | goal |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const { title, unit, compare } of measures) {
    for (const row of compare) {
      const { of, to, ofTime, toTime, ratio, best, least, most, reached, pinned } = row;
      const what = of === 'holdfast' ? title : `${title}; ${of.replace('holdfast, ', '')}`;
      const took = (time) => (time === undefined ? '' : `${digits(time)} ${unit}`);
      const missed = [reached === false && 'missed', pinned?.reached === false && 'missed on one'].filter(Boolean);
      const cells = [what, took(ofTime), to ?? '', took(toTime)];
      if (ratio === undefined) cells.push(`(${digits(least)}–${digits(most)})`, '', took(pinned?.ofTime));
      else {
        cells.push(`**${times(ratio)}** (${least.toFixed(2)}–${most.toFixed(2)})`, times(best));
        cells.push(pinned === undefined ? '' : times(pinned.ratio));
      }
      lines.push(`| ${[...cells, [aim(row), ...missed].join(', ')].join(' | ')} |`);
    }
  }
  return lines;
}

function between(text, name, lines) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end);
  if (from < begin.length || to < from) throw new Error(`${docsPath} has no ${begin} … ${end}`);
  return `${text.slice(0, from)}\n${lines.join('\n')}\n${text.slice(to)}`;
}

export function writeDocs({ machine, before, after, rounds, measures, leftOut, pinned }) {
  const when =
    `Measured on ${machine.date.slice(0, 10)}: Linux ${machine.kernel}, ${machine.cpus} × ${machine.cpu}, Node ${machine.node.slice(1)}, ` +
    `user ${machine.user}; ${rounds} round${rounds === 1 ? '' : 's'}; load ${before[0]} before, ${after[0]} after.`;
  const missing = leftOut.length === 0 ? 'none' : leftOut.map(({ name, why }) => `${name} (${why})`).join('; ');
  const one =
    pinned === undefined
      ? []
      : [`The column “one processor” is a run of its own, load ${pinned.before[0]} before, ${pinned.after[0]} after.`];
  const page = between(readFileSync(docsPath, 'utf8'), 'first', [when, '', ...firstTable(measures)]);
  const whole = between(page, 'bench', [...table(measures), '', `Left out: ${missing}. ${one.join(' ')}`.trim()]);
  writeFileSync(docsPath, whole);
  writeFileSync(picturePath, drawn(whole));
  return [docsPath, picturePath];
}
