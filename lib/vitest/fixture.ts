// `sandbox` as a fixture of vitest's tests, and the matchers in its `expect`.
import { dirname } from 'node:path';
import { test as base, expect } from 'vitest';
import { createSandbox, matchers, type Sandbox, type SandboxMatchers, type SandboxOptions } from '../testing/index.ts';

declare module 'vitest' {
  // biome-ignore lint/suspicious/noExplicitAny: as vitest declares it
  interface Assertion<T = any> extends SandboxMatchers<T> {}
  interface AsymmetricMatchersContaining extends SandboxMatchers {}
}

/** What a test is given: `async ({ sandbox }) => { … }`. */
export interface SandboxFixtures {
  /** How each test's sandbox is made. Another value for some tests: `test.extend({ sandboxOptions: { files: { … } } })`. */
  sandboxOptions: SandboxOptions;
  /** A place for this test alone: a folder, ports, faults. All of it is gone at the test's end. */
  sandbox: Sandbox;
}

expect.extend(matchers);

/** vitest's `test`, with a {@link Sandbox} for each test that asks for one. */
export const test = base.extend<SandboxFixtures>({
  sandboxOptions: {},
  sandbox: async ({ sandboxOptions, task }, use) => {
    const sandbox = createSandbox({ base: dirname(task.file.filepath), ...sandboxOptions });
    try {
      await use(sandbox);
    } finally {
      await sandbox.close();
    }
  },
});

/** The same as `test`. */
export const it = test;

export { expect };
