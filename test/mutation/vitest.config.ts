// The tests as the mutation script runs them: one at a time, in the order that it names, each telling what it reached.
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import usual from '../vitest.config.ts';

const order = (process.env.HOLDFAST_MUTATION_ORDER ?? '').split(',');

class AsNamed extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => order.findIndex((name) => moduleId.endsWith(`/${name}`));
    return [...files].sort((a, b) => place(a) - place(b));
  }
}

export default mergeConfig(
  usual,
  defineConfig({
    test: {
      maxWorkers: 1,
      testTimeout: Number(process.env.HOLDFAST_MUTATION_TIMEOUT ?? 60_000),
      sequence: { sequencer: AsNamed },
      runner: process.env.HOLDFAST_MUTATION_LEARN ? fileURLToPath(new URL('runner.ts', import.meta.url)) : undefined,
      experimental: { fsModuleCache: true },
    },
  }),
);
