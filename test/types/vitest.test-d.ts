import type { Sandbox, SandboxOptions } from 'holdfast/testing';
import { expect, test } from 'holdfast/vitest';
import { expectError, expectType } from 'tsd';

test('has a sandbox', async ({ sandbox, sandboxOptions }) => {
  expectType<Sandbox>(sandbox);
  expectType<SandboxOptions>(sandboxOptions);
  const run = await sandbox.run('true');
  expect(run).toHaveViolated([]);
  expect(run).not.toHaveExited('SIGTERM');
  expect(run).toHaveWritten(['out/**', /x/]);
  expect(run).toHaveConnectedTo([80, 'unix:/x']);
  expectError(expect(run).toHaveExited({}));
  expectError(expect(run).toHaveViolatd([]));
});
test.extend({ sandboxOptions: { files: { a: 'text' } } })('has options', ({ sandbox }) => {
  expectType<Sandbox>(sandbox);
});
