import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
// .ci/run asks for machine-readable counts beside the usual output; the test command stays the same.
const report = process.env.HOLDFAST_TEST_REPORT;
// test/sanitizers/run.mjs: everything takes that many times as long.
const patience = Number(process.env.HOLDFAST_TEST_PATIENCE ?? 1);

export default defineConfig({
  root,
  resolve: { alias: { holdfast: `${root}lib/index.ts` } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/build-programs.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000 * patience,
    hookTimeout: 60_000 * patience,
    reporters: report ? ['default', 'json'] : ['default'],
    outputFile: report ? { json: report } : undefined,
  },
});
