// No call answers EINTR because it was held, and a call that really waits is cut short as the handler asks.

import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxedProcess } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

async function both(name: string, args: string[], hooks?: (child: SandboxedProcess) => void, differs = /(?!)/) {
  const folder = temporaryFolder('held');
  const [bare, held] = await Promise.all([
    runBare(program(name), args, { cwd: temporaryFolder('bare') }),
    runSandboxed(program(name), args, {
      cwd: folder,
      policy: {
        files: { read: ['/'], write: [folder] },
        network: {
          connect: ['127.0.0.1', `unix:${folder}`, 'unix:@storm-of-peer'],
          bind: ['127.0.0.1', `unix:${folder}`],
        },
      },
      hooks,
    }),
  ]);
  const same = (outcome: Outcome) => ({
    ...outcome,
    stdout: outcome.stdout.split('\n').filter((line) => !differs.test(line)),
    violations: [],
  });
  expect(same(held)).toEqual(same(bare));
  return { bare, held };
}

test.each([
  ['plain', ''],
  ['restart', ''],
  ['plain', 'stops'],
  ['restart', 'stops'],
])(
  'every held call in a storm of signals (%s %s)',
  async (kind, stops) => {
    const { bare } = await both('signal_storm', [kind, '100', ...(stops ? [stops] : [])]);
    expect(bare.stdout).toMatch(/^it rained$/m);
    expect(bare.stdout).toMatch(/^mkdir: 0$/m);
    expect(bare.stdout).toMatch(/^connect_abstract: ECONNREFUSED$/m);
    expect(bare.stdout).not.toContain('EINTR');
  },
  patient(60_000),
);

test(
  'a storm of signals while hooks are asked',
  async () => {
    let asked = 0;
    await both('signal_storm', ['plain', '4'], (child) => {
      child.onOpen(async () => {
        asked++;
        await delay(1);
      });
      child.onChdir(async () => {
        asked++;
        await delay(1);
      });
      child.onConnect(async () => {
        asked++;
        await delay(1);
      });
      child.onMkdir(() => {
        asked++;
      });
    });
    expect(asked).toBeGreaterThan(50);
  },
  patient(60_000),
);

test(
  'calls that really wait are cut short, or go on after the handler (SA_RESTART)',
  async () => {
    const { bare } = await both('waits_cut_short', []);
    expect(bare.stdout).toContain('open of a FIFO: EINTR');
    expect(bare.stdout).toContain('connect to a full backlog, SA_RESTART, SIGCONT: done');
    expect(bare.stdout.match(/^(connect|sendto|sendmsg) with a time limit: EINTR$/gm)).toHaveLength(3);
    expect(bare.stdout.match(/^(msgrcv|semop)(, SA_RESTART)?: EINTR$/gm)).toHaveLength(4);
  },
  patient(30_000),
);

test(
  'calls that really wait go on waiting when a signal comes that is ignored',
  async () => {
    const names = ['SIGCHLD', 'SIGWINCH', 'SIGURG', 'SIGCONT', 'SIGUSR1'] as const;
    // They only sleep, so all of them at once.
    const runs = await Promise.all(names.map((name) => both('waits_ignored', [String(constants.signals[name])])));
    for (const { bare } of runs) expect(bare.stdout).not.toMatch(/EINTR|too early|changed/);
  },
  patient(60_000),
);

test(
  'and are cut short as ever by what comes beside it',
  async () => {
    // Of a thread that has handled a signal aarch64 does not tell the two apart (docs/security.md).
    const differs = process.arch === 'arm64' ? /^an ignored one and a handled one:/ : undefined;
    const { bare } = await both('waits_ignored', ['others'], undefined, differs);
    expect(bare.stdout).toContain('an ignored one and a handled one: 40 cut short, 40 handled');
    expect(bare.stdout).toContain('an ignored one and a stop: EINTR');
    expect(bare.stdout).toContain('one that was blocked: EINTR');
  },
  patient(60_000),
);

test(
  'a shell with background jobs finds its files and folders',
  async () => {
    const script =
      'i=0; while [ $i -lt 150 ]; do i=$((i + 1)); (exit 0) & : > f$i || echo open; [ -f f$i ] || echo test; cd . || echo cd; done; wait; rm f*; echo done';
    const folder = temporaryFolder('held');
    const held = await runSandboxed('dash', ['-c', script], {
      cwd: folder,
      policy: { files: { read: [folder], write: [folder] } },
    });
    expect(held).toMatchObject({ code: 0, stdout: 'done\n', stderr: '' });
  },
  patient(30_000),
);
