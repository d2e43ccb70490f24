import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
// .ci/run asks for machine-readable counts beside the usual output; the test command stays the same.
const report = process.env.HOLDFAST_TEST_REPORT;

export default defineConfig({
  root,
  resolve: { alias: { holdfast: `${root}lib/index.ts` } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/build-programs.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: report ? ['default', 'json'] : ['default'],
    outputFile: report ? { json: report } : undefined,
  },
});
