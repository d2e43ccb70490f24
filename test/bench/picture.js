// docs/performance.svg: the first table of docs/performance.md as bars. It is drawn from the page and nothing else, so that
// npm run docs:check can tell whether it is the picture of this table.
import { fileURLToPath } from 'node:url';

export const picturePath = fileURLToPath(new URL('../../docs/performance.svg', import.meta.url));

/** The date, the columns' names and the rows' figures of the page's first table. */
function read(page) {
  const part = /<!-- first:begin -->\n([\s\S]*?)<!-- first:end -->/.exec(page)?.[1];
  const date = /Measured on (\d{4}-\d\d-\d\d)/.exec(part ?? '')?.[1];
  const lines = (part ?? '').split('\n').filter((line) => line.startsWith('| '));
  const cells = lines.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
  const [head, ...rows] = cells;
  if (date === undefined || rows.length === 0) throw new Error('docs/performance.md has no first table');
  return {
    date,
    kinds: head.slice(1).map((kind) => kind.replaceAll('`', '')),
    rows: rows.map(([title, ...ratios]) => ({ title, ratios: ratios.map((cell) => Number.parseFloat(cell)) })),
  };
}

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

export function drawn(page) {
  const { date, kinds, rows } = read(page);
  const [width, left, right, top, bar, gap] = [760, 20, 70, 64, 16, 40];
  const most = Math.max(...rows.flatMap(({ ratios }) => ratios));
  const across = (ratio) => Math.round((ratio / most) * (width - left - right) * 10) / 10;
  const rowHeight = gap + bar * kinds.length;
  const height = top + rows.length * rowHeight + 24;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">`,
    `<title>How many times as long as without a sandbox (${date})</title>`,
    '<style>',
    'text { fill: #1f2328 } .quiet { fill: #59636e } .k0 { fill: #b35900 } .k1 { fill: #0969da } .k2 { fill: #1a7f37 } line { stroke: #59636e; stroke-dasharray: 3 3 }',
    '@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .quiet { fill: #9198a1 } .k0 { fill: #f0883e } .k1 { fill: #4493f8 } .k2 { fill: #3fb950 } line { stroke: #9198a1 } }',
    '</style>',
    `<text x="${left}" y="22" font-size="15" font-weight="600">How many times as long as without a sandbox</text>`,
    `<text x="${width - left}" y="22" text-anchor="end" class="quiet">${date}</text>`,
  ];
  kinds.forEach((kind, i) => {
    const x = left + i * 170;
    out.push(
      `<rect x="${x}" y="36" width="12" height="12" class="k${i}"/><text x="${x + 18}" y="47">${escaped(kind)}</text>`,
    );
  });
  rows.forEach(({ title, ratios }, row) => {
    const y = top + row * rowHeight;
    out.push(`<text x="${left}" y="${y + gap - 10}">${escaped(title)}</text>`);
    ratios.forEach((ratio, i) => {
      const at = y + gap - 2 + i * bar;
      out.push(
        `<rect x="${left}" y="${at}" width="${across(ratio)}" height="${bar - 3}" class="k${i}"/>` +
          `<text x="${left + across(ratio) + 6}" y="${at + 11}" font-size="12">${ratio.toFixed(2)}×</text>`,
      );
    });
  });
  const one = left + across(1);
  out.push(`<line x1="${one}" y1="${top}" x2="${one}" y2="${height - 20}"/>`);
  out.push(`<text x="${one + 4}" y="${height - 6}" class="quiet" font-size="12">1×: no sandbox</text>`, '</svg>');
  return `${out.join('\n')}\n`;
}
