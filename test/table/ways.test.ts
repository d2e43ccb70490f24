import { describe, expect, test } from 'vitest';
import { type Row, readTable } from '../helpers/table.ts';

// What the calls take, written down from section 2 of the manual pages and the kernel's own declarations
// (include/linux/syscalls.h), independently of the table's argument kinds: the table could be wrong about those.
const words = (text: string) => text.trim().split(/\s+/);

/** A name in the file system that the kernel resolves. */
const takesPath = words(`
  access acct chdir chmod chown chroot creat execve execveat faccessat faccessat2 fanotify_mark fchmodat fchmodat2
  fchownat file_getattr file_setattr fspick futimesat getxattr getxattrat inotify_add_watch lchown lgetxattr link linkat
  listxattr listxattrat llistxattr lremovexattr lsetxattr lstat mkdir mkdirat mknod mknodat mount mount_setattr move_mount
  name_to_handle_at newfstatat open open_tree open_tree_attr openat openat2 pivot_root quotactl readlink readlinkat
  removexattr removexattrat rename renameat renameat2 rmdir setxattr setxattrat stat statfs statx swapoff swapon symlink
  symlinkat truncate umount2 unlink unlinkat uselib utime utimensat utimes`);

/** A name that stands for a path without being one: a handle, a queue's name, a device number, a mount's id. */
const takesOtherName = words(`
  fsconfig listmount open_by_handle_at statmount ustat`);

/** A key, an id or a name in a name space of the whole machine: of these each tree has its own. */
const takesPrivateName = words(`
  mq_open mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmget`);

/** An address of the network, or of a unix socket. */
const takesAddress = words('bind connect sendmmsg sendmsg sendto');

/** A pid, thread id, process group or pidfd, in a register or in memory, to act on or to look at. */
const takesPid = words(`
  fcntl get_robust_list getpgid getpriority getsid ioctl ioprio_get ioprio_set kcmp kill migrate_pages move_pages
  perf_event_open pidfd_getfd pidfd_open pidfd_send_signal prctl prlimit64 process_madvise process_mrelease
  process_vm_readv process_vm_writev ptrace rt_sigqueueinfo rt_tgsigqueueinfo sched_getaffinity sched_getattr
  sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler setns setpgid setpriority tgkill tkill clock_getres clock_gettime clock_nanosleep timer_create`);

/** Memory of another process, or memory through which others make calls that no filter sees. */
const takesForeignMemory = words(`
  bpf io_uring_enter io_uring_register io_uring_setup move_pages perf_event_open process_madvise process_vm_readv
  process_vm_writev ptrace userfaultfd`);

/** Take a pid too, but the kernel looks for it among the caller's own only. Each must say so in its row. */
const pidOfOwn: Record<string, RegExp> = {
  wait4: /children of the caller only/,
  waitid: /children of the caller only/,
  capset: /no other process than the caller/,
  capget: /only read/,
};

/** None of these: descriptors, numbers, and the caller's own memory. A new call must be judged here before it passes. */
const takesNeither = words(`
  _sysctl accept accept4 add_key adjtimex afs_syscall alarm arch_prctl brk cachestat clock_adjtime clock_settime clone
  clone3 close close_range copy_file_range create_module delete_module dup dup2 dup3 epoll_create epoll_create1
  epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 exit exit_group
  fadvise64 fallocate fanotify_init fchdir fchmod fchown fdatasync fgetxattr finit_module flistxattr flock fork
  fremovexattr fsetxattr fsmount fsopen fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv
  futex_wake get_kernel_syms get_mempolicy get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid
  getgroups getitimer getpeername getpgrp getpid getpmsg getppid getrandom getresgid getresuid getrlimit getrusage
  getsockname getsockopt gettid gettimeofday getuid init_module inotify_init inotify_init1 inotify_rm_watch io_cancel
  io_destroy io_getevents io_pgetevents io_setup io_submit ioperm iopl kexec_file_load kexec_load keyctl
  landlock_add_rule landlock_create_ruleset landlock_restrict_self listen lookup_dcookie lseek lsm_get_self_attr
  lsm_list_modules lsm_set_self_attr madvise map_shadow_stack mbind membarrier memfd_create memfd_secret mincore mlock
  mlock2 mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify mq_timedreceive mq_timedsend mremap mseal msync
  munlock munlockall munmap nanosleep nfsservctl pause personality pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll
  ppoll pread64 preadv preadv2 pselect6 putpmsg pwrite64 pwritev pwritev2 query_module quotactl_fd read readahead
  readv reboot recvfrom recvmmsg recvmsg remap_file_pages request_key restart_syscall rseq rt_sigaction rt_sigpending
  rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max sched_get_priority_min sched_yield
  seccomp security select sendfile set_mempolicy set_mempolicy_home_node set_robust_list set_thread_area
  set_tid_address setdomainname setfsgid setfsuid setgid setgroups sethostname setitimer setregid setresgid setresuid
  setreuid setrlimit setsid setsockopt settimeofday setuid shmdt shutdown sigaltstack signalfd signalfd4 socket
  socketpair splice sync sync_file_range syncfs sysfs sysinfo syslog tee time timer_delete timer_getoverrun
  timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times tuxcall umask uname unshare uprobe
  uretprobe vfork vhangup vmsplice vserver write writev`);

/** Conditions on registers that can tell for the kind of argument that it is not there or is the caller itself. */
const guardsThatJudgePids = words(
  'always_held pid_zero group_new priority_own ioprio_own fcntl_harmless ioctl_harmless prctl_harmless clock_own',
);

