// The JSON Schema of policy files says what the check says, as far as JSON Schema can.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { definePolicy, HoldfastError, type Policy } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { policyJsonSchema } from '../../lib/policy/json-schema.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = ['policy', 'exec', 'syscalls'].map((name) => readFileSync(join(root, `lib/policy/${name}.ts`), 'utf8'));
const schema = policyJsonSchema(sources);
const validate = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allErrors: true }).compile(schema);

const bySchema = (policy: unknown): boolean => validate(policy);
function byCheck(policy: unknown): boolean {
  try {
    definePolicy(policy as Policy, { package: '/p' });
    return true;
  } catch (error) {
    if (error instanceof HoldfastError) return false;
    throw error;
  }
}

const good: Record<string, unknown> = {
  nothing: {},
  'a dry run': { mode: 'report' },
  'what is hidden, and a private folder': { files: { hide: ['~/.ssh', '**/*.key'] }, tmp: true },
  'for an editor': { $schema: './node_modules/holdfast/dist/policy.schema.json' },
  files: {
    files: {
      read: ['/x', '.', '$CWD/x', '~/x', 'file:///y'],
      write: ['out'],
      metadata: ['/'],
      ungranted: 'ENOENT',
      deny: ['$HOME/.ssh', { path: '/x', access: ['read', 'metadata'] }, { path: '/y', under: ['**/sh', '/bin/x'] }],
    },
  },
  network: {
    network: {
      connect: [
        '127.0.0.1:80',
        '10.0.0.0/8',
        '[::1]:80',
        '*:443',
        'fd00::/8',
        'unix:/run/x',
        'unix:@x*',
        'unix:$TMP/x',
      ],
      bind: ['127.0.0.1:0'],
      deny: ['*', { address: '::1', operations: ['bind'] }],
    },
  },
  programs: { exec: ['/bin/sh', { path: '**/make', argv: ['-j*', '**'], under: '/bin/sh' }] },
  'programs at length': {
    exec: { allow: ['/bin'], deny: [{ path: '/bin/x', argv: [] }], written: false, writableMappings: false },
  },
  calls: {
    syscalls: {
      deny: [
        'personality',
        1,
        { call: 'socket', args: [{ index: 0, equals: 'AF_NETLINK' }], errno: 'EAFNOSUPPORT' },
        { call: 'clone', args: [{ index: 0, maskedEquals: { mask: 'CLONE_THREAD', value: 0 } }], action: 'kill' },
        {
          call: 'socket',
          args: [
            { index: 0, oneOf: [1, 2] },
            { index: 1, notRange: [3, 4] },
          ],
          action: 'errno',
          errno: 1,
        },
      ],
      allow: ['modify_ldt', { call: 'memfd_secret', args: [{ index: 0, equals: 0 }] }],
    },
  },
  'only calls': { syscalls: { only: ['read', 'write'], otherwise: 'kill' } },
  'a base': { extends: 'compute', scratch: true, defaults: { proc: false, cwd: false } },
  'several bases': { extends: ['compute', { files: { read: ['/x'] }, extends: { scratch: false } }], defaults: false },
};

/** Each with what of it JSON Schema cannot say, if it cannot. */
const bad: Record<string, unknown> = {
  'a misspelt field': { fils: {} },
  'a mode that is none': { mode: 'dry' },
  'what is hidden as text': { files: { hide: '/x' } },
  'a misspelt list': { files: { raed: [] } },
  'no list': { files: { read: '/x' } },
  'no path': { files: { read: [3] } },
  'an empty path': { files: { read: [''] } },
  'a NUL byte': { files: { write: ['a\0b'] } },
  'another variable': { files: { read: ['$PATH/x'] } },
  'another home': { files: { read: ['~joe/x'] } },
  'another access': { files: { deny: [{ path: '/x', access: ['reed'] }] } },
  'no access': { files: { deny: [{ path: '/x', access: [] }] } },
  'no path in an entry': { files: { deny: [{ access: ['read'] }] } },
  'an errno of its own': { files: { ungranted: 'EPERM' } },
  'a name for an address': { network: { connect: ['localhost:80'] } },
  'a relative socket': { network: { connect: ['unix:x'] } },
  'another operation': { network: { deny: [{ address: '*', operations: ['send'] }] } },
  'a program as text': { exec: '/bin/sh' },
  'an argument that is none': { exec: [{ path: '/bin/sh', argv: [1] }] },
  'written as text': { exec: { written: 'no' } },
  'a call that is none': { syscalls: { deny: ['opne'] } },
  'two comparisons': { syscalls: { deny: [{ call: 'socket', args: [{ index: 0, equals: 1, not: 2 }] }] } },
  'no comparison': { syscalls: { deny: [{ call: 'socket', args: [{ index: 0 }] }] } },
  'a place that is none': { syscalls: { deny: [{ call: 'socket', args: [{ index: 6, equals: 1 }] }] } },
  'half a range': { syscalls: { deny: [{ call: 'socket', args: [{ index: 0, range: [1] }] }] } },
  'an errno for a kill': { syscalls: { deny: [{ call: 'socket', action: 'kill', errno: 'EPERM' }] } },
  'otherwise alone': { syscalls: { otherwise: 'EPERM' } },
  'a call that nobody opens': { syscalls: { allow: ['ptrace'] } },
  'a base that is none': { extends: 'compte' },
  'a base that nothing starts from': { extends: ['strict'] },
  'a base with a mistake': { extends: [{ files: { raed: [] } }] },
  'a list': [],
  'a text': 'compute',
  null: null,
  'a number': 3,
  'defaults as text': { defaults: 'no' },
  'scratch as a number': { scratch: 1 },
};

