// The table of docs/limits.md: its form, for the script that writes it and the check that it is there as a whole.

const begin = '<!-- npm run bench:limits -->\n';
const end = '<!-- end -->';
export const header = '| limit | asked | reached, under one process | reached, under a hundred |\n|---|---|---|---|\n';
export const names = [
  'memory',
  'cpuTime',
  'wallTime',
  'processes',
  'threads',
  'openFiles',
  'fileSize',
  'written',
  'output',
  'coreSize',
  'addressSpace',
];

function parts(page) {
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error('docs/limits.md has no place for the table');
  return [page.slice(0, from + begin.length), page.slice(from + begin.length, to), page.slice(to)];
}

export function withTable(page, text) {
  const [before, , after] = parts(page);
  return `${before}${text}${after}`;
}

/** What is wrong with the table of a page, if anything is. */
export function problemOf(page) {
  const [, table] = parts(page);
  if (!table.includes(header)) return 'has another head than test/bench/limits-table.js';
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  const missing = names.filter((name) => !rows.some((row) => row.startsWith(`| \`${name}\` |`)));
  if (missing.length > 0) return `has no row for ${missing.join(', ')}`;
  if (rows.length !== names.length) return 'has rows that no limit belongs to';
  const bad = rows.find(
    (row) => row.split('|').length !== 6 || row.split('|').some((cell, i) => i > 0 && i < 5 && cell.trim() === ''),
  );
  return bad === undefined ? undefined : `has an empty cell: ${bad}`;
}
