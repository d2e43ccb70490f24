// The least that a supervisor on seccomp's user notification can do for a held call, to measure holdfast against:
// no policy, no canonical name, no check that the caller is still there. floor <how> <program> [arguments...]
//   answer-stat, answer-open   read the path, answer EACCES
//   stat                       read the path, stat it, write the result into the caller, answer 0
//   open                       read the path, open it, hand the descriptor over
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)  // since Linux 6.6
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

static int install(unsigned held) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, held, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

static void send_fd(int socket, int fd) {
  union control control = {{0}};
  struct iovec data = {"", 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(part), &fd, sizeof fd);
  if (sendmsg(socket, &message, 0) < 0) _exit(1);
}

static int receive_fd(int socket) {
  union control control = {{0}};
  char byte;
  struct iovec data = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int fd;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == NULL) return -1;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static void hold(int listener, int answer, int is_open) {
  char path[256] = "";
  struct stat status;
  struct seccomp_notif call;
  for (;;) {
    memset(&call, 0, sizeof call);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
      if (errno == EINTR) continue;
      return;  // ENOENT: nobody has the filter any more
    }
    struct seccomp_notif_resp response = {.id = call.id};
    struct iovec here = {path, sizeof path - 1}, there = {(void*)call.data.args[1], sizeof path - 1};
    if (process_vm_readv((pid_t)call.pid, &here, 1, &there, 1, 0) < 0) {
      response.error = -EFAULT;
    } else if (answer) {
      response.error = -EACCES;
    } else if (is_open) {
      const int fd = open(path, (int)call.data.args[2]);
      struct seccomp_notif_addfd add = {.id = call.id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (unsigned)fd};
      if (fd >= 0 && ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0) {
        close(fd);
        continue;
      }
      if (fd >= 0) close(fd);
      response.error = -errno;
    } else {
      here = (struct iovec){&status, sizeof status};
      there = (struct iovec){(void*)call.data.args[2], sizeof status};
      if (stat(path, &status) != 0)
        response.error = -errno;
      else if (process_vm_writev((pid_t)call.pid, &here, 1, &there, 1, 0) < 0)
        response.error = -EFAULT;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
}

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  const int answer = strncmp(argv[1], "answer-", 7) == 0;
  const int is_open = strstr(argv[1], "open") != NULL;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    const int listener = install(is_open ? SYS_openat : SYS_newfstatat);
    if (listener < 0) {
      perror("floor: seccomp");
      _exit(1);
    }
    send_fd(pair[1], listener);
    close(listener);
    execv(argv[2], argv + 2);
    _exit(127);
  }
  close(pair[1]);
  const int listener = receive_fd(pair[0]);
  if (listener < 0) return 1;
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
  hold(listener, answer, is_open);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
