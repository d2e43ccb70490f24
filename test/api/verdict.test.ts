import { allow, deny, kill, redirect, respond, Verdict } from 'holdfast';
import { describe, expect, test } from 'vitest';

const encoded = (verdict: Verdict) => {
  const { number, error, data } = Verdict.encode(verdict);
  return { number, error, data: data && Buffer.from(data).toString('latin1') };
};

describe('verdicts', () => {
  test('carry what the supervisor needs', () => {
    expect(encoded(allow())).toEqual({ number: 1, error: 0, data: undefined });
    expect(encoded(deny())).toEqual({ number: 2, error: 13, data: undefined });
    expect(encoded(deny('ENOENT'))).toEqual({ number: 2, error: 2, data: undefined });
    expect(encoded(deny(1))).toEqual({ number: 2, error: 1, data: undefined });
    expect(encoded(kill())).toEqual({ number: 3, error: 9, data: undefined });
    expect(encoded(kill('SIGTERM'))).toEqual({ number: 3, error: 15, data: undefined });
    expect(encoded(redirect('/a'))).toEqual({ number: 4, error: 0, data: '/a' });
    expect(encoded(redirect(new URL('file:///a%20b')))).toEqual({ number: 4, error: 0, data: '/a b' });
    expect(encoded(respond('abc'))).toEqual({ number: 5, error: 0, data: 'abc' });
    const address = encoded(redirect({ address: '127.0.0.1', port: 258 })).data;
    expect(Buffer.from(address ?? '', 'latin1').toString('hex')).toBe(`02000000020100007f000001${'0'.repeat(24)}`);
  });

  test('copy the bytes that they are given', () => {
    const bytes = Uint8Array.from([1, 2]);
    const verdict = respond(bytes);
    bytes[0] = 9;
    expect(encoded(verdict).data).toBe('\x01\x02');
  });

  test.each([
    ['an unknown errno', () => deny('ENOPE')],
    ['a negative errno', () => deny(-2)],
    ['an errno of 0', () => deny(0)],
    ["an errno of libuv's own", () => deny(4095)],
    ['an unknown signal', () => kill('SIGNOPE' as never)],
    ['signal 0', () => kill(0)],
    ['a relative path', () => redirect('a')],
    ['a path with a NUL byte', () => redirect('/a\0')],
    ['a path of 4,096 bytes', () => redirect(`/${'x'.repeat(4095)}`)],
    ['a URL that is no file', () => redirect(new URL('http://x/'))],
    ['a name instead of an address', () => redirect({ address: 'localhost', port: 80 })],
    ['port 0', () => redirect({ address: '::1', port: 0 })],
    ['no target', () => redirect(undefined as never)],
    ['half of a character', () => redirect('/a\ud800')],
    ['a response of 4,097 bytes', () => respond('x'.repeat(4097))],
    ['a response that is true', () => respond(true as never)],
  ])('%s is refused', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ name: 'HoldfastError', code: 'ERR_HOLDFAST_INVALID_VERDICT' }));
  });

  test('cannot be forged', () => {
    expect(Verdict.is({ kind: 'allow' })).toBe(false);
    expect(Verdict.is(Object.create(Verdict.prototype))).toBe(false);
    expect(Verdict.is(allow())).toBe(true);
    expect(Object.isFrozen(deny())).toBe(true);
    const make = Verdict as unknown as new (...args: unknown[]) => Verdict;
    expect(() => new make('respond', 0, new Uint8Array(100_000))).toThrow('verdicts are made by allow()');
  });
});
