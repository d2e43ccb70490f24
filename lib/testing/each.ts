// A sandbox for each test, with the words of any test framework.
import { HoldfastError } from '../index.ts';
import { wrong } from './problems.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from './sandbox.ts';

/** What the frameworks' test contexts have that says when a test is over, whatever it still does (node:test, vitest). */
interface WithSignal {
  readonly signal?: AbortSignal;
}

/**
 * A test's function that is given a sandbox, which is closed at its end: `test('…', withSandbox(async (sandbox) => { … }))`. Where the
 * framework tells when a test has timed out (node:test), it is closed then, too.
 */
export function withSandbox<Context>(
  body: (sandbox: Sandbox, context: Context) => unknown,
  options?: SandboxOptions,
): (context?: Context) => Promise<void> {
  if (typeof body !== 'function') throw wrong('body', body, 'must be a function');
  // No parameter by name: jest takes a function with one for a test that calls it when it is done.
  return async (...given: [Context?]) => {
    const sandbox = createSandbox(options);
    const signal = (given[0] as WithSignal | undefined)?.signal;
    const close = () => void sandbox.close().catch(() => {});
    if (signal?.aborted) close();
    signal?.addEventListener?.('abort', close, { once: true });
    try {
      await body(sandbox, given[0] as Context);
    } finally {
      signal?.removeEventListener?.('abort', close);
      await sandbox.close();
    }
  };
}

type Registrar = (hook: () => unknown) => unknown;

/** Who registers what is done before and after each test. */
export interface EachTest {
  beforeEach: Registrar;
  afterEach: Registrar;
}

/** The sandbox of the test that runs. */
export interface CurrentSandbox {
  readonly sandbox: Sandbox;
}

/**
 * A new sandbox for each test of a file or block, closed after it, also where the test has timed out: `const test = sandboxForEach();`, then
 * `test.sandbox.run(…)`. Not for tests that run at the same time, which would have one together: those take {@link withSandbox}.
 * @param framework `beforeEach` and `afterEach`. Default: the global ones, as jest and mocha have them.
 */
export function sandboxForEach(
  options?: SandboxOptions,
  framework: Partial<EachTest> = globalThis as Partial<EachTest>,
): CurrentSandbox {
  const { beforeEach, afterEach } = framework;
  for (const [name, registrar] of Object.entries({ beforeEach, afterEach })) {
    if (typeof registrar !== 'function') {
      throw wrong(
        `framework.${name}`,
        registrar,
        'must be a function: give those of your test framework, where they are not global',
      );
    }
  }
  let current: Sandbox | undefined;
  beforeEach?.(() => {
    if (current !== undefined && !current.closed) {
      throw new HoldfastError(
        'ERR_HOLDFAST_INVALID_OPTION',
        'sandboxForEach() has one sandbox at a time, and these tests run at the same time: use withSandbox()',
      );
    }
    current = createSandbox(options);
  });
  afterEach?.(() => current?.close());
  return {
    get sandbox() {
      if (current !== undefined) return current;
      throw new HoldfastError(
        'ERR_HOLDFAST_INVALID_OPTION',
        'sandboxForEach(): there is a sandbox only while a test runs',
      );
    },
  };
}
