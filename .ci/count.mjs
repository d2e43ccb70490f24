// Sums the reports of vitest and of the native runner: count.mjs FOLDER FAILED_STEPS. Fails if anything failed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, failedSteps] = process.argv.slice(2);
// What each run may skip: an ordinary user cannot become another, give up what only root has, mount, or make a container, a
// namespace or a /dev (76 tests); root may lack a cgroup that limits processes (1), and both one that they may divide (10: the
// guest runs those, and leaves out what is said without one, 2);
// settings of the machine and a systemd are tried in the guest alone (11); what only x86_64 has is not on aarch64 (8);
// a kernel whose Landlock is new has nothing to say of an old one (1 each); where each held call is a stop, what is counted of a listener (5), and what needs no page any more or has it already (2);
// a supervisor with ASan is ended by that for want of memory (1), and keeps memory that the engine kernel cannot have (2);
// Debian's source package of nodejs cannot be had everywhere. A skip more than these is a test that was lost.
const knownSkips = { native: 0, root: 23, ptrace: 30, user: 100, conformance: 1, asan: 4, guest: 2, aarch64: 9 };
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const counts = report.numTotalTests === undefined ? report : fromVitest(report);
  console.log(
    `${name.replace('.json', '').padEnd(8)} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`,
  );
  for (const key of Object.keys(sum)) sum[key] += counts[key];
  if (counts.skipped > (knownSkips[name.replace('.json', '')] ?? 0)) {
    console.log(`${name}: more tests were skipped than .ci/count.mjs knows of`);
    sum.failed += 1;
  }
}

function fromVitest(report) {
  // A file that does not even load has no tests that could fail.
  const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'pending' || test.status === 'skipped') console.log(`skipped: ${test.fullName}`);
      if (test.status === 'failed') console.log(`failed: ${test.fullName}: ${test.failureMessages[0]?.split('\n')[0]}`);
    }
  }
  for (const { name, message } of report.unsteady ?? []) {
    console.log(`UNSTEADY, failed at first and passed alone: ${name}: ${message?.split('\n')[0]}`);
  }
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

// A step that failed without a failed test of its own (a linter, a crash) still makes the run a failed one.
if (Number(failedSteps) > 0 && sum.failed === 0) sum.failed = Number(failedSteps);
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
