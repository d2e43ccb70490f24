// The JSON Schema of policy files, made from the schema that policies are checked with and from the comments of their types. It is
// used when the package is built only (.config/rolldown.mjs).
import type * as v from 'valibot';
import { namedPolicies } from './named.ts';
import { policySchema } from './policy.ts';
import { openedSyscalls } from './syscall-table.ts';
import { comparisons, syscallRows } from './syscalls.ts';

type Json = Record<string, unknown>;

/** What is looked at of valibot's schemas. */
interface Parts {
  type: string;
  getter?: (value: unknown) => v.GenericSchema;
  entries?: Record<string, v.GenericSchema>;
  wrapped?: v.GenericSchema;
  item?: v.GenericSchema;
  options?: readonly string[];
  check?: (value: unknown) => boolean;
  message?: unknown;
}

/** Which comments speak of the fields that stand there. */
const typesOfPlaces: Readonly<Record<string, string>> = {
  '': 'Policy',
  exec: 'ExecPolicy',
  'exec.*': 'ExecEntry',
  'exec.allow.*': 'ExecEntry',
  'exec.deny.*': 'ExecEntry',
  'files.deny.*': 'FileDenial',
  'network.deny.*': 'NetworkDenial',
  defaults: 'PolicyDefaults',
  syscalls: 'SyscallPolicy',
};

/** `Policy.files.read` and its comment. */
export function commentsOf(sources: readonly string[]): Map<string, string> {
  const comments = new Map<string, string>();
  for (const source of sources) {
    const places: string[] = [];
    let comment = '';
    for (const line of source.split('\n')) {
      const text = /^\s*\/?\*\*?\/? ?(.*?)(?:\*\/)?$/.exec(line)?.[1]?.trim();
      if (/^\s*\/\*\*/.test(line)) comment = '';
      if (/^\s*\/?\*/.test(line)) {
        comment = `${comment} ${text ?? ''}`.trim();
        continue;
      }
      const opened =
        /^export interface (\w+).*\{$/.exec(line) ?? (places.length > 0 && /^\s*(\$?\w+)\??: \{$/.exec(line));
      const [, name] = opened || (places.length > 0 && /^\s*(\$?\w+)\??: /.exec(line)) || [];
      if (name !== undefined && comment !== '') {
        comments.set([...places, name].join('.'), comment.replace(/\{@link ([^}]*)\}/g, '$1').replaceAll('`', ''));
      }
      if (opened) places.push(name ?? '');
      else if (/^\s*\}/.test(line)) places.pop();
      comment = '';
    }
  }
  return comments;
}

const text: Json = { type: 'string', minLength: 1 };
/** A NUL byte, and variables where none is expanded. */
const path: Json = {
  ...text,
  not: { pattern: '\\u0000|^\\$(?!(CWD|HOME|TMP|PACKAGE)(/|$))[A-Za-z_{(]|^~[^/]' },
};
const address: Json = { ...text, pattern: '^(unix:(/|@.|\\$(CWD|HOME|TMP|PACKAGE)(/|$)|~/)|[*0-9A-Fa-f:\\[])' };

const anyOf = (schemas: readonly Json[]): Json => {
  const different = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  return different.length === 1 && different[0] !== undefined ? different[0] : { anyOf: different };
};

/** What a check of ours takes, as far as it takes one of these. */
function taken(schema: Parts, place: string): Json {
  const { check = () => false, message } = schema;
  const says = typeof message === 'function' ? String(message({ input: undefined })) : String(message);
  const words = [...says.matchAll(/'(\w+)'/g)].map(([, word]) => word);
  const isWords = words.length > 0 && check(words);
  const kinds: Json[] = [];
  const one = place.startsWith('network') ? address : path;
  if (check('/x')) kinds.push(one);
  if (check(true)) kinds.push({ type: 'boolean' });
  if (isWords) kinds.push({ type: 'array', minItems: 1, items: { enum: words } });
  else if (check(['/x'])) kinds.push({ type: 'array', minItems: 1, items: one });
  if (kinds.length === 0) throw new Error(`${place}: ${says}: no schema is known for this check`);
  return anyOf(kinds);
}

class Maker {
  readonly #comments: ReadonlyMap<string, string>;

  constructor(comments: ReadonlyMap<string, string>) {
    this.#comments = comments;
  }

