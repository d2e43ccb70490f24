import { realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import * as v from 'valibot';
import { HoldfastError } from '../errors.ts';
import { notUtf8 } from '../policy/addresses.ts';
import { fieldName, InheritedField, ownFields, problemOf, record, shown } from '../policy/check.ts';
import { type FilterKey, filterKeys, type HookEvent } from './families/index.ts';

/** Path patterns: for calls on paths. */
export interface PathFilter {
  /**
   * Patterns for the canonical path; one of them must match. `*` and `?` stay within one component, `**` crosses them,
   * `[a-z]` is a class, `\` quotes. A pattern without `/` is for the last component; a relative one with `/` starts at
   * the `cwd` option. Of rename and link, either path may match.
   */
  path?: string | readonly string[];
}

export interface OpenFilter extends PathFilter {
  /** Only opens that (also) read, or (also) write. */
  access?: 'read' | 'write';
}

export interface PortFilter {
  /** One port, or the lowest and the highest of a range. */
  port?: number | readonly [low: number, high: number];
}

/** The filter that hooks on this event take. */
export type HookFilter<E extends HookEvent = HookEvent> = E extends 'open'
  ? OpenFilter
  : E extends 'connect' | 'bind' | 'send'
    ? PortFilter
    : E extends 'signal'
      ? Record<string, never>
      : PathFilter;

/** One line of a filter as the supervisor evaluates it. */
export interface CompiledFilter {
  access: number;
  pattern?: string;
  ports?: readonly [number, number];
}

const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65535;
const isPorts = (value: unknown) =>
  isPort(value) || (Array.isArray(value) && value.length === 2 && value.every(isPort));
const isPatterns = (value: unknown) =>
  typeof value === 'string' ||
  (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string'));
const parts: Readonly<Record<FilterKey, v.GenericSchema>> = {
  path: v.optional(v.custom<PathFilter['path']>(isPatterns, 'must be a pattern or a list of patterns')),
  access: v.optional(v.picklist(['read', 'write'], "must be 'read' or 'write'")),
  port: v.optional(v.custom<PortFilter['port']>(isPorts, 'must be a port (0 to 65535) or [lowest, highest]')),
};
const fields = new Set<string>(Object.keys(parts));

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_FILTER', `${field}: ${shown(value)} ${problem}`);
}

/** native/policy/glob.h: kMaxPattern. */
const MAX_PATTERN = 4096;

/** Why the supervisor would refuse a pattern (native/policy/glob.h), if it would. */
function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (pattern.includes('\0')) return 'contains a NUL byte';
  if (Buffer.byteLength(pattern) > MAX_PATTERN) return `is longer than ${MAX_PATTERN} bytes`;
  if (notUtf8(pattern)) return 'cannot be written as UTF-8';
  if (pattern.length > 1 && pattern.endsWith('/'))
    return 'ends with /, and no canonical path does: write /** for what is below it';
  if (pattern === '~' || pattern.startsWith('~/')) return 'starts with ~, which only shells expand: use os.homedir()';
  const bytes = Buffer.from(pattern).toString('latin1');
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === '\\') {
      at += 2;
      if (at > bytes.length) return 'ends with a \\ that quotes nothing';
    } else if (bytes[at] === '[') {
      const end = classEnd(bytes, at + 1);
      if (typeof end === 'string') return end;
      at = end;
    } else at++;
  }
  return undefined;
}

/** The place after a class whose `[` lies before `at`, or what is wrong with it. */
function classEnd(bytes: string, at: number): number | string {
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
    if (low === undefined || high === undefined) return unclosed;
    if (low === '/' || high === '/') return 'has a / in brackets';
    if (high < low) return 'has a range in brackets that runs backwards';
  }
  return unclosed;
}

function anchored(pattern: string, cwd: string): string {
  if (isAbsolute(pattern) || pattern.startsWith('**') || !pattern.includes('/')) return pattern;
  // Patterns are compared with canonical names, so the folder that they start from must be one.
  let folder = resolve(cwd);
  try {
    folder = realpathSync(folder);
  } catch {
    // A folder that is not there makes the spawn fail by itself.
  }
  const relative = pattern.replace(/^(?:\.\/)+/, '');
  return `${folder === '/' ? '' : folder.replace(/[\\*?[]/g, '\\$&')}/${relative}`;
}

interface Checked {
  path?: string | string[];
  access?: 'read' | 'write';
  port?: number | [number, number];
}

/** The filter's own fields, checked. */
function check(event: HookEvent, name: string, given: unknown): Checked {
  let filter: unknown;
  try {
    filter = ownFields(given, fields);
  } catch (error) {
    if (!(error instanceof InheritedField)) throw error;
    throw new HoldfastError('ERR_HOLDFAST_INVALID_FILTER', `${fieldName(name, error.keys)} ${error.message}`);
  }
  const keys = filterKeys[event];
  const known = keys.length === 0 ? 'it takes none' : `it takes ${keys.join(', ')}`;
  const entries = Object.fromEntries(keys.map((key) => [key, parts[key]]));
  const problem = problemOf(record(entries, `must be an object (${known})`), filter);
  if (problem === undefined) return filter as Checked;
  const field = fieldName(name, problem.keys);
  throw invalid(
    field,
    problem.value,
    problem.unknown ? `is not a key of this filter (${known})` : `is refused: ${problem.message}`,
  );
}

/** Checks a hook's filter and makes it ready; without one, every call of the event matches. */
export function compileFilter(event: HookEvent, filter: unknown, cwd: string): CompiledFilter[] {
  const anyAccess = 7;
  if (filter === undefined) return [{ access: anyAccess }];
  const name = `filter of on${event[0]?.toUpperCase()}${event.slice(1)}`;
  const { path, access, port } = check(event, name, filter);
  const compiled: CompiledFilter = { access: access === undefined ? anyAccess : access === 'read' ? 1 : 2 };
  if (port !== undefined) {
    const [low, high] = typeof port === 'number' ? [port, port] : port;
    if (low > high) throw invalid(`${name}.port`, port, 'is refused: the lowest port comes first');
    compiled.ports = [low, high];
  }
  if (path === undefined) return [compiled];
  return (Array.isArray(path) ? path : [path]).map((pattern, i) => {
    const field = `${name}.path${Array.isArray(path) ? `[${i}]` : ''}`;
    const problem = patternProblem(pattern);
    if (problem !== undefined) throw invalid(field, pattern, problem);
    const whole = anchored(pattern, cwd);
    if (Buffer.byteLength(whole) > MAX_PATTERN) {
      throw invalid(field, pattern, `is longer than ${MAX_PATTERN} bytes behind the working directory`);
    }
    return { ...compiled, pattern: whole };
  });
}
