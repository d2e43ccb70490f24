// A rule whose path is not there, and that nothing in the sandbox may make, is told by the warning event.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Policy, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { makeRules } from '../../lib/policy/policy.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const folder = temporaryFolder('idle');
mkdirSync(join(folder, 'there'));
writeFileSync(join(folder, 'file'), '');
const at = (...names: string[]) => names.map((name) => join(folder, name));

async function warned(policy: Policy): Promise<string[]> {
  const child = spawnSandboxed('true', { policy });
  const rules: string[] = [];
  child.on('warning', ({ rule, path, message }) => {
    expect(message).toContain(`policy.${rule}: '${path}' is not there`);
    rules.push(rule);
  });
  await new Promise((resolve) => child.on('close', resolve));
  return rules;
}

test('what is there, and what may be made, is no reason to warn', async () => {
  expect(await warned({ files: { read: at('there'), write: at('there', 'new') } })).toEqual([]);
  // Below a folder that may be written, and below one that may be made.
  expect(await warned({ files: { read: at('there/a/b', 'new/c'), write: at('there', 'new') } })).toEqual([]);
  expect(await warned({ files: { deny: at('there/a'), write: at('there') } })).toEqual([]);
});

test('what is not there and cannot be made is told', async () => {
  expect(await warned({ files: { read: ['/usr', '/ust/lib', ...at('new')] } })).toEqual([
    'files.read[1]',
    'files.read[2]',
  ]);
  expect(await warned({ files: { write: at('missing/x', 'file/x') } })).toEqual(['files.write[0]', 'files.write[1]']);
  expect(await warned({ files: { deny: at('new') }, exec: ['/usr/bin/nosuch'] })).toEqual(['exec[0]', 'files.deny[0]']);
});

test('a unix socket in no folder is told', async () => {
  const sockets = (...names: string[]) => at(...names).map((path) => `unix:${path}`);
  expect(
    await warned({ network: { connect: ['unix:/', 'unix:/ryn/x.sock', ...sockets('file', 'x', 'y/z')] } }),
  ).toEqual(['network.connect[1]', 'network.connect[3]', 'network.connect[4]']);
  // What binding makes, or what may be written, is no reason; nor are abstract names.
  expect(
    await warned({
      files: { write: at('there') },
      network: { connect: ['unix:@x', '*', ...sockets('new', 'there/x', 'new/y')], bind: sockets('new', 'no/new') },
    }),
  ).toEqual(['network.bind[1]']);
  expect(await warned({ network: { deny: sockets('file', 'x') } })).toEqual(['network.deny[1]']);
});

test('names that look wrong can be meant: as a file: URL', () => {
  const names = ['$HOME', ' x ', '~y', 'Foo$Bar.class'];
  const read = names.slice(0, 3).map((name) => pathToFileURL(join(folder, name)));
  expect(makeRules({ files: { read: [...read, join(folder, 'Foo$Bar.class')] } }, '/').files).toEqual(
    names.map((name) => expect.objectContaining({ path: join(folder, name) })),
  );
});
