// The examples of docs/examples, run as their heads say, with the built library.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const timeout = patient(60_000);
const example = (name: string, args: string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url)), ...args], {
    encoding: 'utf8',
  });

const head = '#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n';
const root = temporaryFolder();
const cases = join(root, 'cases');
const expected = join(cases, '1.out');
const solutions: Record<string, [text: string, verdict: string]> = {
  right: ['int a, b; scanf("%d %d", &a, &b); printf("%d\\n", a + b);', 'ok'],
  wrong: ['puts("4");', 'wrong answer'],
  printer: ['for (;;) puts("y");', 'output exceeded'],
  reader: [`return fopen("${expected}", "r") == NULL ? 3 : 0;`, 'exit code 3'],
  forker: ['return fork() < 0 ? 4 : 0;', 'processes exceeded'],
  crasher: ['abort();', 'ended by SIGABRT'],
};

test('the judge compiles, runs, limits and compares', { timeout }, () => {
  mkdirSync(cases);
  writeFileSync(join(cases, '1.in'), '2 3\n');
  writeFileSync(expected, '5\n');
  for (const [name, [text, verdict]] of Object.entries(solutions)) {
    const source = join(root, `${name}.c`);
    writeFileSync(source, `${head}int main(void) { ${text} return 0; }\n`);
    const { stdout, stderr } = example('judge.mjs', [source, cases]);
    expect(stderr, name).toBe('');
    expect(stdout, name).toContain(`1.in: ${verdict}`);
  }
  const source = join(root, 'includes.c');
  writeFileSync(source, `#include "${expected}"\nint main(void) { return 0; }\n`);
  const { stdout, status } = example('judge.mjs', [source, cases]);
  expect(status).toBe(1);
  expect(stdout).toContain('does not compile');
  expect(stdout).toContain('Permission denied');
});

test('the postmortem shows registers and a backtrace of the call that was refused', { timeout }, () => {
  const [secret, source, program] = [join(root, 'secret'), join(root, 'asks.c'), join(root, 'asks')];
  writeFileSync(secret, 'secret');
  const calls = 'static int inner(const char *file) { int fd = open(file, 0); return fd < 0 ? 7 : fd; }\n';
  const outer = 'static int outer(const char *file) { int r = inner(file); return r + 0; }\n';
  writeFileSync(
    source,
    `#include <fcntl.h>\n${calls}${outer}int main(int n, char **v) { return n == 2 ? outer(v[1]) : 1; }\n`,
  );
  const gcc = spawnSync('gcc', ['-g', '-O0', '-fno-omit-frame-pointer', '-o', program, source], { encoding: 'utf8' });
  expect(gcc.stderr).toBe('');
  const { stdout, stderr, status } = example('postmortem.mjs', [secret, program, secret]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toContain(`asked for ${secret} by openat`);
  expect(stdout).toMatch(/^ {2}(rsp|sp) +[0-9a-f]{16}$/m);
  expect(stdout).toMatch(
    /^#\d+ .* inner at .*asks\.c:2[\s\S]*^#\d+ .* outer at .*asks\.c:3[\s\S]*^#\d+ .* main at .*asks\.c:4/m,
  );
});
