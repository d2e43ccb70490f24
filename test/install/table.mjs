// The table of installs, in docs/platforms.md between its markers, and as data beside this file.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundlers, compilers, linter, managers, nodes, runtimes } from './matrix.mjs';

const [begin, end] = ['<!-- installs: npm run test:install -- --write -->', '<!-- /installs -->'];

export function writeTable(root, results) {
  const date = new Date().toISOString().slice(0, 10);
  const machine = `linux ${process.arch}`;
  const versions = Object.fromEntries(
    [...managers, ...bundlers, ...compilers, linter, ...runtimes].map(({ name, version }) => [name, version]),
  );
  writeFileSync(
    join(root, 'test/install/table.json'),
    `${JSON.stringify({ date, machine, versions, results }, undefined, 2)}\n`,
  );
  const cell = (subject, what) =>
    results.find((one) => one.subject === subject && one.what === what)?.result ?? 'not tried';
  const columns = ['installs', 'keeps modes', ...nodes.map(({ name }) => name)];
  const rows = managers.map(({ name, version }) => [
    name.replace(/ \d+/, ` ${version}`),
    ...columns.map((column) => cell(name, column)),
  ]);
  const of = (wanted) =>
    results
      .filter(({ group }) => group === wanted)
      .map(({ subject, what, result }) => [`${subject.replace(/ \d+$/, '')} ${versions[subject]}`, what, result]);
  rows.push(['in a root of Debian 11 (glibc 2.31)', '', '', ...nodes.map(({ name }) => cell('Debian 11', name))]);
  const [bundles, types] = [of('bundle'), of('types')];
  const table = (head, body) =>
    [head, head.map(() => '---'), ...body].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const text = [
    begin,
    `On ${date}, ${machine}. *Installs*: no script run, no compiler called, no word of warning; where a manager runs scripts of dependencies by itself, with and without them. A Node: by import, by require, in a worker thread.`,
    '',
    table(['package manager', ...columns], rows),
    '',
    table(['bundler', 'holdfast', 'result'], bundles),
    '',
    table(['types', 'moduleResolution', 'result'], types),
    '',
    table(['runtime', 'import', 'result'], of('runtime')),
    end,
  ].join('\n');
  const path = join(root, 'docs/platforms.md');
  const page = readFileSync(path, 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < 0) throw new Error(`docs/platforms.md has no place for the table: ${begin} … ${end}`);
  writeFileSync(path, page.slice(0, from) + text + page.slice(to + end.length));
}
