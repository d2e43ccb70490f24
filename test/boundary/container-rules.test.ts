// Where most users are: a container under Docker's default rules, or under Kubernetes' standard `restricted`. Without CAP_SYS_PTRACE there is no pidfd_getfd and no look into a
// process with other ids; no call makes a namespace; some of /proc is masked or read-only; the program is process 1.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { dockerRules, kubernetesRestricted, runInContainer, testInContainer } from '../helpers/container.ts';
import { patient } from '../helpers/patience.ts';

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

const selection = [
  ...['families/files', 'families/network', 'families/signals', 'boundary/given-up-rights'],
  ...['boundary/toctou-unix', 'boundary/fd-swap', 'boundary/where-it-is', 'lifecycle/ending', 'transparency/shell'],
];

interface Report {
  testResults: { assertionResults: { fullName: string; status: string; failureMessages: string[] }[] }[];
}

testInContainer.each([
  ['the rules of Docker the suite passes as root', dockerRules, 0, [...selection, 'families/changed-ids']],
  ['the rules of Docker the suite passes as an ordinary user', dockerRules, 1000, selection],
  ["Kubernetes' restricted rules the suite passes as an ordinary user", kubernetesRestricted, 1000, selection],
] as const)('in a container with %s', { timeout: patient(300_000) }, async (_, rules, uid, files) => {
  const line = [process.execPath, vitest, 'run', '--config', 'test/vitest.config.ts', '--maxWorkers', '1'];
  // The twins look at the tree by calls of their own, which are refused there; so is a network of one's own. Whose ids are not all
  // alike the kernel shows to nobody without CAP_SYS_PTRACE (docs/security.md).
  const chosen = [
    '-t',
    '^(?!.*(twin|network interface|effective ids only))',
    '--reporter',
    'json',
    ...files.map((name) => `test/${name}.test.ts`),
  ];
  const outcome = await runInContainer(uid, [...line, ...chosen], rules);
  const report = JSON.parse(outcome.stdout) as Report;
  const tests = report.testResults.flatMap((file) => file.assertionResults);
  const failed = tests.filter(({ status }) => status === 'failed');
  expect(failed.map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join()}`)).toEqual([]);
  const passed = report.testResults.map(({ assertionResults }) =>
    assertionResults.some((one) => one.status === 'passed'),
  );
  expect(passed).toEqual(files.map(() => true));
  expect(outcome.code).toBe(0);
});
