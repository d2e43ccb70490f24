// Inside of what others confine programs with: the real ones. Which engine is left there, or the code that says why none is.

import type { Support } from 'holdfast';
import { describe, expect } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { doctorIn, isRoot } from '../helpers/places.ts';
import { testWith } from '../helpers/tools.ts';

const works = ({ engines }: Support) => engines?.flatMap(({ engine, works }) => (works ? [engine] : []));

testWith('strace')('under strace, which traces whatever is started: the engine kernel', () => {
  const support = doctorIn('strace', '-f', '-o', '/dev/null');
  if ((support.landlockAbi ?? 0) < 6)
    return expect(support).toMatchObject({ supported: false, problems: [{ code: 'ERR_HOLDFAST_PTRACE' }] });
  expect(support).toMatchObject({ supported: true, engine: 'kernel', machine: { tracer: expect.any(Number) } });
  expect(works(support)).toEqual(['kernel']);
  expect(support.notes?.[0]).toMatch(/without hooks and violations .*ptrace is not allowed here/);
});

describe.skipIf(!isRoot)('as root, who may make such places on every machine', () => {
  testWith('bwrap')('bubblewrap: the engine notify', () => {
    const support = doctorIn(
      ...'bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all --die-with-parent'.split(' '),
    );
    expect(support).toMatchObject({ supported: true, engine: 'notify' });
  });

  testWith('firejail')(
    'firejail, with the profile for everything: the engine kernel, since that refuses ptrace (on x86_64)',
    () => {
      // It gives a /tmp of its own, in which a clone in /tmp would be missing.
      const support = doctorIn('firejail', '--quiet', '--ignore=private-tmp');
      // Its list of calls is empty on aarch64: firejail 0.9.72 of Debian 12 lets ptrace by there.
      if (process.arch === 'arm64') expect(support).toMatchObject({ supported: true, engine: 'notify' });
      else if ((support.landlockAbi ?? 0) >= 6) expect(support).toMatchObject({ supported: true, engine: 'kernel' });
      else expect(support).toMatchObject({ supported: false, problems: [{ code: 'ERR_HOLDFAST_PTRACE' }] });
    },
  );

  testWith('runsc')('gVisor (runsc): none, and it says so', { timeout: patient(120_000) }, () => {
    const support = doctorIn('runsc', '--network=none', '--ignore-cgroups', 'do');
    expect(support.supported).toBe(false);
    expect(support.problems[0]?.code).toBe('ERR_HOLDFAST_UNSUPPORTED_KERNEL');
    expect(support.machine?.containers).toContain('gvisor');
  });
});
