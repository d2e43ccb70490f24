// `holdfast learn`, as it is installed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPolicy } from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin.holdfast);
const { FORCE_COLOR, NO_COLOR, PWD, ...env } = process.env;

function place(): string {
  const cwd = join(temporaryFolder('cli-learn'), 'project');
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'a.txt'), 'a');
  return cwd;
}

function holdfast(cwd: string, ...args: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    encoding: 'utf8',
    cwd,
    env,
  });
  return { status, signal, stdout, stderr };
}

const sh = (script: string) => ['--', 'sh', '-c', script];

test('what is learned runs; a second lesson adds to the file, and says when there is nothing new', () => {
  const cwd = place();
  const first = holdfast(cwd, 'learn', '-o', '../policy.jsonc', ...sh('cat a.txt > out.txt; echo said; exit 3'));
  expect([first.status, first.stdout]).toEqual([3, 'said\n']);
  expect(first.stderr).toMatch(/1 new line/);
  expect(first.stderr).toMatch(/files\.write {2}\$CWD\/out\.txt\s+\S*sh 1×: .*out\.txt/);
  expect(first.stderr).not.toContain('\u001b');
  const text = readFileSync(join(cwd, '../policy.jsonc'), 'utf8');
  expect(text).toMatch(/^\/\/ Learned from: sh -c cat a\.txt/);
  const run = holdfast(cwd, 'run', '--policy', '../policy.jsonc', ...sh('cat a.txt > out.txt'));
  expect([run.status, run.stderr]).toEqual([0, '']);
  const other = holdfast(cwd, 'run', '--policy', '../policy.jsonc', ...sh('echo > other.txt'));
  expect(other.stderr).toContain('--write');
  writeFileSync(join(cwd, '../policy.jsonc'), text.replace('{', '{ // by hand\n'));
  const second = holdfast(cwd, 'learn', '-o', '../policy.jsonc', ...sh('mkdir made && echo > made/x'));
  expect(second.stderr).toContain('$CWD/made');
  const now = readFileSync(join(cwd, '../policy.jsonc'), 'utf8');
  expect(now).toContain('// by hand');
  expect(loadPolicy(join(cwd, '../policy.jsonc'), { cwd }).files?.write).toEqual([
    join(cwd, 'out.txt'),
    join(cwd, 'made'),
  ]);
  const third = holdfast(cwd, 'learn', '-o', '../policy.jsonc', ...sh('echo > made/x; cat a.txt > out.txt'));
  expect(third.stderr).toContain('Nothing new');
  expect(readFileSync(join(cwd, '../policy.jsonc'), 'utf8')).toBe(now);
  expect(readdirSync(join(cwd, '..')).sort()).toEqual(['policy.jsonc', 'project']);
});

test('as data, without the words of the command between, and nothing written for a dry run', () => {
  const cwd = place();
  const { status, stdout, stderr } = holdfast(
    cwd,
    'learn',
    '--json',
    '--dry-run',
    '-o',
    'p.json',
    ...sh('echo said; echo > made.txt'),
  );
  const data = JSON.parse(stdout);
  expect([status, stderr]).toEqual([0, 'said\n']);
  expect(data).toMatchObject({
    version: 1,
    status: 0,
    exitCode: 0,
    signal: null,
    truncated: 0,
    command: ['sh', '-c', expect.any(String)],
  });
  expect(data.proposals).toEqual([expect.objectContaining({ field: 'files.write', value: '$CWD/made.txt', calls: 1 })]);
  expect(data.policy.files.write).toEqual(['$CWD/made.txt']);
  expect(existsSync(join(cwd, 'p.json'))).toBe(false);
});

test('bounds are what is said, and what lies beyond them is told', () => {
  const cwd = place();
  mkdirSync(join(cwd, 'in'));
  const { status, stderr } = holdfast(
    cwd,
    'learn',
    '-o',
    'p.json',
    '--write',
    'in',
    ...sh('echo > in/x; echo > out.txt'),
  );
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/Asked for and not proposed \(1\):\n.*write .*out\.txt.*beyond the bounds/);
  expect(loadPolicy(join(cwd, 'p.json'), { cwd }).files?.write).toEqual([join(cwd, 'in/x')]);
  expect(existsSync(join(cwd, 'out.txt'))).toBe(false);
});

test('what is told to end ends the command, and what it has done by then is learned', async () => {
  const cwd = place();
  const child = spawn(
    process.execPath,
    [cli, 'learn', '-q', '-o', 'p.json', ...sh('echo > made; echo ready; sleep 600')],
    { cwd, env },
  );
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const [status] = await once(child, 'close');
  expect(status).toBe(143);
  expect(loadPolicy(join(cwd, 'p.json'), { cwd }).files?.write).toEqual([join(cwd, 'made')]);
});

test('exit codes are those of shells, and of holdfast', () => {
  const cwd = place();
  const code = (...args: string[]) => holdfast(cwd, 'learn', ...args);
  expect(code('-q', '-o', 'p.json', ...sh('kill -TERM $$')).status).toBe(143);
  expect(code('-o', 'q.json', '--', 'no-such-program').status).toBe(127);
  expect(code('-o', 'q.json', '--', './a.txt').status).toBe(126);
  writeFileSync(join(cwd, 'bad.json'), '{ "files": { "raed": [] } }');
  const bad = code('-o', 'bad.json', '--', 'true');
  expect([bad.status, bad.stderr]).toEqual([125, expect.stringMatching(/bad\.json:1:14: files\.raed.*did you mean/s)]);
  expect(readFileSync(join(cwd, 'bad.json'), 'utf8')).toBe('{ "files": { "raed": [] } }');
  expect(code('--', 'true').status).toBe(125);
  expect(code('-o', 'no/where.json', '--', 'true').status).toBe(125);
  expect(existsSync(join(cwd, 'q.json'))).toBe(false);
});

test('what is learned is written where it was to go, whatever the command puts in the place of that folder', () => {
  const cwd = place();
  for (const folder of ['out', 'other']) mkdirSync(join(cwd, folder));
  const script = 'mkfifo other/p.jsonc; mv out moved; ln -s other out; mkfifo moved/p.jsonc';
  const { status, stderr } = holdfast(cwd, 'learn', '-o', 'out/p.jsonc', ...sh(script));
  expect([status, stderr.includes('holdfast:')]).toEqual([0, false]);
  expect(lstatSync(join(cwd, 'other/p.jsonc')).isFIFO()).toBe(true);
  expect(loadPolicy(join(cwd, 'moved/p.jsonc'), { cwd }).files?.write?.length).toBeGreaterThan(0);
  expect(readdirSync(join(cwd, 'moved'))).toEqual(['p.jsonc']);
});
