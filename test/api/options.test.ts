import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { type HoldfastError, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { normalizeSpawn } from '../../lib/spawn/options.ts';

type AnySpawn = (...args: unknown[]) => { on(event: string, listener: () => void): { kill(signal: string): void } };

function refusal(start: unknown, args: unknown[]): object | string {
  try {
    (start as AnySpawn)(...args)
      .on('error', () => {})
      .kill('SIGKILL');
    return 'accepted';
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    return { name, code, message, text: String(error), fields: Object.keys(error as object) };
  }
}

describe('wrong arguments are refused as child_process.spawn refuses them', () => {
  const cases: [title: string, args: unknown[]][] = [
    ['no command', []],
    ['a command that is no string', [1]],
    ['a command that is null', [null]],
    ['an empty command', ['']],
    ['a command with a NUL byte', ['a\0b']],
    ['arguments that are no list', ['ls', 5]],
    ['arguments that are text', ['ls', 'x']],
    ['an argument with a NUL byte', ['ls', ['ok', 'a\0']]],
    ['options that are no object', ['ls', [], 5]],
    ['options that are null', ['ls', [], null]],
    ['options that are a list', ['ls', [], []]],
    ['argv0 that is no string', ['ls', [], { argv0: 1 }]],
    ['argv0 with a NUL byte', ['ls', [], { argv0: 'a\0' }]],
    ['shell that is a number', ['ls', [], { shell: 1 }]],
    ['shell with a NUL byte', ['ls', [], { shell: 'a\0' }]],
    ['a negative timeout', ['ls', [], { timeout: -1 }]],
    ['a timeout that is no integer', ['ls', [], { timeout: 1.5 }]],
    ['a timeout that is text', ['ls', [], { timeout: '5' }]],
    ['an unknown killSignal', ['ls', [], { killSignal: 'SIGNOPE' }]],
    ['a killSignal without a name', ['ls', [], { killSignal: 77 }]],
    ['a killSignal that is an object', ['ls', [], { killSignal: {} }]],
    ['a signal that is no AbortSignal', ['ls', [], { signal: 1 }]],
    ['unknown stdio', ['ls', [], { stdio: 'foo' }]],
    ['stdio that is a number', ['ls', [], { stdio: 5 }]],
    ['two ipc channels', ['ls', [], { stdio: ['ipc', 'ipc', 'pipe'] }]],
    ['cwd of a wrong type', ['ls', [], { cwd: 5 }]],
    ['cwd with a NUL byte', ['ls', [], { cwd: 'a\0' }]],
    ['env with a NUL byte', ['ls', [], { env: { a: '\0' } }]],
    ['uid that is no integer', ['ls', [], { uid: 1.5 }]],
    ['gid of a wrong type', ['ls', [], { gid: 'x' }]],
    ['detached of a wrong type', ['ls', [], { detached: 1 }]],
    ['windowsHide of a wrong type', ['ls', [], { windowsHide: 1 }]],
    ['unknown serialization', ['ls', [], { serialization: 'x' }]],
  ];
  test.each(cases)('%s', (_, args) => {
    const expected = refusal(spawn, args);
    expect(expected).not.toBe('accepted');
    expect(refusal(spawnSandboxed, args)).toEqual(expected);
  });
});

test('a signal that nobody can listen to is refused before anything starts', () => {
  expect(() => spawnSandboxed('true', [], { signal: { aborted: false } as AbortSignal })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
  );
});

test('what an object inherits is no option, and each option is read once', () => {
  let reads = 0;
  const given = Object.create({ policy: 5, cwd: '/nowhere', shell: '/nowhere' });
  Object.defineProperty(given, 'hookTimeout', { enumerable: true, get: () => ++reads });
  const spawn = normalizeSpawn('ls', given, undefined);
  expect(spawn).toMatchObject({ file: 'ls', cwd: process.cwd(), hookTimeout: 1 });
  expect(reads).toBe(1);
});

test.each(['', false, 0])('stdio %j is the default, as in Node', (stdio) => {
  expect(normalizeSpawn('ls', { stdio }, undefined).stdio).toEqual(['pipe', 'pipe', 'pipe']);
});

test("what Node's fork and execFile hand on to a spawn has no effect, as in Node", () => {
  const foreign = { execPath: '/nowhere', execArgv: ['-x'], silent: true, encoding: 'hex', maxBuffer: 0 };
  expect(normalizeSpawn('ls', foreign, undefined)).toEqual(normalizeSpawn('ls', {}, undefined));
});

describe("holdfast's own options", () => {
  test.each([
    ['polices', {}, /options\.polices: \{\} is not an option\. Known are .*policy/],
    ['hookTimeout', 0, /options\.hookTimeout: 0 must be milliseconds above 0, or Infinity/],
    ['hookTimeout', '5s', /options\.hookTimeout: '5s' must be/],
    ['hookTimeout', Number.NaN, /options\.hookTimeout: NaN must be/],
    ['descendants', 'leave', /options\.descendants: 'leave' must be 'kill' or 'wait'/],
  ])('%s: %j is refused', (name, value, message) => {
    const wrong = () => spawnSandboxed('true', [], { [name]: value });
    expect(wrong).toThrow(expect.objectContaining({ name: 'HoldfastError', code: 'ERR_HOLDFAST_INVALID_OPTION' }));
    expect(wrong).toThrow(message);
  });

  test('an error says its code and keeps its class', () => {
    try {
      spawnSandboxed('true', [], { nothing: 1 } as never);
      expect.unreachable();
    } catch (error) {
      expect((error as HoldfastError).code).toBe('ERR_HOLDFAST_INVALID_OPTION');
      expect(String(error)).toMatch(/^HoldfastError \[ERR_HOLDFAST_INVALID_OPTION\]: options\.nothing/);
      expect((error as Error).stack).toMatch(
        /^HoldfastError \[ERR_HOLDFAST_INVALID_OPTION\]: options\.nothing.*\n +at /,
      );
      expect(Object.keys(error as Error)).toEqual(['code']);
      expect(inspect(error)).not.toContain('undefined');
    }
  });
});

test('the built package can be required', () => {
  const require = createRequire(import.meta.url);
  expect(require('../../dist/index.js').spawnSandboxed).toBeTypeOf('function');
});
