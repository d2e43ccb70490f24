// Shared by everything that is checked: what of a value counts, which field is wrong, and how both are said.
import { inspect } from 'node:util';
import * as v from 'valibot';
import { didYouMean } from './nearest.ts';

/** So deep at most lie the fields that any schema here speaks of; what lies deeper is refused by the schema. */
const DEEPEST = 6;

/** What a value inherits from here is nobody's intent. */
const isRoot = (prototype: object): boolean => Object.hasOwn(prototype, 'isPrototypeOf');

const isPlace = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !(value instanceof URL);

/** A field that an object has from its class or from another object: it would silently not count. */
export class InheritedField extends Error {
  readonly keys: readonly PropertyKey[];

  constructor(keys: readonly PropertyKey[]) {
    super('is inherited, and only what an object has itself counts');
    this.keys = keys;
  }
}

/**
 * A copy of a value that has only the value's own fields, at every depth, and inherits none: whatever has been put on
 * Object.prototype is no part of it. Each field is read once, so that what was checked is what counts.
 * @param fields The names that matter: one of these from another prototype is an {@link InheritedField}.
 * @param isWhole Objects that are taken as they are.
 */
export function ownFields(
  value: unknown,
  fields: ReadonlySet<string>,
  keys: readonly PropertyKey[] = [],
  isWhole: (value: object) => boolean = () => false,
): unknown {
  if (!isPlace(value) || keys.length > DEEPEST || isWhole(value)) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    // A hole would show what Array.prototype has there.
    for (let i = 0; i < value.length; i++) {
      const item = Object.hasOwn(value, i) ? value[i] : undefined;
      list.push(isPlace(item) ? ownFields(item, fields, [...keys, i], isWhole) : item);
    }
    return list;
  }
  const copy: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value)) {
    copy[key] = ownFields((value as Record<string, unknown>)[key], fields, [...keys, key], isWhole);
  }
  for (let from = Object.getPrototypeOf(value); from !== null && !isRoot(from); from = Object.getPrototypeOf(from)) {
    const inherited = Object.getOwnPropertyNames(from).find((key) => fields.has(key) && !Object.hasOwn(value, key));
    if (inherited !== undefined) throw new InheritedField([...keys, inherited]);
  }
  return copy;
}

const never = (message: string) => v.custom<never>(() => false, message);

/** An object with these fields and no others. */
export function record(entries: Record<string, v.GenericSchema>, message: string): v.GenericSchema {
  const object = v.strictObject(Object.assign(Object.create(null), entries), message);
  const wrong = never(message);
  return v.lazy((value) => (isPlace(value) && !Array.isArray(value) ? object : wrong));
}

/** Text, a URL, or whatever `simple` takes; or the object that says it at length. */
export function shortOrLong(simple: v.GenericSchema, long: v.GenericSchema): v.GenericSchema {
  return v.lazy((value) => (isPlace(value) && !Array.isArray(value) ? long : simple));
}

/** A list of some of these words, not empty. */
export function words(known: readonly string[]): v.GenericSchema {
  const all = known.map((word) => `'${word}'`).join(', ');
  const message = `must be a list of at least one of ${all}`;
  const isKnown = (word: unknown) => known.includes(word as string);
  return v.custom<readonly string[]>(
    (value) => Array.isArray(value) && value.length > 0 && value.every(isKnown),
    ({ input }) =>
      Array.isArray(input)
        ? message +
          didYouMean(
            input.find((word) => !isKnown(word)),
            known,
          )
        : message,
  );
}

export interface Problem {
  keys: readonly PropertyKey[];
  /** Of the field. */
  value: unknown;
  message: string;
  /** The field does not exist. */
  unknown: boolean;
}

/** What is wrong with a value from {@link ownFields}, if anything is. */
export function problemOf(schema: v.GenericSchema, value: unknown): Problem | undefined {
  const [issue] = v.safeParse(schema, value, { abortEarly: true }).issues ?? [];
  if (issue === undefined) return undefined;
  const keys = (issue.path ?? []).map((item) => item.key as PropertyKey);
  const at = keys.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown> | undefined)?.[key], value);
  return {
    keys,
    value: at,
    message: issue.message,
    unknown: issue.type === 'strict_object' && issue.expected === 'never',
  };
}

/** `policy.files.read[2]` from a path of keys. */
export function fieldName(root: string, keys: readonly PropertyKey[]): string {
  return keys.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : `${name}.${String(key)}`),
    root,
  );
}

/** A value for a message, shortened. The value itself may do anything when it is looked at. */
export function shown(value: unknown): string {
  let text: string;
  try {
    text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  } catch {
    return 'a value that cannot be shown';
  }
  text = text.replaceAll('[Object: null prototype] ', '');
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
