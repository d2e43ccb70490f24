// again.mjs REPORT: runs the files of the few tests that failed once more, alone. What passes then is noted in the report as
// unsteady, and .ci/count.mjs prints it: the tests use many programs and kernel timers that are not ours on machines that are
// busy, and one of some thousands must not stand for the change. Nothing of test/boundary is asked twice: a wall that holds
// the second time is none.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';

const most = 3;
const [path] = process.argv.slice(2);
const report = JSON.parse(readFileSync(path, 'utf8'));
const broken = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
);
const failed = report.testResults.flatMap((file) =>
  file.assertionResults
    .filter(({ status }) => status === 'failed')
    .map((test) => ({ file: relative('.', file.name), test })),
);
const files = [...new Set(failed.map(({ file }) => file))];
if (broken.length > 0 || failed.length === 0 || failed.length > most) process.exit(1);
if (files.some((file) => file.startsWith('test/boundary/'))) process.exit(1);

console.log(`\nonce more, alone: ${files.join(' ')}`);
const { status } = spawnSync('npx', ['vitest', 'run', '--config', 'test/vitest.config.ts', ...files], {
  stdio: 'inherit',
  env: { ...process.env, HOLDFAST_TEST_REPORT: '' },
});
if (status !== 0) process.exit(1);
for (const { test } of failed) test.status = 'passed';
report.numPassedTests += failed.length;
report.numFailedTests -= failed.length;
report.unsteady = failed.map(({ test }) => ({ name: test.fullName, message: test.failureMessages[0] }));
writeFileSync(path, JSON.stringify(report));
