// The engine `ptrace`: what a thread opens it fetches by itself, by calls that it is made to make. What others can do to those.
// (The whole suite runs by this engine, too: HOLDFAST_ENGINE=ptrace.)

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { isRoot } from '../helpers/places.ts';
import { runSandboxed } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from '../lifecycle/host.ts';
import { textOf } from '../lifecycle/tree.ts';

const fetches = program('fetches');

function scene() {
  const folder = temporaryFolder('fetches');
  const file = join(folder, 'file');
  writeFileSync(file, '');
  chmodSync(folder, 0o777);
  chmodSync(file, 0o666);
  const policy = { files: { read: ['/usr', '/bin', '/lib', '/lib64', '/etc', fetches], write: [file] } };
  return { file, policy };
}

const run = async (what: string) => {
  const { file, policy } = scene();
  const { stdout, stderr } = await runSandboxed(fetches, [what, file], {
    engine: 'ptrace',
    policy,
    hooks: (child) => child.on('violation', () => {}), // so that every open is held
  });
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
};

/** Where the host is `under` something, by a Node of its own. */
async function runUnder(under: string[], what: string, more = {}): Promise<string[]> {
  const { file, policy } = scene();
  const host = startHost(
    `const child = spawnSandboxed(args[0], [args[1], args[2]], { engine: 'ptrace', policy: JSON.parse(args[3]), stdio: ['ignore', 'inherit', 'inherit'] });
if (args[4] === 'hears') child.on('violation', () => {});
child.on('error', (error) => say(error.message));`,
    [fetches, what, file, JSON.stringify({ ...policy, ...more }), 'syscalls' in more ? '' : 'hears'],
    {},
    under,
  );
  return (await textOf(host.stdout)).trim().split('\n');
}

const withoutCopies = [program('refuse_calls'), 'pidfd_getfd', '--'];

test('a program that forbids close_range keeps no descriptor of ours', async () => {
  expect(await run('filter')).toEqual(['filter done', '3', '4', '5']);
});

test('an open needs three free descriptors for a moment, and leaves none behind', async () => {
  const { file, policy } = scene();
  const script = `import errno, os, resource, sys
for most in 6, 5, 6: # three are taken
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, 64))
    try:
        fd = os.open(sys.argv[1], os.O_WRONLY)
        print(most, fd)
        os.close(fd)
    except OSError as error:
        print(most, errno.errorcode[error.errno])`;
  const { stdout, stderr } = await runSandboxed('/usr/bin/python3', ['-S', '-c', script, file], {
    engine: 'ptrace',
    policy,
    hooks: (child) => child.on('violation', () => {}),
  });
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual(['6 3', '5 EMFILE', '6 3']);
});

test('who is stopped in the middle keeps nobody from opening', { timeout: patient(60_000) }, async () => {
  expect(await run('stopped')).toEqual(['open done']);
});

describe('where no descriptor can be copied (pidfd_getfd is refused, as in Docker)', () => {
  test('the address that is connected to lies where nobody in the tree can write', async () => {
    expect(await runUnder(withoutCopies, 'names')).toEqual([
      'open done',
      'store SIGSEGV',
      'mprotect EPERM',
      'munmap EPERM',
      'mmap EPERM',
      'mremap EPERM',
      expect.stringMatching(/^process_vm_writev E/),
      'mem EACCES',
    ]);
  });

  test('rules that deny socket and connect do not keep it from opening', async () => {
    expect(await runUnder(withoutCopies, 'filter', { syscalls: { deny: ['socket', 'connect'] } })).toEqual([
      'filter done',
      ...['3', '4', '5'],
    ]);
  });
});

// A sanitizer's own capabilities differ.
test.runIf(isRoot && !sanitizer)(
  'a root without CAP_SYS_PTRACE: who becomes another user opens and executes as before (root alone becomes one)',
  async () => {
    const under = ['setpriv', '--inh-caps=-sys_ptrace', '--bounding-set=-sys_ptrace'];
    expect(await runUnder(under, 'user')).toEqual(['setresuid done', 'write done', 'read done', 'executed']);
  },
);