const rows = readTable();
const byName = new Map(rows.map((row) => [row.name, row]));
const row = (name: string): Row => {
  const found = byName.get(name);
  if (found === undefined) throw new Error(`${name} is not in the table`);
  return found;
};

test('every call has been judged here, and only once as harmless', () => {
  const judged = [
    takesPath,
    takesOtherName,
    takesPrivateName,
    takesAddress,
    takesPid,
    takesForeignMemory,
    Object.keys(pidOfOwn),
  ].flat();
  expect(takesNeither.filter((name) => judged.includes(name))).toEqual([]);
  expect(Array.from(new Set([...judged, ...takesNeither])).sort()).toEqual(rows.map(({ name }) => name));
});

describe('no call is merely let by that takes', () => {
  test.each(takesPath)('a path: %s', (name) => {
    const { way, guard } = row(name);
    expect(['perform', 'bounce', 'verify', 'refuse', 'absent']).toContain(way);
    expect(guard).toBe('always_held');
  });

  test.each(takesOtherName)('another name of a file or an object: %s', (name) => {
    const { way, guard } = row(name);
    expect(['refuse', 'absent']).toContain(way);
    expect(guard).toBe('always_held');
  });

  test.each(takesPrivateName)('a name that each tree has for itself: %s', (name) => {
    const { way, guard } = row(name);
    expect(['perform', 'observe']).toContain(way);
    expect(guard).toBe('always_held');
  });

  test.each(takesAddress)('an address: %s', (name) => {
    const { way, guard } = row(name);
    expect(['perform', 'bounce']).toContain(way);
    expect(guard).toBe(name === 'sendto' ? 'sendto_without_address' : 'always_held');
  });

  test.each(takesPid)('a pid: %s', (name) => {
    const { way, guard } = row(name);
    expect(way).not.toBe('let_by');
    expect(guardsThatJudgePids).toContain(guard);
  });

  test.each(takesForeignMemory)('foreign memory: %s', (name) => {
    const { way, guard } = row(name);
    expect(way).toBe('refuse');
    expect(name === 'move_pages' ? 'pid_zero' : 'always_held').toBe(guard);
  });

  test('arguments that the table itself calls so', () => {
    const judged = ['path', 'path2', 'address', 'message', 'how', 'pid', 'tid', 'pidfd', 'argv'];
    const merelyLetBy = rows.filter(({ way, args }) => way === 'let_by' && args.some((kind) => judged.includes(kind)));
    expect(merelyLetBy.map(({ name }) => name)).toEqual([]);
  });

  test.each(Object.entries(pidOfOwn))('a pid outside the caller: %s says so', (name, why) => {
    expect(row(name).reason).toMatch(why);
  });
});

test('the table calls a path a path, wherever there is one', () => {
  const called = rows.filter(({ args }) => args.includes('path') || args.includes('path2')).map(({ name }) => name);
  const named = takesPath.filter((name) => row(name).way !== 'refuse' && row(name).way !== 'absent');
  expect(called).toEqual(expect.arrayContaining(named));
  expect(takesPath).toEqual(expect.arrayContaining(called));
});

test('what runs with its own registers after a check has no path and no address in memory', () => {
  const observed = rows.filter(({ way }) => way === 'observe');
  const inMemory = ['path', 'path2', 'address', 'message', 'how', 'argv', 'text'];
  expect(observed.filter(({ args }) => args.some((kind) => inMemory.includes(kind))).map(({ name }) => name)).toEqual(
    [],
  );
});

test('what is refused says with which errno and why', () => {
  for (const { name, way, error, reason } of rows) {
    const answered = way === 'refuse' || way === 'absent';
    expect([name, /^E[A-Z0-9]+$/.test(error)]).toEqual([name, answered]);
    if (answered) expect([name, reason.length > 10]).toEqual([name, true]);
  }
});

/** Held where a hook or a rule speaks of it, and not otherwise. */
const heldIfAsked = words('fork vfork clone');

test('what is held has a handler of its own, and nothing else has', () => {
  for (const { name, way, handler } of rows) {
    const held = (way !== 'let_by' && way !== 'refuse' && way !== 'absent') || heldIfAsked.includes(name);
    expect([name, handler !== 'refuse']).toEqual([name, held]);
  }
});

test('quiet answers are for calls that libc or programs do without', () => {
  const quiet = rows.filter(({ way }) => way === 'absent');
  expect(
    quiet
      .filter(({ error, reason }) => (error !== 'ENOSYS' && error !== 'EOPNOTSUPP') || !/fall/.test(reason))
      .map(({ name }) => name),
  ).toEqual([]);
});

test('hooks hear only of what is held', () => {
  const unheld = rows.filter(({ way, event }) => event !== 'none' && ['let_by', 'refuse', 'absent'].includes(way));
  expect(unheld.map(({ name }) => name).sort()).toEqual(heldIfAsked.sort());
});

describe('never allowed', () => {
  // What no policy can allow: it reaches past every rule, or takes the tree out of supervision.
  test.each(
    words(`
      ptrace process_vm_readv process_vm_writev process_madvise mount umount2 move_mount fsopen fsconfig fsmount open_tree
      mount_setattr pivot_root chroot setns bpf perf_event_open userfaultfd io_uring_setup io_uring_enter
      io_uring_register init_module finit_module delete_module kexec_load kexec_file_load add_key keyctl request_key
      pidfd_getfd open_by_handle_at name_to_handle_at fanotify_init fanotify_mark acct swapon swapoff reboot quotactl
      settimeofday clock_settime adjtimex syslog ioperm iopl`),
  )('%s', (name) => {
    expect(row(name)).toMatchObject({ way: 'refuse', guard: 'always_held' });
  });
});
