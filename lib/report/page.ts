// The page of a report: the document that lib/report/page/ is built to, with the data in it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../errors.ts';
import { packageFolder } from '../native/native.ts';
import type { Report } from './data.ts';

/** Stands where the data goes (lib/report/page/page.html). */
const PLACE = '"REPORT"';

/** What could end the element that the data stands in, and what changes how a reader of the source sees it. */
const unsafe = /[<>&\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const escaped = (character: string) =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('');

let document: readonly [string, string] | undefined;

function load(): readonly [string, string] {
  const path = join(packageFolder(), 'dist/report.html');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HoldfastError(
      'ERR_HOLDFAST_REPORT',
      `the page of reports cannot be read: ${path}. In a clone, run \`npm run build\``,
      {
        cause,
      },
    );
  }
  const [before, after, ...more] = text.split(PLACE);
  if (before === undefined || after === undefined || more.length > 0)
    throw new HoldfastError('ERR_HOLDFAST_REPORT', `${path} is not the page of reports`);
  return [before, after];
}

/**
 * One HTML document that shows a report, and needs nothing else: no file, no network.
 * @throws {HoldfastError} `ERR_HOLDFAST_REPORT` if it is no report of a version that this package shows, or the package's own page is missing.
 */
export function reportPage(data: Report): string {
  if (data?.format !== 'holdfast-report' || data.version !== 1) {
    throw new HoldfastError('ERR_HOLDFAST_REPORT', 'reportPage(data): data is no report of version 1');
  }
  document ??= load();
  const [before, after] = document;
  return before + JSON.stringify(data).replace(unsafe, escaped) + after;
}
