// README's first example, pasted into a file, beside the built package, against a registry on loopback.

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { buildLibrary } from '../helpers/build-library.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [readme, started] = ['README.md', 'docs/getting-started.md'].map((name) =>
  readFileSync(join(root, name), 'utf8'),
) as [string, string];
const beside = temporaryFolder('beside');

beforeAll(() => {
  const library = join(beside, 'node_modules/holdfast');
  mkdirSync(library, { recursive: true });
  buildLibrary(join(library, 'dist'));
  for (const name of ['package.json', 'build', 'prebuilds', 'node_modules']) {
    symlinkSync(join(root, name), join(library, name));
  }
}, patient(120_000));

/** A registry that has one package; it listens where the system likes. */
async function registry(tarball: Buffer) {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const server = createServer((request, response) => {
    if (request.url?.endsWith('.tgz')) return response.end(tarball);
    if (!request.url?.startsWith('/leaf')) return response.writeHead(404).end('{}');
    const { port } = server.address() as AddressInfo;
    const dist = { tarball: `http://127.0.0.1:${port}/leaf/-/leaf-1.0.0.tgz`, integrity };
    const versions = { '1.0.0': { name: 'leaf', version: '1.0.0', dist } };
    return response.end(JSON.stringify({ name: 'leaf', 'dist-tags': { latest: '1.0.0' }, versions }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

test('README says how to install it, and the example of an npm install works when pasted', {
  timeout: patient(120_000),
}, async () => {
  expect(readme).toMatch(/^npm install holdfast$/m);
  const example = /## Install packages[\s\S]*?```js\n([\s\S]*?)```/.exec(started)?.[1] ?? '';
  expect(example).toContain("'127.0.0.1:4873'");

  const source = temporaryFolder('leaf');
  mkdirSync(join(source, 'package'));
  writeFileSync(join(source, 'package/package.json'), '{"name":"leaf","version":"1.0.0"}');
  execFileSync('tar', ['czf', join(source, 'leaf.tgz'), '-C', source, 'package']);
  const server = await registry(readFileSync(join(source, 'leaf.tgz')));
  const { port } = server.address() as AddressInfo;
  try {
    const project = temporaryFolder('pasted');
    writeFileSync(join(project, 'package.json'), '{"name":"p","version":"1.0.0","dependencies":{"leaf":"1.0.0"}}');
    writeFileSync(join(project, '.npmrc'), `registry=http://127.0.0.1:${port}/\n`);
    const home = temporaryFolder('home');
    // The project's own file has the last word on the registry; this one must not even be seen.
    writeFileSync(join(home, '.npmrc'), 'registry=http://127.0.0.1:9/\nfetch-retries=0\n');
    const file = join(beside, 'example.mjs');
    writeFileSync(file, example.replace('127.0.0.1:4873', `127.0.0.1:${port}`));
    const env = { PATH: process.env.PATH, HOME: home, npm_config_update_notifier: 'false', npm_config_audit: 'false' };
    const child = spawn(process.execPath, [file], { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    await new Promise((resolve) => child.on('close', resolve));
    expect(output).toMatch(/^closed 0$/m);
    expect(existsSync(join(project, 'node_modules/leaf/package.json')), output).toBe(true);
    expect(existsSync(join(project, 'package-lock.json'))).toBe(true);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
