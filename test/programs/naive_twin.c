// A supervisor as it must not be: it looks at the arguments of a held call, and if they are harmless lets the call go
// on, which reads them again. The races that must fail under holdfast succeed here. It listens to notifications, or
// where somebody does that already holds calls by stops.
//   naive_twin --hold CALL,... [--deny-path FOLDER] [--deny-port PORT] [--deny-argument TEXT] -- PROGRAM ARGUMENT...
#include <arpa/inet.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// What is looked at: registers by their place, -1 for none.
static const struct call {
  const char* name;
  int number, dirfd, path, dirfd2, path2, address, message, socket, argv;
} calls[] = {
#define CALL(name, ...) \
  { #name, SYS_##name, __VA_ARGS__ }
#ifdef SYS_open
    CALL(open, -1, 0, -1, -1, -1, -1, -1, -1),     CALL(stat, -1, 0, -1, -1, -1, -1, -1, -1),
    CALL(unlink, -1, 0, -1, -1, -1, -1, -1, -1),   CALL(rename, -1, 0, -1, 1, -1, -1, -1, -1),
    CALL(mkdir, -1, 0, -1, -1, -1, -1, -1, -1),
#endif
    CALL(openat, 0, 1, -1, -1, -1, -1, -1, -1),    CALL(newfstatat, 0, 1, -1, -1, -1, -1, -1, -1),
    CALL(unlinkat, 0, 1, -1, -1, -1, -1, -1, -1),  CALL(renameat, 0, 1, 2, 3, -1, -1, -1, -1),
    CALL(renameat2, 0, 1, 2, 3, -1, -1, -1, -1),   CALL(mkdirat, 0, 1, -1, -1, -1, -1, -1, -1),
    CALL(connect, -1, -1, -1, -1, 1, -1, -1, -1),  CALL(bind, -1, -1, -1, -1, 1, -1, -1, -1),
    CALL(sendto, -1, -1, -1, -1, 4, -1, -1, -1),   CALL(sendmsg, -1, -1, -1, -1, -1, 1, -1, -1),
    CALL(sendmmsg, -1, -1, -1, -1, -1, 1, -1, -1), CALL(listen, -1, -1, -1, -1, -1, -1, 0, -1),
    CALL(execve, -1, 0, -1, -1, -1, -1, -1, 1),
};

static const char *deny_path, *deny_argument;
static int deny_port = -1;

static void die(const char* what) {
  fprintf(stderr, "naive_twin: %s: %s\n", what, strerror(errno));
  exit(2);
}

static int get(pid_t pid, uint64_t from, void* to, size_t size) {
  struct iovec here = {to, size}, there = {(void*)(uintptr_t)from, size};
  return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

static int get_text(pid_t pid, uint64_t from, char* to, size_t size) {
  for (size_t have = 0; have < size;) {
    size_t part = 4096 - (from + have) % 4096;
    if (part > size - have) part = size - have;
    if (!get(pid, from + have, to + have, part)) return 0;
    if (memchr(to + have, 0, part) != NULL) return 1;
    have += part;
  }
  return 0;
}

static int text_denied(pid_t pid, int dirfd, const char* text) {
  char whole[2 * PATH_MAX + 2], real[PATH_MAX];
  if (text[0] == '/') {
    strcpy(whole, text);
  } else {
    char link[64], base[PATH_MAX] = "";
    if (dirfd == AT_FDCWD)
      snprintf(link, sizeof link, "/proc/%d/cwd", pid);
    else
      snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, dirfd);
    if (readlink(link, base, sizeof base - 1) < 0) return 0;
    snprintf(whole, sizeof whole, "%s/%s", base, text);
  }
  if (realpath(whole, real) == NULL) {
    char* slash = strrchr(whole, '/');
    if (slash == NULL || slash == whole) return 0;
    *slash = '\0';
    if (realpath(whole, real) == NULL) return 0;
  }
  const size_t length = strlen(deny_path);
  return strncmp(real, deny_path, length) == 0 && (real[length] == '/' || real[length] == '\0');
}

static int path_denied(pid_t pid, int dirfd, uint64_t at) {
  char text[PATH_MAX];
  return get_text(pid, at, text, sizeof text) && text_denied(pid, dirfd, text);
}

static int socket_path_denied(pid_t pid, uint64_t at) {
  struct sockaddr_un address;
  return get(pid, at, &address, sizeof address) && address.sun_family == AF_UNIX &&
         text_denied(pid, AT_FDCWD, address.sun_path);
}

static int address_denied(pid_t pid, uint64_t at) {
  struct sockaddr_in address;  // the port of IPv6 is at the same place
  return at != 0 && get(pid, at, &address, sizeof address) && ntohs(address.sin_port) == deny_port;
}

static int socket_denied(pid_t pid, int fd) {
  const int process = (int)syscall(SYS_pidfd_open, pid, 0);
  const int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
  if (process >= 0) close(process);
  if (copy < 0) return 1;
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  getsockname(copy, (struct sockaddr*)&address, &size);
  close(copy);
  return address.sin_port == 0;
}

static int argument_denied(pid_t pid, uint64_t argv) {
  uint64_t argument;
  char text[64];
  return get(pid, argv + 8, &argument, sizeof argument) && argument != 0 &&
         get_text(pid, argument, text, sizeof text) && strcmp(text, deny_argument) == 0;
}

static int denied(pid_t pid, const struct seccomp_data* data) {
  const struct call* call = NULL;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (calls[i].number == data->nr) call = &calls[i];
  if (call == NULL) return 1;
  const __u64* args = data->args;
  if (deny_path != NULL) {
    if (call->path >= 0 && path_denied(pid, call->dirfd < 0 ? AT_FDCWD : (int)args[call->dirfd], args[call->path]))
      return 1;
    if (call->path2 >= 0 && path_denied(pid, call->dirfd2 < 0 ? AT_FDCWD : (int)args[call->dirfd2], args[call->path2]))
      return 1;
    if (call->address >= 0 && socket_path_denied(pid, args[call->address])) return 1;
  }
  if (deny_port >= 0) {
    if (call->address >= 0 && address_denied(pid, args[call->address])) return 1;
    uint64_t name;
    if (call->message >= 0 && get(pid, args[call->message], &name, sizeof name) && address_denied(pid, name)) return 1;
  }
  if (call->socket >= 0 && socket_denied(pid, (int)args[call->socket])) return 1;
  return deny_argument != NULL && call->argv >= 0 && argument_denied(pid, args[call->argv]);
}

// `action` holds them: SECCOMP_RET_USER_NOTIF gives the listener, SECCOMP_RET_TRACE none.
static int install(const char* names, unsigned action) {
  struct sock_filter filter[64];
  unsigned short size = 0;
  filter[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  char copy[512];
  snprintf(copy, sizeof copy, "%s", names);
  for (char* name = strtok(copy, ","); name != NULL; name = strtok(NULL, ","))
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
      if (strcmp(calls[i].name, name) == 0) {
        filter[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, 0, 1);
        filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
      }
  filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {size, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("PR_SET_NO_NEW_PRIVS");
  const unsigned flags = action == SECCOMP_RET_USER_NOTIF ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void pause_to_ask(void) {
  usleep(20);  // about what it takes to ask somebody
}

static int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static int listen_until_end(int listener, pid_t child) {
  struct pollfd poll_for = {listener, POLLIN, 0};
  int status, ended = 0;
  for (;;) {
    // Some kernels hang up only when nobody is left to be waited for (6.1, after the last one was reaped).
    const int ready = poll(&poll_for, 1, 100);
    if (ready == 0 && !ended) ended = waitpid(child, &status, WNOHANG) == child;
    if (ready == 0) continue;
    if (ready < 0 || (poll_for.revents & POLLIN) == 0) break;
    struct seccomp_notif request = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) continue;
    struct seccomp_notif_resp response = {.id = request.id};
    if (denied((pid_t)request.pid, &request.data))
      response.error = -EACCES;
    else
      response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    pause_to_ask();
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
  if (!ended && waitpid(child, &status, 0) != child) die("waitpid");
  return exit_code(status);
}

static int refuse_at_stop(pid_t pid) {
#ifdef __x86_64__
  return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1L) == 0 &&
         ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), (long)-EACCES) == 0;
#else
  int number = -1;
  struct iovec call = {&number, sizeof number};
  struct user_regs_struct registers;
  struct iovec general = {&registers, sizeof registers};
  if (ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &call) != 0) return 0;
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &general) != 0) return 0;
  registers.regs[0] = (unsigned long long)-EACCES;
  return ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &general) == 0;
