import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare } from '../helpers/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

// Whatever looks into another process's descriptors, or acts on them. The twins need pidfd_getfd themselves.
const files = ['families/network', 'families/signals', 'families/files', 'boundary/toctou-unix', 'boundary/fd-swap'];

test('sockets and signals work where a container forbids pidfd_getfd', { timeout: 240_000 }, async () => {
  const args = [process.execPath, vitest, 'run', '--config', 'test/vitest.config.ts', '--maxWorkers', '1'];
  const chosen = ['-t', '^(?!.*twin)', '--reporter', 'json', ...files.map((name) => `test/${name}.test.ts`)];
  const { VITEST: _, HOLDFAST_TEST_REPORT: __, ...env } = process.env;
  const outcome = await runBare(program('container_rules'), [...args, ...chosen], { cwd: root, env });
  const report = JSON.parse(outcome.stdout) as {
    numFailedTests: number;
    numPassedTests: number;
    testResults: unknown[];
  };
  expect(report.numFailedTests, outcome.stdout).toBe(0);
  expect(report.numPassedTests).toBeGreaterThan(15);
  expect(report.testResults.length).toBe(files.length);
  expect(outcome.code).toBe(0);
});
