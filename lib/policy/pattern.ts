// Patterns of rules on files and programs and of hooks' filters: what they may be, and what of them is a plain path. That
// part is followed as a rule's path is (native/policy/name_filter.h), so that a filter and a rule of the same text speak
// of the same names.
import { homedir } from 'node:os';
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
  if (/^~[^/*?[{\\]+(?:\/|$)/.test(pattern)) refuse('starts with ~ and a name, which only shells expand');
  if (/^\$[A-Za-z_{]/.test(pattern)) refuse('starts with $, which only shells expand: use process.env, or write \\$');
  if (pattern.startsWith('!')) refuse('starts with !, which negates nothing here: write \\! for the character');
  if (/^\s|\s$/.test(pattern)) refuse('begins or ends with white space: write \\ before it if a name really has it');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(pattern)) refuse('is not a file: URL of this machine');
}

/** So many patterns may one stand for. */
const MOST_ALTERNATIVES = 256;

/** The same without braces: `{a,b}` stands for each of its alternatives, which may have braces in them. */
function expanded(pattern: string): string[] {
  const bytes = Buffer.from(pattern).toString('latin1');
  const problem = (text: string) => new PatternProblem(`${text}; write \\{ for the character`);
  /** Behind what stands at that place, if it is not to be looked into. */
  const behind = (at: number) => {
    if (bytes[at] === '\\') return at + 2;
    return bytes[at] === '[' ? classEnd(bytes, at + 1) : at + 1;
  };
  /** What it may be from there on, up to the end or, in braces, to a comma or brace; and where that is. */
  const read = (from: number, inside: boolean): [texts: string[], end: number] => {
    let texts = [''];
    const append = (more: readonly string[]) => {
      texts = texts.flatMap((text) => more.map((one) => text + one));
      if (texts.length > MOST_ALTERNATIVES)
        throw new PatternProblem(`stands for more than ${MOST_ALTERNATIVES} patterns by its braces`);
    };
    let at = from;
    while (at < bytes.length && !(inside && (bytes[at] === ',' || bytes[at] === '}'))) {
      if (bytes[at] !== '{') {
        const next = behind(at);
        append([bytes.slice(at, next)]);
        at = next;
        continue;
      }
      const alternatives: string[] = [];
      let count = 0;
      do {
        const [some, end] = read(at + 1, true);
        if (end >= bytes.length) throw problem('has a { without its }');
        alternatives.push(...some);
        count++;
        at = end;
      } while (bytes[at] === ',');
      if (count === 1) throw problem('has braces with one alternative, where {a,b} has several');
      append(alternatives);
      at++;
    }
    return [texts, at];
  };
  if (!bytes.includes('{')) return [pattern];
  return read(0, false)[0].map((text) => Buffer.from(text, 'latin1').toString());
}

function home(): string {
  let path: string;
  try {
    path = homedir();
  } catch {
    path = '';
  }
  if (!isAbsolute(path)) throw new PatternProblem('starts with ~, and there is no home directory (HOME)');
  return path.replace(/(?<=.)\/+$/, '');
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
  return expanded(value).flatMap((pattern) => {
    if (pattern !== value) checkText(pattern);
    return pattern === '~' || pattern.startsWith('~/')
      ? patternNames(`.${pattern.slice(1)}`, home())
      : patternNames(pattern, cwd);
  });
}

/** Whether a rule's text is more than a path. */
export function isPattern(text: string): boolean {
  return /^~(?:\/|$)|[*?[{\\]/.test(text);
}

/**
 * What a rule with that pattern speaks of: of what it matches, and all below that.
 * @param allows What allows must begin with a folder: wherever it may be, too much would have such a name.
 */
export function ruleNamesOf(value: string, cwd: string, allows: boolean): (Names & { path: string })[] {
  return namesOf(value, cwd).flatMap((names) => {
    if (names.path === undefined) {
      const here = expanded(`./${value}`).flatMap((text) => patternNames(text, cwd));
      if (here.every(({ pattern }) => pattern === undefined)) return here as (Names & { path: string })[];
      if (allows) {
        throw new PatternProblem(
          'begins with no folder, so it would allow such names anywhere: write ./ before it for the working directory, or /**/ for every one',
        );
      }
    }
    const { path = '/', pattern: given } = names;
    if (given === undefined) return [{ path }];
    const pattern = names.path === undefined && !given.includes('/') ? `**/${given}` : given;
    return pattern.endsWith('/**') || pattern === '**'
      ? [{ path, pattern }]
      : [
          { path, pattern },
          { path, pattern: `${pattern}/**` },
        ];
  });
}

/** Of one without braces. */
function patternNames(value: string, cwd: string): Names[] {
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
    names.path = isAbsolute(value) ? below || '/' : `${cwd === '/' ? '' : cwd}${below}` || '/';
    checkPath(names.path);
  }
  if (wild.length === 0) return [names];
  names.pattern = wild.map(({ raw }) => raw).join('/');
  // `*.json` is for the last component, wherever it lies; a name without wildcards for a folder of that name as well.
  if (wild.at(-1)?.literal === undefined) return [names];
  if (floats && !hasSlash) names.pattern = `**/${names.pattern}`;
  return [names, { ...names, pattern: `${names.pattern}/**` }];
}
