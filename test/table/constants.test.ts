// The constants that rules and hooks know by name are those of the machine's headers.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allGroups, constantsOf, groupsFor, named, namedPlaces } from '../../lib/policy/constants.ts';
import { syscallRows } from '../../lib/policy/syscalls.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const headers =
  `sys/socket.h netinet/in.h netinet/tcp.h netinet/udp.h linux/netlink.h fcntl.h sys/stat.h unistd.h sched.h
linux/sched.h sys/prctl.h sys/mman.h linux/mman.h sys/ioctl.h linux/sockios.h linux/fs.h linux/if_tun.h time.h
sys/resource.h sys/random.h linux/random.h linux/memfd.h linux/futex.h sys/epoll.h sys/eventfd.h sys/timerfd.h
sys/signalfd.h sys/inotify.h sys/personality.h sys/ptrace.h linux/seccomp.h sys/wait.h sys/file.h sys/ipc.h sys/mount.h
linux/falloc.h linux/close_range.h signal.h sys/xattr.h linux/bpf.h linux/ioprio.h`.split(/\s+/);

/** Newer than Debian 12's headers, or of x86_64 alone; and O_LARGEFILE, which libc hides on 64-bit machines. */
const elsewhere = /^(PR_[SG]ET_MDWE|PR_SET_MEMORY_MERGE|MFD_EXEC|MFD_NOEXEC_SEAL|ARCH_\w+|O_LARGEFILE)$/;

test('constants by name have the values of the headers', () => {
  const folder = temporaryFolder();
  const checks = allGroups()
    .flatMap((group) => [...constantsOf(group)])
    .filter(([name]) => !elsewhere.test(name))
    .map(([name, value]) => `_Static_assert((unsigned int)(${name}) == ${value}u, "${name}");`);
  const source = join(folder, 'constants.c');
  writeFileSync(source, `${headers.map((header) => `#include <${header}>\n`).join('')}${checks.join('\n')}\n`);
  expect(checks.length).toBeGreaterThan(600);
  execFileSync('gcc', ['-D_GNU_SOURCE', '-w', '-fsyntax-only', source], { stdio: ['ignore', 'ignore', 'pipe'] });
});

test('each argument that has names is one that the table knows', () => {
  for (const place of namedPlaces()) {
    const [call = '', argument] = place.split(' ');
    expect(syscallRows().get(call)?.kinds[Number(argument)], place).toBeDefined();
  }
});

test('values are shown by their names', () => {
  expect(named(groupsFor('socket', 0, 'value'), 16)).toBe('AF_NETLINK');
  expect(named(groupsFor('openat', 2, 'open_flags'), 0o1101)).toBe('O_WRONLY|O_CREAT|O_TRUNC');
  expect(named(groupsFor('mmap', 2, 'value'), 3)).toBe('PROT_READ|PROT_WRITE');
  expect(named(groupsFor('unshare', 0, 'flags'), 0x1000_0000 | 1)).toBe('CLONE_NEWUSER|0x1');
  expect(named(groupsFor('kill', 1, 'signal'), 9)).toBe('SIGKILL');
  expect(named(groupsFor('kill', 0, 'pid'), 9)).toBeUndefined();
});