#endif
}

static void answer_stop(pid_t pid) {
  struct __ptrace_syscall_info info;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return;
  struct seccomp_data data = {.nr = (int)info.seccomp.nr};
  for (int i = 0; i < 6; i++) data.args[i] = info.seccomp.args[i];
  if (denied(pid, &data) && !refuse_at_stop(pid)) return;
  pause_to_ask();
}

static int trace_until_end(pid_t child) {
  int last = 0;
  for (;;) {
    int status;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return exit_code(last);
    if (!WIFSTOPPED(status)) {
      if (pid == child) last = status;
      continue;
    }
    const int event = status >> 16, signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_SECCOMP) answer_stop(pid);
    const int group_stop = event == PTRACE_EVENT_STOP && signal != SIGTRAP;
    ptrace(group_stop ? PTRACE_LISTEN : PTRACE_CONT, pid, 0, event == 0 ? (long)signal : 0L);
  }
}

int main(int argc, char** argv) {
  const char* hold = "";
  int at = 1;
  for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
    if (strcmp(argv[at], "--hold") == 0) hold = argv[at + 1];
    if (strcmp(argv[at], "--deny-path") == 0) deny_path = argv[at + 1];
    if (strcmp(argv[at], "--deny-port") == 0) deny_port = atoi(argv[at + 1]);
    if (strcmp(argv[at], "--deny-argument") == 0) deny_argument = argv[at + 1];
  }
  if (at + 1 >= argc) return 2;
  enum { WAITING, LISTENER, STOPS, FAILED };
  struct {
    volatile int how, error, listener, taken;
  }* shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) die("mmap");
  // The child shares the table of descriptors until its listener has been copied from it.
  const pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (child < 0) die("clone");
  if (child == 0) {
    int how = LISTENER;
    shared->listener = install(hold, SECCOMP_RET_USER_NOTIF);
    // Somebody listens already, and there can be one only.
    if (shared->listener < 0 && errno == EBUSY) how = install(hold, SECCOMP_RET_TRACE) == 0 ? STOPS : FAILED;
    if (how == LISTENER && shared->listener < 0) how = FAILED;
    shared->error = errno;
    shared->how = how;
    while (!shared->taken) sched_yield();
    // A table of its own, without the listener. Not by unshare(2), which a host may refuse.
    const unsigned closed = how == LISTENER ? (unsigned)shared->listener : 1u << 30;
    if (syscall(SYS_close_range, closed, closed, CLOSE_RANGE_UNSHARE) != 0) die("close_range");
    execv(argv[at + 1], argv + at + 1);
    die(argv[at + 1]);
  }
  while (shared->how == WAITING && waitpid(child, NULL, WNOHANG) == 0) sched_yield();
  if (shared->how == STOPS) {
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, child, 0, options) != 0) die("PTRACE_SEIZE");
    shared->taken = 1;
    return trace_until_end(child);
  }
  if (shared->how != LISTENER) {
    kill(child, SIGKILL);
    errno = shared->error;
    die("seccomp filter");
  }
  const int own = fcntl(shared->listener, F_DUPFD_CLOEXEC, 200);
  shared->taken = 1;
  // The child's own copy is gone when it unshares; ours stays in the table that was shared.
  return listen_until_end(own, child);
}
