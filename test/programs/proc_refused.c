// Calls that no sandboxed tree may make. Each is made by number with arguments that would fail harmlessly in the kernel
// (bad pointers, bad flags), in a child of its own, and prints "name result errno": an errno of ours shows that it was
// refused, one of the kernel's that it got there.
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMED(name) \
  {                 \
#name, SYS_##name
#define CLONE_NEWUSER_FLAG 0x10000000L

static const struct {
  const char* name;
  long number;
  long args[6];
} calls[] = {NAMED(ptrace), {0x4206 /* PTRACE_SEIZE */, 0x7fffffff, 0, 0}}, NAMED(mount), {
  8, 8, 8, 0, 0
}
}
, NAMED(umount2), { 8, 0 }
}
, NAMED(pivot_root), { 8, 8 }
}
, NAMED(chroot), { 8 }
}
, NAMED(unshare), { CLONE_NEWUSER_FLAG }
}
, NAMED(setns), { -1, 0 }
}
, NAMED(clone), { CLONE_NEWUSER_FLAG | 0x200 /* CLONE_FS: never both */, 0, 0, 0, 0 }
}
, {"io_uring_setup", 425, {1, 8}}, {"io_uring_enter", 426, {-1, 0, 0, 0, 0, 0}},
    {"io_uring_register", 427, {-1, 0, 0, 0}}, NAMED(bpf), {
  0, 8, 0
}
}
, NAMED(userfaultfd), { 0x7fffffff }
}
, NAMED(perf_event_open), { 8, 0, -1, -1, 0 }
}
, NAMED(process_vm_readv), { 0x7fffffff, 8, 1, 8, 1, 0 }
}
, NAMED(process_vm_writev), { 0x7fffffff, 8, 1, 8, 1, 0 }
}
, {"process_madvise", 440, {-1, 8, 1, 0, 0}}, {"pidfd_getfd", 438, {-1, 0, 0}}, NAMED(kcmp), {
  0x7fffffff, 0x7fffffff, 0, 0, 0
}
}
, NAMED(open_by_handle_at), { -1, 8, 0 }
}
, NAMED(name_to_handle_at), { -1, 8, 8, 8, 0 }
}
, NAMED(fanotify_init), { 0x7fffffff, 0 }
}
, {"open_tree", 428, {-1, 8, 0}}, {"move_mount", 429, {-1, 8, -1, 8, 0}}, {"fsopen", 430, {8, 0}},
    {"fsmount", 432, {-1, 0, 0}}, {"mount_setattr", 442, {-1, 8, 0, 8, 0}}, NAMED(init_module), {
  8, 0, 8
}
}
, NAMED(finit_module), { -1, 8, 0 }
}
, NAMED(delete_module), { 8, 0 }
}
, NAMED(kexec_load), { 0, 1, 8, 0 }
}
, NAMED(reboot), { 0, 0, 0, 0 }
}
, NAMED(swapon), { 8, 0 }
}
, NAMED(acct), { 8 }
}
, NAMED(quotactl), { -1, 8, 0, 8 }
}
, NAMED(settimeofday), { 8, 0 }
}
, NAMED(clock_settime), { 0, 8 }
}
, NAMED(sethostname), { 8, 1 }
}
, NAMED(syslog), { -1, 8, 1 }
}
, NAMED(keyctl), { -1, 0, 0, 0, 0 }
}
, NAMED(add_key), { 8, 8, 8, 1, 0 }
}
, NAMED(request_key), { 8, 8, 8, 0 }
}
, NAMED(personality), { 0x0004000 /* PER_LINUX32-like bits */ }
}
, {"unknown", 1000, {0}}, {"clone3", 435, {8, 88}},
}
;

int main(void) {
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const long* a = calls[i].args;
      errno = 0;
      const long result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
      printf("%s %ld %s\n", calls[i].name, result, result == -1 ? strerrorname_np(errno) : "0");
      fflush(stdout);
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (status != 0) printf("%s ended %x\n", calls[i].name, status);
  }
  return 0;
}
