// Every fenced block of README and docs/ works when it is pasted.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadPolicy } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { asModule, asTypes, blocks, elsewhere, elsewhereBeginning, projectFiles, root } from './blocks.ts';

function makeProject(): string {
  const project = temporaryFolder('blocks');
  for (const [name, text] of Object.entries(projectFiles)) {
    const path = join(project, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (text.startsWith('#!')) chmodSync(path, 0o755);
  }
  for (const name of ['out', 'dist', 'build', 'node_modules/.bin']) mkdirSync(join(project, name), { recursive: true });
  symlinkSync(root, join(project, 'node_modules/holdfast'));
  symlinkSync(join(root, 'dist/cli.js'), join(project, 'node_modules/.bin/holdfast'));
  return project;
}

function run(project: string, command: string, args: string[]): void {
  const { status, signal, stdout, stderr } = spawnSync(command, args, {
    cwd: project,
    encoding: 'utf8',
    timeout: patient(25_000),
    killSignal: 'SIGKILL',
    env: { ...process.env, PATH: `${project}/bin:${process.env.PATH}` },
  });
  expect([status, signal], `${stdout}\n${stderr}`).toEqual([0, null]);
}

const ofLanguage = (...languages: string[]) => blocks.filter(({ language }) => languages.includes(language));
const onX64 = /\brsp\b/; // registers have the names of one architecture

describe('as a module', () => {
  test.each(ofLanguage('js').map((block) => [block.at, block] as const))('%s', (_, block) => {
    if (onX64.test(block.text) && process.arch !== 'x64') return;
    const project = makeProject();
    writeFileSync(join(project, 'block.mjs'), asModule(block));
    run(project, process.execPath, ['block.mjs']);
  });
});

test('policies in files are right', () => {
  const file = join(makeProject(), 'policy.jsonc');
  for (const { at, text } of ofLanguage('json', 'jsonc')) {
    writeFileSync(file, text);
    expect(() => loadPolicy(file), at).not.toThrow();
  }
});

test('types are right', { timeout: patient(60_000) }, () => {
  const project = makeProject();
  for (const [i, block] of ofLanguage('ts').entries()) writeFileSync(join(project, `block${i}.mts`), asTypes(block));
  const options = { strict: true, noEmit: true, skipLibCheck: true, module: 'nodenext', target: 'esnext' };
  const types = { types: ['node'], typeRoots: [join(root, 'node_modules/@types')] };
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, ...types, lib: ['esnext'] }, include: ['*.mts'] }),
  );
  run(project, process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
});

describe('in a shell', () => {
  const linesOf = (text: string) =>
    text
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('#'))
      .map((line) => line.replace(/\s+#.*$/, ''));
  const isElsewhere = (line: string) =>
    elsewhere[line.trim()] !== undefined || elsewhereBeginning.some((beginning) => line.trim().startsWith(beginning));
  const shell = ofLanguage('sh').map(({ at, text }) => [at, linesOf(text)] as const);
  test('what is run elsewhere is still there', () => {
    const all = shell.flatMap(([, lines]) => lines).map((line) => line.trim());
    for (const line of Object.keys(elsewhere)) expect(all).toContain(line);
  });
  const here = shell
    .map(([at, lines]) => [at, lines.filter((line) => !isElsewhere(line)).join('\n')] as const)
    .filter(([, script]) => script !== '');
  test.each(here)('%s', (_, script) => {
    run(makeProject(), 'sh', ['-ec', script.replace(/\bnpx holdfast\b/g, 'node_modules/.bin/holdfast')]);
  });
});

test('every language is one of those', () => {
  const known = ['js', 'ts', 'sh', 'json', 'jsonc', 'text', 'ini'];
  expect(blocks.filter(({ language }) => !known.includes(language)).map(({ at }) => at)).toEqual([]);
});
