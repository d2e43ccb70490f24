// What docs/troubleshooting.md says of each symptom.
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Policy, type PolicyWarning, spawnSandboxed, type Violation } from 'holdfast';
import { expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const page = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8');

/** One test for each heading, and none for what is not there. */
const headings = [...page.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading);
const tested: string[] = [];
function symptom(heading: string, act: () => Promise<void>): void {
  tested.push(heading);
  test(heading, act);
}

const run = (command: string, args: string[], policy: Policy, cwd = '/usr') =>
  runSandboxed(command, args, { cwd, policy });

symptom('The program says "Permission denied"', async () => {
  const { stderr, violations } = await run('/bin/cat', ['/var/log'], {});
  expect(stderr).toContain('Permission denied');
  expect(violations[0]?.suggestion).toEqual({ field: 'files.read', value: '/var/log' });
});

symptom('It says "Permission denied" of a file that I have just allowed', async () => {
  const folder = temporaryFolder('allowed');
  mkdirSync(join(folder, 'keys'));
  writeFileSync(join(folder, 'keys/one'), '');
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('/var/log', join(folder, 'link'));
  const denied = await run('/bin/cat', [join(folder, 'keys/one')], {
    files: { read: [folder], deny: [join(folder, 'keys')] },
  });
  expect(denied.violations[0]?.rule).toBe('files.deny[0]');
  const linked = await run('/bin/cat', [join(folder, 'link')], { files: { read: [folder] } });
  expect(linked.violations[0]?.path).toBe('/var/log');
  const removed = await run('/bin/rm', ['-f', join(folder, 'file')], { files: { write: [join(folder, 'file')] } });
  expect(removed.violations.map(({ suggestion }) => suggestion)).toContainEqual({
    field: 'files.write',
    value: folder,
  });
  const warnings: PolicyWarning[] = [];
  await runSandboxed('/bin/true', [], {
    cwd: '/usr',
    policy: { files: { read: [join(folder, 'link')], write: [folder] } },
    hooks: (child) => child.on('warning', (warning) => warnings.push(warning)),
  });
  expect(warnings.map(({ message }) => message).join()).toMatch(/not followed/);
});

symptom('It dies where without a sandbox it would go on', async () => {
  const folder = temporaryFolder('settings');
  writeFileSync(join(folder, '.gitconfig'), '');
  const look = (ungranted: 'EACCES' | 'ENOENT') =>
    run('/bin/cat', [join(folder, '.gitconfig')], { files: { ungranted } });
  expect((await look('EACCES')).violations[0]?.probe).toBe(true);
  expect((await look('ENOENT')).stderr).toContain('No such file');
});

symptom('"command not found", or ENOENT at the start', async () => {
  const child = spawnSandboxed('true', [], { env: { PATH: '/nowhere' }, cwd: '/usr' });
  const error = await new Promise((resolve) => child.on('error', resolve));
  expect(error).toMatchObject({ code: 'ENOENT' });
  const folder = temporaryFolder('programs');
  writeFileSync(join(folder, 'script'), '#!/bin/sh\n');
  chmodSync(join(folder, 'script'), 0o755);
  const { violations } = await run('/bin/sh', ['-c', join(folder, 'script')], {});
  expect(violations).toContainEqual(expect.objectContaining({ access: 'exec', path: join(folder, 'script') }));
});

symptom('Exit code 126 and "Permission denied" of a script that exists', async () => {
  const folder = temporaryFolder('interpreter');
  const script = join(folder, 'script');
  writeFileSync(script, '#!/usr/bin/python3\n');
  chmodSync(script, 0o755);
  const { code, violations } = await run('/bin/sh', ['-c', `${script}; exit $?`], {
    files: { read: [folder] },
    exec: ['/bin/sh', '/usr/bin/dash', '/usr/bin/bash', script],
  });
  expect(code).toBe(126);
  const refused = violations.find(({ access }) => access === 'exec');
  expect(refused?.path).toMatch(/python3/);
});

symptom('It cannot make temporary files', async () => {
  expect((await run('/bin/mktemp', [], {})).code).toBe(1);
  expect((await run('/bin/mktemp', [], { scratch: true })).code).toBe(0);
});

symptom('Network: ECONNREFUSED outside, EACCES here', async () => {
  const { violations } = await run(
    '/usr/bin/python3',
    ['-c', "import socket; socket.socket().connect(('127.0.0.1', 9))"],
    {},
  );
  expect(violations[0]?.suggestion).toEqual({ field: 'network.connect', value: '127.0.0.1:9' });
});

symptom('Nothing is refused, and nothing is reported', async () => {
  const child = spawnSandboxed('/bin/cat', [], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    policy: { defaults: { proc: false } },
  });
  const warnings: string[] = [];
  child.on('warning', ({ message }) => warnings.push(message));
  await new Promise((resolve) => child.on('spawn', () => resolve(undefined)));
  child.on('violation', () => {});
  const { classes } = await child.plan();
  child.stdin?.end();
  await new Promise((resolve) => child.on('close', resolve));
  const left = Object.values(classes).some(({ layer }) => layer === 'landlock');
  expect(warnings.some((message) => message.includes('are not heard of'))).toBe(left);
});

symptom('The event loop does not end, or `close` does not come', async () => {
  const child = spawnSandboxed('/bin/sh', ['-c', 'exec 2>&- >&-; sleep 1000 & echo'], {
    cwd: '/usr',
    descendants: 'wait',
    stdio: 'ignore',
  });
  await new Promise((resolve) => child.on('exit', resolve));
  const left = await child.processes();
  expect(left.map(({ pid }) => pid)).toEqual([expect.any(Number)]);
  await child.killTree();
});

symptom('A rule seems to do nothing', async () => {
  const child = spawnSandboxed('/bin/true', [], { cwd: '/usr', policy: { files: { read: ['/srv', '/typing-eror'] } } });
  const warnings: string[] = [];
  child.on('violation', () => {}).on('warning', ({ rule }) => warnings.push(rule));
  expect((await child.unusedRules()).unused).toEqual(['files.read[0]', 'files.read[1]']);
  expect(warnings).toContain('files.read[1]');
});

symptom('It does not start at all', async () => {
  const child = spawnSandboxed('/bin/true', [], { cwd: '/usr', policy: { files: { deny: ['/usr/bin', '/bin'] } } });
  const violations: Violation[] = [];
  child.on('violation', (violation) => violations.push(violation));
  const error = await new Promise((resolve) => child.on('error', resolve));
  expect(error).toMatchObject({ code: 'EACCES' });
  expect(violations).toContainEqual(expect.objectContaining({ access: 'exec', rule: 'files.deny[0]' }));
});

test('every symptom of the page is here', () => expect(tested).toEqual(headings));
