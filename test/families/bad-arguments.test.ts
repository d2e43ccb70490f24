// Every held call with arguments that are none, bare and held: the same errno, whichever check finds it.

import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Policy, SandboxedProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

function folder(): string {
  const made = join(temporaryFolder('bad'), 'folder');
  mkdirSync(made);
  return made;
}

const policy: Policy = {
  files: { read: ['/'], write: ['/'] },
  network: { connect: ['*', 'unix:/', 'unix:@*'], bind: ['*', 'unix:/', 'unix:@*'] },
};

describe('bad pointers, flags, sizes and descriptors', () => {
  async function expectSame(hooks?: (child: SandboxedProcess) => void): Promise<void> {
    const bare = await runBare(program('bad_arguments'), [folder()]);
    expect(bare).toMatchObject({ code: 0, stderr: '' });
    const held = await runSandboxed(program('bad_arguments'), [folder()], { policy, hooks });
    expect(held.stdout.split('\n')).toEqual(bare.stdout.split('\n'));
    expect(held).toMatchObject({ code: 0, stderr: '' });
    // What the kernel says of them bare is no refusal.
    expect(held.violations).toMatchObject([
      { syscall: 'listen', reason: expect.stringMatching(/^listening on a socket of a family/) },
    ]);
  }

  test('answer as they do bare', { timeout: patient(60_000) }, () => expectSame());

  test('also where a hook hears of every call', { timeout: patient(60_000) }, async () => {
    const heard = new Set<string>();
    const executed: string[] = [];
    await expectSame((child) => {
      const hear = (name: string) => () => {
        heard.add(name);
      };
      child.onOpen(hear('open'));
      child.onStat(hear('stat'));
      child.onAccess(hear('access'));
      child.onReadlink(hear('readlink'));
      child.onRename(hear('rename'));
      child.onLink(hear('link'));
      child.onSymlink(hear('symlink'));
      child.onUnlink(hear('unlink'));
      child.onMkdir(hear('mkdir'));
      child.onMknod(hear('mknod'));
      child.onChmod(hear('chmod'));
      child.onChown(hear('chown'));
      child.onUtimes(hear('utimes'));
      child.onTruncate(hear('truncate'));
      child.onGetxattr(hear('getxattr'));
      child.onSetxattr(hear('setxattr'));
      child.onWatch(hear('watch'));
      child.onChdir(hear('chdir'));
      child.onExec((call) => {
        heard.add('exec');
        executed.push(basename(call.path));
      });
      child.onConnect(hear('connect'));
      child.onBind(hear('bind'));
      child.onSend(hear('send'));
      child.onSignal(hear('signal'));
    });
    expect(heard.size).toBeGreaterThan(16);
    // Of what has arguments that cannot be read no hook hears, but for the environment, which only the kernel reads.
    expect(executed.filter((name) => name === 'true')).toHaveLength(3);
  });
});
