// Policies of thousands of rules: looked up beside Node, with nothing lost and nothing out of order.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { FieldWriter } from '../../lib/native/fields.ts';
import { makeRules } from '../../lib/policy/policy.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const folder = temporaryFolder('large');
mkdirSync(join(folder, 'real/deep'), { recursive: true });
writeFileSync(join(folder, 'real/deep/file'), 'found\n');
writeFileSync(join(folder, 'real/other'), 'other\n');
symlinkSync('real', join(folder, 'link'));

/** So many rules on paths that are not there, and one by a link, which only who looks it up understands. */
const large = (count: number): Policy => ({
  files: {
    read: [...Array.from({ length: count }, (_, i) => join(folder, `missing-${i}/x`)), join(folder, 'link/deep')],
  },
});

function run(policy: Policy, hook: boolean) {
  const child = spawnSandboxed('cat', [join(folder, 'link/deep/file'), join(folder, 'real/other')], {
    policy,
    cwd: '/',
  });
  const asked: string[] = [];
  if (hook) child.onOpen({ path: join(folder, 'link/other') }, ({ path }) => void asked.push(path));
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  return new Promise<[string, number | null, string[]]>((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => done([text, code, asked]));
  });
}

describe.each([10, 1000, 20_000])('%i rules', (count) => {
  test('a link in a path is followed, and the hooks come behind the policy', async () => {
    expect(await run(large(count), false)).toEqual(['found\n', 1, []]);
    expect(await run(large(count), true)).toEqual(['found\n', 1, [join(folder, 'real/other')]]);
  });

  test('an end in the tick of the spawn is an end', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const child = spawnSandboxed('sleep', ['30'], { policy: large(count) });
      const closed = new Promise<unknown[]>((done) => child.on('close', (...end) => done(end)));
      expect(child.kill(signal)).toBe(true);
      expect(await closed).toEqual([null, signal]);
    }
  });

  test('many at once', async () => {
    const ends = await Promise.all(Array.from({ length: 6 }, () => run(large(count), true)));
    for (const end of ends) expect(end).toEqual(['found\n', 1, [join(folder, 'real/other')]]);
  });

  test('each rule that does nothing is told, in their order', async () => {
    const child = spawnSandboxed('sleep', ['30'], { policy: large(count) });
    const told: string[] = [];
    await new Promise<void>((done) => {
      child.on('warning', ({ rule }) => {
        if (told.push(rule) === count) done();
      });
    });
    child.kill();
    expect(told).toEqual(Array.from({ length: count }, (_, i) => `files.read[${i}]`));
  });
});

test('a path that is plain to see is what resolve() says, and no other is taken for one', () => {
  const paths = [
    '/a',
    '/a/b.c',
    '/a/..b',
    '/a/.b',
    '/...',
    '/a/b/',
    '/a//b',
    '//a',
    '/a/.',
    '/a/./b',
    '/',
    '/ü/x',
    '/a b/c',
    '/a/b\n',
  ];
  for (const path of paths.slice(0, -1)) {
    expect(makeRules({ files: { read: [path] }, defaults: false }, '/cwd').files[0]?.path).toBe(resolve('/cwd', path));
  }
  for (const path of ['/a/../b', '/..', '/a/..']) {
    expect(makeRules({ files: { read: [path] }, defaults: false }, '/cwd').files[0]?.path).toBe(path);
  }
  for (const path of ['/a/[', '/a/$HOME', '/a/$(X)', '/a ', `/${'x'.repeat(4095)}`, '/a\0', '/a/b\n']) {
    expect(() => makeRules({ files: { read: [path] } }, '/cwd')).toThrow(/policy\.files\.read\[0\]/);
  }
});

test('fields are written as the format has them, whatever is in them', () => {
  const tags = { number: 1, text: 2, bytes: 3, nested: 4 };
  const plainly = (tag: number, bytes: Uint8Array) => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(tag, 0);
    head.writeUInt32LE(bytes.length, 4);
    return Buffer.concat([head, bytes, Buffer.alloc(-bytes.length & 7)]);
  };
  const integer = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  };
  // What was in the buffer before must not show in the padding.
  for (let i = 0; i < 400; i++) new FieldWriter(tags).text('text', '\x7f'.repeat(i)).finish();
  const numbers = [
    0,
    1,
    255,
    65_536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
    -1,
    -(2 ** 31),
    -(2 ** 40),
  ];
  for (const value of numbers) {
    expect(Buffer.from(new FieldWriter(tags).number('number', value).finish())).toEqual(plainly(1, integer(value)));
  }
  const pieces = ['a', 'ü', '€', '😀', '\ud800', '\0', '/x'];
  for (let length = 0; length < 300; length++) {
    const text = Array.from(
      { length },
      (_, i) => pieces[(i * 7 + length) % (length % 3 === 0 ? 1 : pieces.length)],
    ).join('');
    const writer = new FieldWriter(tags).nested('nested', (fields) =>
      fields.text('text', text).number('number', length),
    );
    const inner = Buffer.concat([plainly(2, Buffer.from(text)), plainly(1, integer(length))]);
    expect(Buffer.from(writer.finish())).toEqual(plainly(4, inner));
  }
  // Beyond the first buffer, too.
  const writer = new FieldWriter(tags);
  for (let i = 0; i < 3000; i++) writer.text('text', `ü${i}`);
  const all = Buffer.concat(Array.from({ length: 3000 }, (_, i) => plainly(2, Buffer.from(`ü${i}`))));
  expect(Buffer.from(writer.finish()).equals(all)).toBe(true);
});
