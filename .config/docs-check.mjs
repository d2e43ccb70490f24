// Every relative link in the documentation leads to a file that is there, and every #anchor to a heading of it; and the picture of the
// benchmark is that of the page's table.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { problemOf as problemOfLimits } from '../test/bench/limits-table.js';
import { drawn, picturePath } from '../test/bench/picture.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pages = ['README.md', 'CHANGELOG.md', 'prebuilds/README.md', '.github/CONTRIBUTING.md', '.github/SECURITY.md']
  .concat(readdirSync(join(root, 'docs')).map((name) => `docs/${name}`))
  .filter((name) => name.endsWith('.md'))
  .map((name) => join(root, name));

/** GitHub's anchor of a heading. */
const anchor = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const prose = (path) => readFileSync(path, 'utf8').replace(/^```.*?^```/gms, '');
const anchors = (path) => new Set([...prose(path).matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1])));

const broken = [];
let links = 0;
for (const page of pages) {
  for (const [, link] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    links += 1;
    const [file, fragment] = link.split('#');
    const target = file === '' ? page : resolve(dirname(page), file);
    if (!existsSync(target)) broken.push(`${relative(root, page)}: ${link}: no such file`);
    else if (fragment && target.endsWith('.md') && !anchors(target).has(fragment)) {
      broken.push(`${relative(root, page)}: ${link}: no such heading`);
    }
  }
}
if (drawn(readFileSync(join(root, 'docs/performance.md'), 'utf8')) !== readFileSync(picturePath, 'utf8')) {
  broken.push('docs/performance.svg: not the picture of the table in docs/performance.md: npm run bench -- --docs');
}
const limits = problemOfLimits(readFileSync(join(root, 'docs/limits.md'), 'utf8'));
if (limits !== undefined) broken.push(`docs/limits.md: the table ${limits}: npm run bench:limits`);
for (const line of broken) console.error(line);
console.log(`docs: ${pages.length} pages, ${links} links, ${broken.length} broken`);
process.exitCode = broken.length > 0 ? 1 : 0;
