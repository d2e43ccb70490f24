// Runs a program, and counts the system calls of another process for it: what a supervisor does for its tree.
//   call_counter PROGRAM ARGUMENTS...
// The program writes lines to descriptor 3 and reads the answers from 4:
//   seize PID     all threads of that process, those to come too -> "seized"
//   total         what they have made until now -> "THREAD NUMBER COMMAND CALLS" a line, and an empty line; COMMAND is
//                 an ioctl's
// It is the counter's child, so the counter may trace what it starts wherever the kernel lets anybody trace his
// descendants (Yama, ptrace_scope).
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define die(what) (perror(what), exit(99))

static struct {
  pid_t thread;
  uint64_t number, command;
  unsigned long calls;
} counted[4096];
static size_t kinds;

static void count(pid_t thread, uint64_t number, uint64_t command) {
  for (size_t i = 0; i < kinds; i++)
    if (counted[i].thread == thread && counted[i].number == number && counted[i].command == command) {
      counted[i].calls++;
      return;
    }
  if (kinds == sizeof counted / sizeof counted[0]) {
    fprintf(stderr, "more kinds of calls than there is room for\n");
    exit(99);
  }
  counted[kinds].thread = thread;
  counted[kinds].number = number;
  counted[kinds].command = command;
  counted[kinds++].calls = 1;
}

// False once no new thread is found.
static int seize_some(int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL) die(path);
  int found = 0;
  for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
    const pid_t tid = atoi(entry->d_name);
    if (tid == 0) continue;
    if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) != 0) {
      if (errno == EPERM) {
        char line[256], status[64];
        int tracer = 0;
        snprintf(status, sizeof status, "/proc/%d/status", tid);
        FILE *file = fopen(status, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) sscanf(line, "TracerPid: %d", &tracer);
        if (file != NULL) fclose(file);
        if (tracer == getpid()) continue;  // seized already, or by its maker
      }
      if (errno == ESRCH) continue;
      die("PTRACE_SEIZE");
    }
    if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0) die("PTRACE_INTERRUPT");
    found = 1;
  }
  closedir(tasks);
  return found;
}

// False if the process that was started has ended.
static int see(pid_t started, int *result) {
  int status;
  pid_t tid;
  while ((tid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
    if (tid == started) {
      *result = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
      return 0;
    }
    if (!WIFSTOPPED(status)) continue;
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      struct __ptrace_syscall_info info;
      if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
        count(tid, info.entry.nr, info.entry.nr == SYS_ioctl ? info.entry.args[1] : 0);
      signal = 0;
    } else if (status >> 16 != 0) {
      signal = 0;
    }
    ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(uintptr_t)signal);
  }
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  int from[2], to[2];
  if (pipe(from) != 0 || pipe(to) != 0) die("pipe");
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  const pid_t started = fork();
  if (started == 0) {
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    // Above 4 first: one of them may be 3 or 4.
    const int out = dup(dup(dup(from[1]))), in = dup(dup(dup(to[0])));
    if (dup2(out, 3) < 0 || dup2(in, 4) < 0) die("dup2");
    for (int fd = 5; fd < 64; fd++) close(fd);
    execvp(argv[1], argv + 1);
    die(argv[1]);
  }
  close(from[1]);
  close(to[0]);
  const int ended = signalfd(-1, &set, 0);
  FILE *answer = fdopen(to[1], "w");
  char line[256];
  size_t have = 0;
  int result = 99;
  for (;;) {
    struct pollfd fds[2] = {{ended, POLLIN, 0}, {from[0], POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) die("poll");
    if (fds[0].revents != 0) {
      struct signalfd_siginfo info;
      if (read(ended, &info, sizeof info) < 0) die("signalfd");
    }
    if (!see(started, &result)) return result;
    if ((fds[1].revents & POLLIN) == 0) continue;
    const ssize_t n = read(from[0], line + have, sizeof line - 1 - have);
    if (n <= 0) continue;
    have += (size_t)n;
    line[have] = '\0';
    if (line[have - 1] != '\n') continue;
    line[have - 1] = '\0';
    have = 0;
    if (strncmp(line, "seize ", 6) == 0) {
      while (seize_some(atoi(line + 6))) continue;
      fputs("seized\n", answer);
    } else {
      for (size_t i = 0; i < kinds; i++)
        fprintf(answer, "%d %lu %lu %lu\n", counted[i].thread, (unsigned long)counted[i].number,
                (unsigned long)counted[i].command, counted[i].calls);
      fputs("\n", answer);
    }
    fflush(answer);
  }
}
