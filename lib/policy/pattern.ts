// Patterns of hooks' filters: what they may be, and what of them is a plain path. That part is followed as a rule's path
// is (native/policy/name_filter.h), so that a filter and a rule of the same text speak of the same names.
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { notUtf8 } from './addresses.ts';

/** What a pattern speaks of. With both, `pattern` is for what follows the folder `path`. */
export interface Names {
  /** A path without wildcards. Alone it stands for itself and everything below it. */
  path?: string;
  pattern?: string;
}

/** Why a pattern is refused: the text goes behind the field and the value. */
export class PatternProblem extends Error {}

/** PATH_MAX without its NUL: no name is longer, and the supervisor takes no longer text. */
const MAX_PATH = 4095;
/** With what is put around it below. */
const MAX_PATTERN = MAX_PATH - '**//**'.length;

const never = 'so it would never match: canonical paths have none';

/** One component: its text as it is written, and what it says if it has no wildcard. */
interface Component {
  readonly raw: string;
  readonly literal: string | undefined;
}

/** The place after a class whose `[` lies before `at`. */
function classEnd(bytes: string, at: number): number {
  const unclosed = 'has a [ without its ]';
  let next = bytes[at] === '!' || bytes[at] === '^' ? at + 1 : at;
  const member = () => {
    if (bytes[next] === '\\') next++;
    return bytes[next++];
  };
  for (let first = true; next < bytes.length; first = false) {
    if (bytes[next] === ']' && !first) return next + 1;
    const low = member();
    let high = low;
    if (bytes[next] === '-' && next + 1 < bytes.length && bytes[next + 1] !== ']') {
      next++;
      high = member();
    }
    if (low === undefined || high === undefined) throw new PatternProblem(unclosed);
    if (low === '/' || high === '/') throw new PatternProblem('has a / in brackets');
    if (high < low) throw new PatternProblem('has a range in brackets that runs backwards');
  }
  throw new PatternProblem(unclosed);
}

/** The components of a pattern, empty ones too. Works on bytes, as ranges do (latin1: a character for each). */
function componentsOf(pattern: string): Component[] {
  const bytes = Buffer.from(pattern).toString('latin1');
  const text = (latin1: string) => Buffer.from(latin1, 'latin1').toString();
  const components: Component[] = [];
  let raw = '';
  let literal = '';
  let wild = false;
  const end = () => {
    components.push({ raw: text(raw), literal: wild ? undefined : text(literal) });
    raw = literal = '';
    wild = false;
  };
  for (let at = 0; at < bytes.length; ) {
    const from = at;
    const quoted = bytes[at] === '\\';
    const character = quoted ? bytes[++at] : bytes[at];
    at++;
    if (character === undefined) throw new PatternProblem('ends with a \\ that quotes nothing');
    if (character === '/') {
      end();
      continue;
    }
    if (!quoted && character === '{') {
      throw new PatternProblem(
        'has a {, which has no meaning here: give a list of patterns, or write \\{ for the character',
      );
    }
    if (!quoted && (character === '*' || character === '?')) wild = true;
    if (!quoted && character === '[') {
      at = classEnd(bytes, at);
      wild = true;
    }
    raw += bytes.slice(from, at);
    literal += character;
  }
  end();
  return components;
}

function checkText(pattern: string): void {
  const refuse = (problem: string) => {
    throw new PatternProblem(problem);
  };
  if (pattern === '') refuse('is empty');
  if (pattern.includes('\0')) refuse('contains a NUL byte');
  if (Buffer.byteLength(pattern) > MAX_PATTERN) refuse(`is longer than ${MAX_PATTERN} bytes`);
  if (notUtf8(pattern)) refuse('cannot be written as UTF-8');
  if (pattern === '~' || pattern.startsWith('~/')) refuse('starts with ~, which only shells expand: use os.homedir()');
  if (/^\$[A-Za-z_{]/.test(pattern)) refuse('starts with $, which only shells expand: use process.env, or write \\$');
  if (pattern.startsWith('!')) refuse('starts with !, which negates nothing here: write \\! for the character');
  if (/^\s|\s$/.test(pattern)) refuse('begins or ends with white space: write \\ before it if a name really has it');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(pattern)) refuse('is not a file: URL of this machine');
}

/** Links of procfs that lead to an object: what lies behind them has that object's name, not theirs. */
const magicLink = /^\/proc\/(?:self|thread-self|\d+)(?:\/task\/\d+)?\/(?:cwd|root|exe|fd\/\d+)\/./;

function checkPath(path: string): void {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new PatternProblem(`is longer than a path may be (${MAX_PATH} bytes) behind the working directory`);
  }
  if (magicLink.test(path)) {
    throw new PatternProblem('leads through a link of /proc to an object, so it would never match: name the object');
  }
}

/**
 * What a pattern, or a `file:` URL, speaks of. A last component without wildcards stands for what is below it, too: if it
 * is a folder, who speaks of it means what it holds.
 */
export function namesOf(value: string | URL, cwd: string): Names[] {
  if (value instanceof URL || /^file:/i.test(value)) {
    let path: string;
    try {
      path = fileURLToPath(value);
    } catch {
      throw new PatternProblem('is not a file: URL of this machine');
    }
    if (path.includes('\0')) throw new PatternProblem('contains a NUL byte');
    checkPath(path);
    return [{ path }];
  }
  checkText(value);
  const all = componentsOf(value);
  const hasSlash = all.length > 1;
  const endsWithSlash = hasSlash && all.at(-1)?.raw === '';
  const isDots = (component: Component | undefined) => component?.literal === '.' || component?.literal === '..';
  const floats = !isAbsolute(value) && !isDots(all[0]) && (!hasSlash || all[0]?.raw.startsWith('**') === true);
  const components = all.filter(({ raw, literal }) => raw !== '' && literal !== '.');

  const firstWild = floats ? 0 : components.findIndex(({ literal }) => literal === undefined);
  const plain = firstWild < 0 ? components : components.slice(0, firstWild);
  const wild = firstWild < 0 ? [] : components.slice(firstWild);
  if (wild.some(({ literal }) => literal === '..')) throw new PatternProblem(`has .. behind a wildcard, ${never}`);
  if (endsWithSlash && wild.length > 0) {
    throw new PatternProblem(`ends with /, ${never}: write /** for what is below it`);
  }

  const names: Names = {};
  if (!floats) {
    const below = plain.map(({ literal }) => `/${literal}`).join('');
    names.path = isAbsolute(value) ? below || '/' : `${cwd === '/' ? '' : cwd}${below}`;
    checkPath(names.path);
  }
  if (wild.length === 0) return [names];
  names.pattern = wild.map(({ raw }) => raw).join('/');
  // `*.json` is for the last component, wherever it lies; a name without wildcards for a folder of that name as well.
  if (wild.at(-1)?.literal === undefined) return [names];
  if (floats && !hasSlash) names.pattern = `**/${names.pattern}`;
  return [names, { ...names, pattern: `${names.pattern}/**` }];
}