const beyond: Record<string, unknown> = {
  'which constants an argument has': {
    syscalls: { deny: [{ call: 'socket', args: [{ index: 0, equals: 'AF_INTE' }] }] },
  },
  'how many arguments a call has': { syscalls: { deny: [{ call: 'socket', args: [{ index: 5, equals: 1 }] }] } },
  'whether a range runs backwards': { syscalls: { deny: [{ call: 'socket', args: [{ index: 0, range: [2, 1] }] }] } },
  'all of an address': { network: { connect: ['1.2.3.4/8'] } },
  'that a bare name is no program': { exec: ['ls'] },
  'all of an errno': { syscalls: { deny: [{ call: 'socket', errno: 'EPREM' }] } },
};

test.each(Object.entries(good))('%s: both take it', (_, policy) => {
  expect([bySchema(policy), byCheck(policy)], JSON.stringify(validate.errors)).toEqual([true, true]);
});
test.each(Object.entries(bad))('%s: both refuse it', (_, policy) => {
  expect([bySchema(policy), byCheck(policy)]).toEqual([false, false]);
});
test.each(Object.entries(beyond))('JSON Schema cannot say %s', (_, policy) => {
  expect([bySchema(policy), byCheck(policy)]).toEqual([true, false]);
});

/** A policy with one place changed, for every place. */
function* changed(value: unknown, change: (at: unknown) => unknown): Generator<unknown> {
  yield change(value);
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    for (const part of changed((value as Record<string, unknown>)[key], change)) {
      const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
      copy[key] = part;
      yield copy;
    }
  }
}

describe('a policy with one thing in another’s place', () => {
  const others = [true, 3, {}, [], [[]], null, { nonsense: 1 }, [true]];
  test.each(Object.entries(good))('%s: both say the same', (_, policy) => {
    const different: string[] = [];
    for (const other of others) {
      for (const one of changed(policy, () => other)) {
        const [editor, check] = [bySchema(one), byCheck(one)];
        // Of another call or argument, what goes with it is beyond a schema.
        if (editor !== check && !(editor && typeof other === 'number')) different.push(JSON.stringify(one));
      }
    }
    expect(different).toEqual([]);
  });

  test.each(Object.entries(good))('%s: a field too many, or misspelt, is refused by both', (_, policy) => {
    for (const one of changed(policy, (at) =>
      typeof at === 'object' && at !== null && !Array.isArray(at) ? { ...at, nonsense: 1 } : at,
    )) {
      if (JSON.stringify(one) !== JSON.stringify(policy)) expect([bySchema(one), byCheck(one)]).toEqual([false, false]);
    }
  });
});

test('every field says what it is, and the file is what is in the package', () => {
  const silent: string[] = [];
  const look = (part: unknown, at: string) => {
    if (typeof part !== 'object' || part === null) return;
    const { properties, ...rest } = part as { properties?: Record<string, { description?: string }> };
    for (const [name, field] of Object.entries(properties ?? {})) {
      const isOperand = at.endsWith('.args') || /masked(?:Equals|Not)$/.test(at);
      if (field.description === undefined && !isOperand && name !== 'call') silent.push(`${at}.${name}`);
      look(field, `${at}.${name}`);
    }
    for (const [word, inner] of Object.entries(rest)) {
      if (word === 'if') continue;
      if (Array.isArray(inner)) for (const one of inner) look(one, at);
      else look(inner, at);
    }
  };
  look(schema, '');
  expect(silent).toEqual([]);
  expect(fileURLToPath(import.meta.resolve('holdfast/policy.schema.json'))).toBe(join(root, 'dist/policy.schema.json'));
});
