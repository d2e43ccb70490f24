// exec in the ways that shells do not: argv[1] says which, the rest is what is executed.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;
static char** command;

static void* executes(void* unused) {
  (void)unused;
  execv(command[0], command);
  printf("execv %s\n", strerrorname_np(errno));
  exit(1);
}

static void* idles(void* unused) {
  (void)unused;
  for (;;) pause();
  return NULL;
}

static int wait_for(pid_t child) {
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child) return 120;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int in_vm(void* unused) {
  (void)unused;
  execv(command[0], command);
  _exit(errno);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const char* how = argv[1];
  command = argv + 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  pthread_t thread;
  if (strcmp(how, "thread") == 0) {  // from a thread that is not the leader, while others run
    for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, idles, NULL);
    pthread_create(&thread, NULL, executes, NULL);
    for (;;) pause();
  }
  if (strcmp(how, "many-threads") == 0) {  // all at once: one wins
    for (int i = 0; i < 8; i++) pthread_create(&thread, NULL, executes, NULL);
    for (;;) pause();
  }
  if (strcmp(how, "vfork") == 0) {
    const pid_t child = vfork();
    if (child == 0) {
      execv(command[0], command);
      _exit(errno);
    }
    return wait_for(child);
  }
  if (strcmp(how, "spawn") == 0) {
    pid_t child;
    const int error = posix_spawnp(&child, command[0], NULL, NULL, command, environ);
    if (error != 0) {
      printf("posix_spawnp %s\n", strerrorname_np(error));
      return 1;
    }
    return wait_for(child);
  }
  if (strcmp(how, "shared") == 0) {  // CLONE_VM without CLONE_VFORK
    const size_t size = 256 << 10;
    char* stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return wait_for(clone(in_vm, stack + size, CLONE_VM | SIGCHLD, NULL));
  }
  if (strcmp(how, "fd") == 0) {  // fexecve of a descriptor
    const int fd = open(command[0], O_RDONLY | O_CLOEXEC);
    fexecve(fd, command, environ);
    printf("fexecve %s\n", strerrorname_np(errno));
    return 1;
  }
  if (strcmp(how, "path-fd") == 0) {  // execveat of an O_PATH descriptor
    const int fd = open(command[0], O_PATH);
    syscall(SYS_execveat, fd, "", command, environ, AT_EMPTY_PATH);
    printf("execveat %s\n", strerrorname_np(errno));
    return 1;
  }
  if (strcmp(how, "at") == 0) {  // execveat below a directory
    char* slash = strrchr(command[0], '/');
    *slash = '\0';
    const int fd = open(command[0], O_PATH | O_DIRECTORY);
    *slash = '/';
    syscall(SYS_execveat, fd, slash + 1, command, environ, 0);
    printf("execveat %s\n", strerrorname_np(errno));
    return 1;
  }
  if (strcmp(how, "memfd") == 0) {  // a copy in memory
    const int from = open(command[0], O_RDONLY | O_CLOEXEC);
    const int to = memfd_create("copy", MFD_CLOEXEC);
    char block[65536];
    ssize_t size;
    while ((size = read(from, block, sizeof block)) > 0)
      if (write(to, block, (size_t)size) != size) return 3;
    fexecve(to, command, environ);
    printf("memfd %s\n", strerrorname_np(errno));
    return 1;
  }
  if (strcmp(how, "self") == 0) {  // /proc/self/exe, once
    setenv("AGAIN", "1", 1);
    if (strcmp(command[0], "done") == 0) return 42;
    execl("/proc/self/exe", argv[0], "self", "done", NULL);
    printf("self %s\n", strerrorname_np(errno));
    return 1;
  }
  if (strcmp(how, "bad") == 0) {  // arguments that no kernel takes
    char* const none[] = {NULL};
    static char longest[4098];
    memset(longest, 'a', sizeof longest - 1);
    longest[0] = '/';
    syscall(SYS_execve, (char*)8, none, none);
    printf("path %s\n", strerrorname_np(errno));
    syscall(SYS_execve, command[0], (char*)8, none);
    printf("argv %s\n", strerrorname_np(errno));
    char* const broken[] = {(char*)8, NULL};
    syscall(SYS_execve, command[0], broken, none);
    printf("argument %s\n", strerrorname_np(errno));
    syscall(SYS_execve, command[0], none, (char*)8);
    printf("environment %s\n", strerrorname_np(errno));
    syscall(SYS_execve, "", none, none);
    printf("empty %s\n", strerrorname_np(errno));
    syscall(SYS_execve, longest, none, none);
    printf("long %s\n", strerrorname_np(errno));
    syscall(SYS_execve, "/", none, none);
    printf("directory %s\n", strerrorname_np(errno));
    syscall(SYS_execve, "/etc/passwd", none, none);
    printf("not-executable %s\n", strerrorname_np(errno));
    syscall(SYS_execve, "/bin/true/x", none, none);
    printf("not-a-directory %s\n", strerrorname_np(errno));
    syscall(SYS_execveat, 999, "x", none, none, 0);
    printf("dirfd %s\n", strerrorname_np(errno));
    syscall(SYS_execveat, AT_FDCWD, command[0], none, none, 0x40000000);
    printf("flags %s\n", strerrorname_np(errno));
    syscall(SYS_execveat, AT_FDCWD, "", none, none, 0);
    printf("no-empty %s\n", strerrorname_np(errno));
    return 0;
  }
  if (strcmp(how, "plain") == 0) {
    execv(command[0], command);
    printf("execv %s\n", strerrorname_np(errno));
    return 1;
  }
  return 2;
}