  /** A field's comment, by its place: what is nearest that has a type's name. */
  #comment(place: string): string | undefined {
    const keys = place.split('.');
    for (let length = keys.length - 1; length >= 0; length--) {
      const type = typesOfPlaces[keys.slice(0, length).join('.')];
      if (type !== undefined) return this.#comments.get([type, ...keys.slice(length)].join('.'));
    }
    return undefined;
  }

  make(schema: v.GenericSchema, place: string): Json {
    const parts = schema as unknown as Parts;
    switch (parts.type) {
      case 'optional':
        return this.make(parts.wrapped as v.GenericSchema, place);
      case 'lazy': {
        const all = [{}, [], '', true].map((value) => parts.getter?.(value) as v.GenericSchema);
        const never = (one: Parts) =>
          one.type === 'custom' && ![{}, [], '', '/x', true, ['/x']].some((value) => one.check?.(value));
        return anyOf(all.filter((one) => !never(one as unknown as Parts)).map((one) => this.make(one, place)));
      }
      case 'strict_object':
        return this.#object(parts.entries ?? {}, place);
      case 'array':
        return { type: 'array', items: this.make(parts.item as v.GenericSchema, place === '' ? '*' : `${place}.*`) };
      case 'picklist':
        return { enum: parts.options };
      case 'boolean':
        return { type: 'boolean' };
      case 'string':
        return place.startsWith('network') ? address : { type: 'string' };
      case 'custom':
        return taken(parts, place);
      default:
        throw new Error(`${place}: no schema is known for valibot's ${parts.type}`);
    }
  }

  #object(entries: Record<string, v.GenericSchema>, place: string): Json {
    const properties: Json = {};
    const required: string[] = [];
    for (const [name, schema] of Object.entries(entries)) {
      const at = place === '' ? name : `${place}.${name}`;
      const own = at === 'syscalls' ? this.#syscalls() : at === 'extends' ? bases : this.make(schema, at);
      properties[name] = this.described(own, at);
      if ((schema as unknown as Parts).type !== 'optional') required.push(name);
    }
    return {
      type: 'object',
      properties,
      ...(required.length > 0 && { required }),
      additionalProperties: false,
    };
  }

  described(schema: Json, place: string): Json {
    const description = this.#comment(place);
    return description === undefined ? schema : { description, ...schema };
  }

  /** Checked by code of their own (syscalls.ts). */
  #syscalls(): Json {
    const names = { $ref: '#/definitions/syscall' };
    const call = { anyOf: [names, { type: 'integer', minimum: 0 }] };
    const opened = { anyOf: [{ enum: openedSyscalls }, { type: 'integer', minimum: 0 }] };
    const value = { anyOf: [{ type: 'integer' }, text] };
    const masked = this.#record({ mask: value, value }, ['mask', 'value']);
    const pair = { type: 'array', items: value, minItems: 2, maxItems: 2 };
    const values = { type: 'array', items: value, minItems: 1 };
    const operand = (name: string): Json =>
      /masked/.test(name) ? masked : /range/i.test(name) ? pair : /Of$/.test(name) ? values : value;
    const comparison = {
      ...this.#record(
        {
          index: { description: 'Place of the argument, from 0 on.', type: 'integer', minimum: 0, maximum: 5 },
          ...Object.fromEntries(comparisons.map((name) => [name, operand(name)])),
        },
        ['index'],
      ),
      oneOf: comparisons.map((name) => ({ required: [name] })),
    };
    const args = { description: 'All must hold.', type: 'array', items: comparison };
    const rule = {
      ...this.#record(
        {
          call,
          args,
          action: {
            description: "What becomes of the call. Default: 'errno'.",
            enum: ['errno', 'kill', 'trap', 'log'],
          },
          errno: {
            description: "Name or positive number of the error, for the action 'errno'. Default: 'EPERM'.",
            anyOf: [
              { type: 'string', pattern: '^E[A-Z0-9]+$' },
              { type: 'integer', minimum: 1 },
            ],
          },
        },
        ['call'],
      ),
      if: { properties: { action: { enum: ['kill', 'trap', 'log'] } }, required: ['action'] },
      // biome-ignore lint/suspicious/noThenProperty: it is the word of JSON Schema.
      then: { not: { required: ['errno'] } },
    };
    const list = (items: Json, name: string) => this.described({ type: 'array', items }, `syscalls.${name}`);
    return {
      ...this.#record(
        {
          deny: list({ anyOf: [call, rule] }, 'deny'),
          only: list(call, 'only'),
          otherwise: this.described(
            {
              anyOf: [
                { type: 'string', pattern: '^(E[A-Z0-9]+|kill)$' },
                { type: 'integer', minimum: 1 },
              ],
            },
            'syscalls.otherwise',
          ),
          allow: list({ anyOf: [opened, this.#record({ call: opened, args }, ['call'])] }, 'allow'),
        },
        [],
      ),
      dependencies: { otherwise: ['only'] },
    };
  }

  #record(properties: Json, required: readonly string[]): Json {
    return { type: 'object', properties, ...(required.length > 0 && { required }), additionalProperties: false };
  }
}

const base: Json = {
  anyOf: [
    { description: 'The name of a policy.', enum: Object.keys(namedPolicies) },
    { description: 'Another policy file.', type: 'string', pattern: '^(\\.{0,2}/|~/|file:)' },
    { $ref: '#' },
  ],
};
const bases: Json = { anyOf: [...(base.anyOf as Json[]), { type: 'array', items: base }] };

/** @param sources Texts of the files that declare the types. */
export function policyJsonSchema(sources: readonly string[]): Json {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'A policy of holdfast',
    description:
      'What a command and all its descendants may do. What is not allowed here is refused, unless a hook allows it.',
    ...new Maker(commentsOf(sources)).make(policySchema as v.GenericSchema, ''),
    definitions: { syscall: { enum: [...syscallRows().keys()] } },
  };
}
