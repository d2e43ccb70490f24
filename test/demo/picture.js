// docs/images/demo.svg: what `npm run demo` prints, as a terminal shows it.
//   node test/demo/picture.js     runs the demo and draws it anew
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const picturePath = fileURLToPath(new URL('../../docs/images/demo.svg', import.meta.url));

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** Select Graphic Rendition codes that picocolors writes, as classes (ECMA-48, 8.3.117). */
const classOf = { 1: 'bold', 2: 'dim', 31: 'red', 32: 'green' };
const end = new Set(['0', '22', '39']);

/** Lines of [class, text] pieces. */
function piecesOf(output) {
  const lines = [[]];
  let kinds = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how colours are written
  for (const part of output.split(/(\u001b\[\d+m|\n)/)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const code = /^\u001b\[(\d+)m$/.exec(part)?.[1];
    if (part === '\n') lines.push([]);
    else if (code === undefined && part !== '') lines.at(-1).push([kinds.join(' '), part]);
    else if (end.has(code)) kinds = [];
    else if (classOf[code] !== undefined) kinds = [...kinds, classOf[code]];
  }
  while (lines[0]?.length === 0) lines.shift();
  while (lines.at(-1)?.length === 0) lines.pop();
  return lines;
}

export function drawn(output) {
  const lines = piecesOf(output);
  const [left, top, row, size] = [24, 60, 18, 13];
  const width =
    left * 2 + Math.round(Math.max(...lines.map((line) => line.map(([, text]) => text).join('').length)) * 7.82);
  const height = top + lines.length * row + 14;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${size}">`,
    '<title>npm run demo: an npm install whose script turns bad, in a sandbox</title>',
    '<style>',
    'rect { fill: #f6f8fa; stroke: #d1d9e0 } text { fill: #1f2328; white-space: pre } .bold { font-weight: 600 } .dim { fill: #59636e } .green { fill: #1a7f37 } .red { fill: #c5221f } .ring { fill: #d1d9e0 }',
    '@media (prefers-color-scheme: dark) { rect { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc } .dim { fill: #9198a1 } .green { fill: #3fb950 } .red { fill: #ff7b72 } .ring { fill: #3d444d } }',
    '</style>',
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="10"/>`,
    ...[0, 1, 2].map((i) => `<circle class="ring" cx="${left + 6 + i * 20}" cy="24" r="6"/>`),
    ...lines.map((line, i) => {
      const spans = line.map(([kind, text]) =>
        kind === '' ? escaped(text) : `<tspan class="${kind}">${escaped(text)}</tspan>`,
      );
      return `<text x="${left}" y="${top + i * row}" xml:space="preserve">${spans.join('')}</text>`;
    }),
    '</svg>',
    '',
  ].join('\n');
}

/** What is the same on every machine and in every run: the lines without numbers and triplets, in order of the alphabet. */
export const essence = (lines) =>
  lines
    .map((line) =>
      line
        .replace(/[a-z0-9_]+-linux-gnu/g, '')
        .replace(/\d+m?s\b|\d+/g, '')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '')
    .sort();

export const linesOf = (svg) =>
  [...svg.matchAll(/<text [^>]*>(.*)<\/text>/g)].map(([, line]) =>
    line.replace(/<[^>]*>/g, '').replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))),
  );

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { stdout, status } = spawnSync(process.execPath, [fileURLToPath(new URL('main.js', import.meta.url))], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: '1' },
  });
  if (status !== 0) throw new Error(`the demo ended with ${status}`);
  writeFileSync(picturePath, drawn(stdout));
}
