// What an object inherits is nobody's intent: neither from Object.prototype, at any depth, nor from a class.
import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { deny, type Policy, redirect } from 'holdfast';
import { afterEach, describe, expect, test } from 'vitest';
import { compileFilter } from '../../lib/hooks/filter.ts';
import { makeRules } from '../../lib/policy/policy.ts';
import { normalizeSpawn } from '../../lib/spawn/options.ts';
import { runSandboxed } from '../helpers/run.ts';

const put: [object, PropertyKey][] = [];
function pollute(on: object, key: PropertyKey, value: unknown, enumerable: boolean) {
  Object.defineProperty(on, key, { value, enumerable, configurable: true, writable: true });
  put.push([on, key]);
}
afterEach(() => {
  for (const [on, key] of put.splice(0)) Reflect.deleteProperty(on, key);
});

describe.each([
  ['enumerable', true],
  ['not enumerable', false],
])('on Object.prototype, %s', (_, enumerable) => {
  const policies: [PropertyKey, unknown, Policy][] = [
    ['files', { read: ['/'], write: ['/'] }, {}],
    ['network', { connect: ['*'], bind: ['*'] }, {}],
    ['exec', ['/'], {}],
    ['defaults', false, {}],
    ['read', ['/'], { files: {} }],
    ['write', ['/'], { files: { read: ['/usr'] } }],
    ['deny', ['/'], { files: { read: ['/usr'] } }],
    ['connect', ['*'], { network: {} }],
    ['bind', ['*'], { network: { connect: ['127.0.0.1'] } }],
    ['access', ['read'], { files: { deny: [{ path: '/x' }] } }],
    ['operations', ['bind'], { network: { deny: [{ address: '*' }] } }],
    ['foreign', 1, { files: { read: ['/usr'] } }],
  ];
  test.each(policies)('%s is no part of a policy', (key, value, policy) => {
    const expected = makeRules(policy, '/work');
    pollute(Object.prototype, key, value, enumerable);
    expect(makeRules(policy, '/work')).toEqual(expected);
  });

  test.each<[PropertyKey, unknown, unknown]>([
    ['path', '/nowhere', { access: 'read' }],
    ['access', 'write', { path: '/x' }],
    ['foreign', 1, { path: '/x' }],
  ])('%s is no part of a filter', (key, value, filter) => {
    const expected = compileFilter('open', filter, '/work');
    pollute(Object.prototype, key, value, enumerable);
    expect(compileFilter('open', filter, '/work')).toEqual(expected);
  });

  test.each<[PropertyKey, unknown]>([
    ['policy', { files: { write: ['/'] } }],
    ['cwd', ''],
    ['shell', true],
    ['hookTimeout', -1],
    ['descendants', 'never'],
    ['uid', 5],
    ['foreign', 1],
  ])('%s is no option', (key, value) => {
    const expected = normalizeSpawn('ls', {}, undefined);
    pollute(Object.prototype, key, value, enumerable);
    expect(normalizeSpawn('ls', {}, undefined)).toEqual(expected);
  });

  test('nothing is an address, a port, an errno or a signal', () => {
    pollute(Object.prototype, 'address', '127.0.0.1', enumerable);
    pollute(Object.prototype, 'port', 80, enumerable);
    pollute(Object.prototype, 'EOWN', 13, enumerable);
    expect(() => redirect({ port: 80 } as never)).toThrow(/undefined is not an IP address/);
    expect(() => redirect({ address: '127.0.0.1' } as never)).toThrow(/undefined is not a port/);
    expect(() => deny('EOWN')).toThrow(/is not an errno/);
  });

  test('a command runs and ends as it does without', async () => {
    for (const [key, value] of Object.entries({
      stage: 1,
      lost: true,
      pid: 1,
      errno: 1,
      code: 7,
    }))
      pollute(Object.prototype, key, value, enumerable);
    const { code, signal, stdout } = await runSandboxed('sh', ['-c', 'echo ran; exit 3']);
    expect({ code, signal, stdout }).toEqual({ code: 3, signal: null, stdout: 'ran\n' });
  });
});

test('a hole in a list shows nothing that lists inherit', () => {
  pollute(Array.prototype, 0, '/etc', true);
  expect(() => makeRules({ files: { read: new Array(1) } }, '/')).toThrow(/files\.read\[0\]: undefined is refused/);
});

test.each(['constructor', 'hasOwnProperty', '__proto__x', 'toString'])('%s is no field of a policy', (key) => {
  expect(() => makeRules({ [key]: 1 }, '/')).toThrow(`policy.${key}: 1 is not a field of a policy`);
  expect(() => makeRules(JSON.parse('{"__proto__": {"files": {}}}'), '/')).toThrow(/__proto__.* is not a field/);
});

test('a field from another object or a class would silently not count: it is refused', () => {
  class Kept {
    get files() {
      return { deny: ['/secret'] };
    }
  }
  expect(() => makeRules(new Kept(), '/')).toThrow(/^policy\.files is inherited/);
  expect(() => makeRules({ files: Object.create({ deny: ['/secret'] }) }, '/')).toThrow(
    /^policy\.files\.deny is inherited/,
  );
  expect(() => compileFilter('open', Object.create({ path: '/x' }), '/')).toThrow(
    /filter of onOpen\.path is inherited/,
  );
  class Own {
    files = { read: ['/usr'] };
    describe() {}
  }
  expect(makeRules(new Own(), '/').files).toContainEqual(expect.objectContaining({ path: '/usr' }));
});

test('a field is read once, so what was checked is what counts', () => {
  let reads = 0;
  const files = {
    get read() {
      return reads++ === 0 ? ['/usr'] : ['/'];
    },
  };
  expect(makeRules({ files }, '/').files).toContainEqual(expect.objectContaining({ path: '/usr' }));
  expect(reads).toBe(1);
});

test('importing adds no global', () => {
  const built = pathToFileURL(new URL('../../dist/index.js', import.meta.url).pathname).href;
  const program = `const before = new Set(Reflect.ownKeys(globalThis)); await import(${JSON.stringify(built)});
    console.log(JSON.stringify(Reflect.ownKeys(globalThis).filter((key) => !before.has(key)).map(String)));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(JSON.parse(out)).toEqual([]);
});
