import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicy, deny, type Policy, type Suggestion, type Violation } from 'holdfast';
import { expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** Calls of all families, each alone: none depends on what another gave. What is refused is nobody's error. */
const calls = (folder: string) => `
import ctypes, os, signal, socket, struct, subprocess, sys
F = ${JSON.stringify(folder)}
libc = ctypes.CDLL(None, use_errno=True)
def act(f, *arguments, **named):
    try: return f(*arguments, **named)
    except Exception: pass
udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tcp = lambda: socket.socket()
unix = lambda: socket.socket(socket.AF_UNIX)
# files
for name in ('plain', 'a*b', 'a?b', '[c]', '{d,e}', '$HOME', '!no', 'back\\\\slash', 'end ', 'line\\nline', '\\u202e', '%41'):
    act(open, F + '/' + name); act(open, F + '/' + name, 'r+'); act(os.stat, F + '/' + name)
act(os.listdir, F + '/folder'); act(os.readlink, F + '/link'); act(open, F + '/link'); act(os.statvfs, F + '/folder')
act(os.access, F + '/plain', os.R_OK); act(os.chdir, F + '/folder'); act(os.getxattr, F + '/plain', 'user.x')
act(open, F + '/made', 'w'); act(os.mkdir, F + '/new'); act(os.symlink, 'x', F + '/sym'); act(os.mkfifo, F + '/fifo')
act(os.rename, F + '/moved', F + '/folder/moved'); act(os.link, F + '/plain', F + '/linked'); act(os.unlink, F + '/gone')
act(os.chmod, F + '/plain', 0o600); act(os.utime, F + '/plain'); act(os.truncate, F + '/plain', 0); act(os.rmdir, F + '/empty')
act(os.setxattr, F + '/plain', 'user.x', b'y'); act(os.chown, F + '/plain', -1, -1)
act(os.chmod, '/dev/null', 0o666); act(open, '/proc/1/environ'); act(open, '/etc/hosts')
# exec
act(subprocess.run, [F + '/program']); act(subprocess.run, ['/usr/bin/true']); act(subprocess.run, [F + '/script'])
# network
act(tcp().connect, ('127.0.0.1', 9)); act(tcp().bind, ('127.0.0.1', 0)); act(udp().sendto, b'x', ('127.0.0.1', 9))
act(socket.socket(socket.AF_INET6).connect, ('::1', 9)); act(socket.socket(socket.AF_INET6).bind, ('::1', 0))
act(unix().bind, F + '/socket'); act(unix().connect, F + '/nobody'); act(unix().bind, '\\0name'); act(unix().connect, '\\0name')
act(udp().setsockopt, 0, 35, socket.inet_aton('239.1.1.1') + socket.inet_aton('127.0.0.1'))
# signals, and calls that no policy gives or few
act(os.kill, os.getppid(), 0); act(os.kill, 1, signal.SIGCONT)
libc.unshare(0x10000000); libc.ioctl(0, 0x5412, b'x'); libc.prctl(35, 1, 0, 0, 0)
libc.syscall({'x86_64': 447, 'aarch64': 447}[os.uname().machine], 0)
print('end')
`;

function world(): string {
  const folder = temporaryFolder('suggestions');
  for (const name of [
    'plain',
    'a*b',
    'a?b',
    '[c]',
    '{d,e}',
    '$HOME',
    '!no',
    'back\\slash',
    'end ',
    'line\nline',
    '\u202e',
  ])
    writeFileSync(join(folder, name), '');
  for (const name of ['%41', 'moved', 'gone', 'target']) writeFileSync(join(folder, name), '');
  for (const name of ['folder', 'empty']) mkdirSync(join(folder, name));
  symlinkSync('target', join(folder, 'link'));
  copyFileSync('/usr/bin/true', join(folder, 'program'));
  writeFileSync(join(folder, 'script'), '#!/bin/sh\nexit 0\n');
  chmodSync(join(folder, 'script'), 0o755);
  return folder;
}

type Lists = Record<Suggestion['field'], string[]>;

function policyOf(lists: Lists, exec: 'list' | 'long' | 'none'): Policy {
  return {
    files: { read: lists['files.read'], write: lists['files.write'], metadata: lists['files.metadata'] },
    network: { connect: lists['network.connect'], bind: lists['network.bind'] },
    syscalls: { allow: lists['syscalls.allow'] as ['memfd_secret'] },
    ...(exec === 'list' && { exec: lists.exec }),
    ...(exec === 'long' && { exec: { allow: lists['exec.allow'] } }),
  };
}

const about = ({ syscall, access, path, to, address, port }: Violation) =>
  JSON.stringify([syscall, access, path, to, address, port]);

for (const exec of ['none', 'list', 'long'] as const) {
  test(`each suggestion is taken by a policy, and gives what was refused (exec: ${exec})`, async () => {
    const folder = world();
    const lists: Lists = {
      'files.read': [],
      'files.write': [],
      'files.metadata': [],
      exec: ['/usr/bin'],
      'exec.allow': ['/usr/bin'],
      'network.connect': [],
      'network.bind': [],
      'syscalls.allow': [],
    };
    const suggested = new Set<string>();
    const fields = new Set<string>();
    // A call may need two rights, and is refused for want of the first: then for the other. What it can do then may be
    // refused in turn (a program that is executed opens its libraries), so this goes on until nothing is suggested.
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(6);
      const policy = policyOf(lists, exec);
      const { stdout, violations } = await runSandboxed('/usr/bin/python3', ['-c', calls(folder)], {
        cwd: '/usr',
        policy,
      });
      expect(stdout).toBe('end\n');
      const open = violations.filter(({ suggestion }) => suggestion !== undefined);
      for (const violation of open) {
        const { field, value } = violation.suggestion as Suggestion;
        // What was given once is given: the very right on the very thing is never refused again.
        expect([...suggested]).not.toContain(`${field} ${value} ${about(violation)}`);
      }
      for (const violation of open) {
        const { field, value } = violation.suggestion as Suggestion;
        suggested.add(`${field} ${value} ${about(violation)}`);
        fields.add(field);
        if (!lists[field].includes(value)) lists[field].push(value);
        // It is a whole policy's word by itself, too.
        compilePolicy(policyOf({ ...lists, [field]: [value] }, exec));
      }
      if (open.length === 0) {
        // What is left no policy gives, and it says why.
        for (const { reason } of violations) expect(reason).toEqual(expect.any(String));
        break;
      }
    }
    for (const field of [
      'files.read',
      'files.write',
      'files.metadata',
      'network.connect',
      'network.bind',
      'syscalls.allow',
    ])
      expect(fields).toContain(field);
    expect(fields.has('exec')).toBe(exec === 'list');
    expect(fields.has('exec.allow')).toBe(exec === 'long');
  });
}

test('nothing is suggested against a deny rule, a hook or a restriction', async () => {
  const folder = world();
  const { violations } = await runSandboxed(
    '/usr/bin/cat',
    [join(folder, 'plain'), join(folder, 'gone'), '/etc/hosts'],
    {
      cwd: folder,
      policy: { files: { deny: [join(folder, 'gone')], read: ['/etc/hosts'] } },
      hooks: (child) => child.onOpen({ path: join(folder, 'plain') }, () => deny()),
    },
  );
  const of = (name: string) => violations.find(({ path }) => path === join(folder, name));
  expect(of('plain')).toMatchObject({ rule: 'hook', hook: 'onOpen' });
  expect(of('gone')).toMatchObject({ rule: 'files.deny[0]', access: 'read' });
  expect(of('gone')).not.toHaveProperty('hook');
  for (const violation of violations) expect(violation).not.toHaveProperty('suggestion');
});
