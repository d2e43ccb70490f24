// All that is wrong with a policy, found by the one check that there is: what it refuses is taken out, and it looks again.
import { HoldfastError, type PolicyProblem } from '../errors.ts';
import { meantIn } from './nearest.ts';

const ROOT = 'policy';

/** `field` is from `policy` on; `text` begins with what stands behind it. */
export function invalidPolicy(field: string, text: string): HoldfastError {
  const message = `${field}${text}`;
  const below = field.startsWith(ROOT) ? field.slice(ROOT.length).replace(/^\./, '') : field;
  return new HoldfastError('ERR_HOLDFAST_INVALID_POLICY', message, { problems: [problem(below, message)] });
}

export function problem(field: string, message: string): PolicyProblem {
  const suggestion = meantIn(message);
  return suggestion === undefined ? { field, message } : { field, message, suggestion };
}

/** A problem, and where its field lies. */
export interface Found {
  readonly keys: readonly PropertyKey[];
  /** What stands behind the field's name. */
  readonly text: string;
}

/** `files.read[2]`. */
export const fieldOf = (keys: readonly PropertyKey[]): string =>
  keys.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : `${name}${name && '.'}${String(key)}`),
    '',
  );

/** One error for all of them. */
export function policyError(problems: readonly PolicyProblem[], of: string, cause?: unknown): HoldfastError {
  const [only] = problems;
  const message =
    problems.length === 1 && only !== undefined
      ? only.message
      : `${of}: ${problems.length} mistakes\n${problems.map((one) => `  ${one.message}`).join('\n')}`;
  return new HoldfastError('ERR_HOLDFAST_INVALID_POLICY', message, {
    problems,
    ...(cause !== undefined && { cause }),
  });
}

/** Deeper than any policy: what lies there is refused, and only looked at. */
const DEEPEST = 100;

export const isData = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !(value instanceof URL);

/**
 * A copy to change, of own fields only; what a class has beside them it keeps, for the check to find.
 * @param leaf What becomes of everything that is no object and no list.
 */
export function copyOf(
  value: unknown,
  isWhole: (value: object) => boolean,
  leaf: (value: unknown, keys: readonly PropertyKey[]) => unknown = (one) => one,
  keys: readonly PropertyKey[] = [],
): unknown {
  if (!isData(value) || isWhole(value) || keys.length > DEEPEST) return leaf(value, keys);
  if (Array.isArray(value)) {
    // A hole would show what Array.prototype has there.
    const at = (i: number): unknown => (Object.hasOwn(value, i) ? value[i] : undefined);
    return Array.from({ length: value.length }, (_, i) => copyOf(at(i), isWhole, leaf, [...keys, i]));
  }
  const copy: object = Object.create(Object.getPrototypeOf(value) ?? Object.prototype);
  for (const key of Object.keys(value)) {
    const part = copyOf((value as Record<string, unknown>)[key], isWhole, leaf, [...keys, key]);
    // Not by assignment, which `__proto__` would take for something else.
    Object.defineProperty(copy, key, { value: part, enumerable: true, configurable: true, writable: true });
  }
  return copy;
}

/** The keys that a field's name stands for: names may have dots and brackets in them. */
function keysOf(value: unknown, name: string): PropertyKey[] | undefined {
  if (name === '') return [];
  if (Array.isArray(value)) {
    const [whole, index] = /^\[(\d+)\]\.?/.exec(name) ?? [];
    if (whole === undefined) return undefined;
    const rest = keysOf(value[Number(index)], name.slice(whole.length));
    return rest && [Number(index), ...rest];
  }
  if (!isData(value)) return undefined;
  for (const key of Object.keys(value)) {
    if (!name.startsWith(key)) continue;
    const behind = name.slice(key.length);
    if (behind !== '' && !/^[.[]/.test(behind)) continue;
    const rest = keysOf((value as Record<string, unknown>)[key], behind.replace(/^\./, ''));
    if (rest !== undefined) return [key, ...rest];
  }
  // Missing.
  return /^\w+$/.test(name) ? [name] : undefined;
}

/** In place of what an entry must have. */
const needed: Readonly<Record<string, unknown>> = { path: '/', address: '*' };
/** So many are told at most. */
const MOST = 100;

/**
 * Everything that `check` refuses in `policy`, which it changes. `check` throws an error with one problem.
 * @param policy From {@link copyOf}.
 */
export function allProblems(policy: unknown, check: (policy: unknown) => void): Found[] {
  const found: Found[] = [];
  const before = new WeakMap<object, number[]>();
  for (let looks = 0; looks < 4 * MOST && found.length < MOST; looks++) {
    let wrong: PolicyProblem;
    try {
      check(policy);
      return found;
    } catch (error) {
      const [one] = (error instanceof HoldfastError && error.problems) || [];
      if (one === undefined) throw error;
      wrong = one;
    }
    const keys = keysOf(policy, wrong.field);
    const text = wrong.message.slice(wrong.field === '' ? ROOT.length : ROOT.length + 1 + wrong.field.length);
    if (keys === undefined || keys.length === 0) {
      // Consequences of what was taken out are no mistakes.
      if (found.length === 0) found.push({ keys: keys ?? [], text });
      return found;
    }
    const original = originalKeys(policy, keys, before);
    const isConsequence = found.some((one) => original.every((key, i) => one.keys[i] === key));
    if (!isConsequence) found.push({ keys: original, text });
    takeOut(policy, isConsequence ? leastExisting(policy, keys) : keys, before);
  }
  return found;
}

function originalKeys(
  policy: unknown,
  keys: readonly PropertyKey[],
  before: WeakMap<object, number[]>,
): readonly PropertyKey[] {
  let at: unknown = policy;
  return keys.map((key) => {
    const places = Array.isArray(at) ? before.get(at) : undefined;
    at = isData(at) ? (at as Record<PropertyKey, unknown>)[key] : undefined;
    return typeof key === 'number' ? (places?.[key] ?? key) : key;
  });
}

/** Of a field that is missing, or that was put in place of a wrong one already: what it is a part of. */
function leastExisting(policy: unknown, keys: readonly PropertyKey[]): readonly PropertyKey[] {
  const last = keys.at(-1);
  const at = valueAt(policy, keys);
  const isThere = at !== undefined && !(typeof last === 'string' && at === needed[last]);
  return isThere || keys.length === 1 ? keys : keys.slice(0, -1);
}

const valueAt = (policy: unknown, keys: readonly PropertyKey[]): unknown =>
  keys.reduce<unknown>((at, key) => (isData(at) ? (at as Record<PropertyKey, unknown>)[key] : undefined), policy);

function takeOut(policy: unknown, keys: readonly PropertyKey[], before: WeakMap<object, number[]>): void {
  const key = keys.at(-1);
  const parent = valueAt(policy, keys.slice(0, -1));
  if (key === undefined || !isData(parent)) return;
  if (Array.isArray(parent)) {
    const places = before.get(parent) ?? parent.map((_, i) => i);
    before.set(parent, places);
    parent.splice(Number(key), 1);
    places.splice(Number(key), 1);
    return;
  }
  const fields = parent as Record<PropertyKey, unknown>;
  if (typeof key === 'string' && Object.hasOwn(needed, key) && fields[key] !== needed[key]) fields[key] = needed[key];
  else delete fields[key];
}
