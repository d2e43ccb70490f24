import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { patient } from './helpers/patience.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
// .ci/run asks for machine-readable counts beside the usual output; the test command stays the same.
const report = process.env.HOLDFAST_TEST_REPORT;
// test/sanitizers/run.mjs: everything takes that many times as long.

export default defineConfig({
  root,
  resolve: {
    alias: {
      'holdfast/testing': `${root}lib/testing/index.ts`,
      'holdfast/vitest': `${root}lib/vitest/index.ts`,
      holdfast: `${root}lib/index.ts`,
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/build-programs.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: patient(30_000),
    hookTimeout: patient(60_000),
    reporters: report ? ['default', 'json'] : ['default'],
    outputFile: report ? { json: report } : undefined,
  },
});
