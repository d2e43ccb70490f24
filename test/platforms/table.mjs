// The table in docs/platforms.md, between its markers, of the results that are kept beside this file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [begin, end] = ['<!-- platforms: npm run platforms -->', '<!-- /platforms -->'];
const keptIn = (root) => join(root, 'test/platforms/results.json');
const identity = ({ arch, kernel, engine, place }) => [arch, kernel, engine, place].join('\n');

export const readResults = (root) => (existsSync(keptIn(root)) ? JSON.parse(readFileSync(keptIn(root), 'utf8')) : []);

/** In place of what was known of this cell; the others stay. */
export function keep(root, result) {
  const others = readResults(root).filter((one) => identity(one) !== identity(result));
  const all = [...others, result].sort((a, b) => (identity(a) < identity(b) ? -1 : 1));
  writeFileSync(keptIn(root), `${JSON.stringify(all, undefined, 2)}\n`);
}

const row = ({ arch, release, engine, place, selection, passed, failed, unsupported, problem, date }) => {
  const counts = problem === undefined ? [passed, failed, unsupported] : [problem, '', ''];
  return [arch, release, engine, place, selection, ...counts, date];
};

export function writeTable(root) {
  const head = ['machine', 'kernel', 'engine', 'rule', 'selection', 'passed', 'failed', 'unsupported', 'date'];
  const lines = [head, head.map(() => '---'), ...readResults(root).map(row)].map((one) => `| ${one.join(' | ')} |`);
  const path = join(root, 'docs/platforms.md');
  const page = readFileSync(path, 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < 0) throw new Error(`docs/platforms.md has no place for the table: ${begin} … ${end}`);
  writeFileSync(path, `${page.slice(0, from)}${begin}\n${lines.join('\n')}\n${page.slice(to)}`);
}
