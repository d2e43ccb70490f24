import { resolve } from 'node:path';
import * as v from 'valibot';
import { HoldfastError } from '../errors.ts';
import { fieldName, InheritedField, ownFields, problemOf, record, shown } from '../policy/check.ts';
import { MOST_UNDER, type Under, Unders } from '../policy/exec.ts';
import { under } from '../policy/exec-schema.ts';
import { type Names, namesOf, PatternProblem } from '../policy/pattern.ts';
import { type FilterKey, filterKeys, type HookEvent } from './families/index.ts';
import { type ForkKind, forkKindBits } from './families/processes.ts';

/** Path patterns: for calls on paths. */
export interface PathFilter extends CallerFilter {
  /**
   * Patterns for the canonical path; one of them must match. `*` and `?` stay within one component, `**` crosses them,
   * `[a-z]` is a class, `\` quotes. A pattern without `/` is for the last component; a relative one with `/` starts at
   * the `cwd` option. What stands before the first wildcard is followed as a rule's path is, and a last component
   * without wildcards stands for everything below it, too. Of rename and link, either path may match.
   */
  path?: string | URL | readonly (string | URL)[];
}

/** Whose calls. */
export interface CallerFilter {
  /**
   * Only calls of processes that have executed such a program, or that descend from one that has: patterns for its
   * canonical path, as in {@link PathFilter.path}; one of them is enough.
   */
  under?: Under;
}

export interface OpenFilter extends PathFilter {
  /** Only opens that (also) read, or (also) write. */
  access?: 'read' | 'write';
}

export interface PortFilter extends CallerFilter {
  /** One port, or the lowest and the highest of a range. */
  port?: number | readonly [low: number, high: number];
}

/** Whose calls, also by the program that the caller runs. */
export interface ProgramFilter extends CallerFilter {
  /** Patterns for the canonical path of the program that the process runs, as in {@link PathFilter.path}. */
  executable?: string | URL | readonly (string | URL)[];
}

export interface ForkFilter extends ProgramFilter {
  /** Only what is made so. Calls that make something else are not held. */
  kind?: ForkKind | readonly ForkKind[];
}

/** The filter that hooks on this event take. */
export type HookFilter<E extends HookEvent = HookEvent> = E extends 'open'
  ? OpenFilter
  : E extends 'connect' | 'bind' | 'send'
    ? PortFilter
    : E extends 'signal'
      ? CallerFilter
      : E extends 'fork'
        ? ForkFilter
        : E extends 'exit'
          ? ProgramFilter
          : PathFilter;

/** One line of a filter as the supervisor evaluates it. */
export interface CompiledFilter extends Names {
  access: number;
  ports?: readonly [number, number];
  under?: number;
  kinds?: number;
}

const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65535;
const isPorts = (value: unknown) =>
  isPort(value) || (Array.isArray(value) && value.length === 2 && value.every(isPort));
const isPattern = (value: unknown) => typeof value === 'string' || value instanceof URL;
const isPatterns = (value: unknown) =>
  isPattern(value) || (Array.isArray(value) && value.length > 0 && value.every(isPattern));
const isKind = (value: unknown) => typeof value === 'string' && Object.hasOwn(forkKindBits, value);
const isKinds = (value: unknown) => isKind(value) || (Array.isArray(value) && value.length > 0 && value.every(isKind));
const parts: Readonly<Record<FilterKey, v.GenericSchema>> = {
  path: v.optional(v.custom<PathFilter['path']>(isPatterns, 'must be a pattern or a list of patterns')),
  access: v.optional(v.picklist(['read', 'write'], "must be 'read' or 'write'")),
  port: v.optional(v.custom<PortFilter['port']>(isPorts, 'must be a port (0 to 65535) or [lowest, highest]')),
  executable: v.optional(v.custom<PathFilter['path']>(isPatterns, 'must be a pattern or a list of patterns')),
  kind: v.optional(v.custom<ForkFilter['kind']>(isKinds, "must be 'process', 'thread' or 'vfork', or a list of them")),
  under,
};
const fields = new Set<string>(Object.keys(parts));

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_FILTER', `${field}: ${shown(value)} ${problem}`);
}

interface Checked {
  path?: string | URL | (string | URL)[];
  access?: 'read' | 'write';
  port?: number | [number, number];
  executable?: string | URL | (string | URL)[];
  kind?: ForkKind | ForkKind[];
  under?: Under;
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
export function compileFilter(
  event: HookEvent,
  filter: unknown,
  cwd: string,
  unders = new Unders(MOST_UNDER),
): CompiledFilter[] {
  const anyAccess = 7;
  if (filter === undefined) return [{ access: anyAccess }];
  const name = `filter of on${event[0]?.toUpperCase()}${event.slice(1)}`;
  const { path, access, port, executable, kind, under: above } = check(event, name, filter);
  const compiled: CompiledFilter = { access: access === undefined ? anyAccess : access === 'read' ? 1 : 2 };
  if (port !== undefined) {
    const [low, high] = typeof port === 'number' ? [port, port] : port;
    if (low > high) throw invalid(`${name}.port`, port, 'is refused: the lowest port comes first');
    compiled.ports = [low, high];
  }
  if (above !== undefined) {
    // What counts against a caller: a hook may do either.
    compiled.under = unders.number(above, 'deny', resolve(cwd), (part, value, problem) => {
      throw invalid(`${name}.under${part}`, value, problem);
    });
  }
  if (kind !== undefined) compiled.kinds = [kind].flat().reduce((bits, each) => bits | forkKindBits[each], 0);
  const [key, names] = path !== undefined ? (['path', path] as const) : (['executable', executable] as const);
  if (names === undefined) return [compiled];
  return (Array.isArray(names) ? names : [names]).flatMap((pattern, i) => {
    try {
      return namesOf(pattern, resolve(cwd)).map((found) => ({ ...compiled, ...found }));
    } catch (error) {
      if (!(error instanceof PatternProblem)) throw error;
      const field = `${name}.${key}${Array.isArray(names) ? `[${i}]` : ''}`;
      throw invalid(field, pattern instanceof URL ? pattern.href : pattern, error.message);
    }
  });
}
