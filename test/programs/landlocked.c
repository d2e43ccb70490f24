// Puts on a Landlock domain of its own (landlock(7)) and says what it may do then, and what its children may.
// landlocked WITH FOLDER OUTSIDE: reading and writing below FOLDER only, besides what a program needs to start; signals
// stay in its domain; no TCP port, as WITH says (confine()). Otherwise: prints the kernel's ABI.
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[4096], outside[4096];

static const char *word(long result) {
  static char text[8][40];
  static int turn;
  char *const to = text[turn++ % 8];
  if (result < 0)
    snprintf(to, 40, "%s", strerrorname_np(errno));
  else
    snprintf(to, 40, "ok");
  return to;
}
static void say(const char *what, long result) { printf("%s: %s\n", what, word(result)); }
static void say_at(const char *what, const char *where, long result) {
  printf("%s %s: %s\n", what, where, word(result));
}

static const char *in(const char *base, const char *name) {
  static char text[4][4300];
  static int turn;
  char *const to = text[turn++ % 4];
  snprintf(to, 4300, "%s/%s", base, name);
  return to;
}

static int shut(int fd) {
  const int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return fd;
}

static long add(int ruleset, const char *path, uint64_t access) {
  const int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return -1;
  struct landlock_path_beneath_attr rule = {access, fd};
  return shut((int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ? fd : -1);
}

static const uint64_t all_files = (1ULL << 13) - 1;  // of the first ABI

// `with`: f files, r files with truncate and refer, s signals, a abstract sockets, p ports.
static void confine(const char *with, const char *to) {
  uint64_t attributes[3] = {0, 0, 0};
  if (strchr(with, 'f')) attributes[0] = all_files;
  if (strchr(with, 'r')) attributes[0] = all_files | 1 << 13 | 1 << 14;
  if (strchr(with, 'p')) attributes[1] = 3;
  if (strchr(with, 'a')) attributes[2] |= 1;
  if (strchr(with, 's')) attributes[2] |= 2;
  const int ruleset = (int)syscall(SYS_landlock_create_ruleset, attributes, sizeof attributes, 0);
  if (ruleset < 0) {
    say("ruleset", ruleset);
    exit(3);
  }
  if (attributes[0] != 0) {
    const uint64_t look = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    char own[4096] = "";
    (void)!readlink("/proc/self/exe", own, sizeof own - 1);
    const char *const needed[] = {"/usr", "/lib", "/lib64", "/bin", "/proc", own};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
      add(ruleset, needed[i], needed[i] == own ? look & ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR : look);
    if (add(ruleset, to, attributes[0]) < 0) say("rule", -1);
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  say_at("confined by", with, syscall(SYS_landlock_restrict_self, ruleset, 0));
  close(ruleset);
}

static void files(const char *where, const char *base) {
  say_at("open", where, shut(open(in(base, "there"), O_RDONLY)));
  say_at("open for writing", where, shut(open(in(base, "there"), O_WRONLY)));
  say_at("list", where, shut(open(base, O_RDONLY | O_DIRECTORY)));
  say_at("create", where, shut(open(in(base, "new"), O_WRONLY | O_CREAT | O_EXCL, 0600)));
  say_at("mkdir", where, mkdir(in(base, "folder"), 0700));
  say_at("symlink", where, symlink("there", in(base, "link")));
  say_at("link", where, link(in(base, "there"), in(base, "other")));
  say_at("rename", where, rename(in(base, "new"), in(base, "renamed")));
  say_at("fifo", where, mknod(in(base, "fifo"), S_IFIFO | 0600, 0));
  say_at("truncate", where, truncate(in(base, "there"), 1));
  say_at("unnamed", where, shut(open(base, O_WRONLY | O_TMPFILE, 0600)));
  say_at("stat", where, access(in(base, "there"), F_OK));
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  snprintf(name.sun_path, sizeof name.sun_path, "%.90s/s", base);
  say_at("bind", where, bind(fd, (void *)&name, sizeof name));
  close(fd);
  say_at("unlink", where, unlink(in(base, "renamed")));
  say_at("unlink link", where, unlink(in(base, "link")));
  say_at("rmdir", where, rmdir(in(base, "folder")));
  unlink(in(base, "other"));
  unlink(in(base, "fifo"));
  unlink(name.sun_path);
}

static void ports(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  say("connect", connect(fd, (void *)&to, sizeof to));
  close(fd);
  fd = socket(AF_INET, SOCK_STREAM, 0);
  to.sin_port = 0;
  say("bind port", bind(fd, (void *)&to, sizeof to));
  close(fd);
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  say("bind UDP", bind(fd, (void *)&to, sizeof to));
  close(fd);
}

static char queue[40];
static void queues(void) {
  say("open a message queue", shut(mq_open(queue, O_RDWR)));
  mq_unlink(queue);
  strcat(queue, "-new");
  say("make a message queue", shut(mq_open(queue, O_RDWR | O_CREAT, 0600, NULL)));
  mq_unlink(queue);
}

// In a folder that it may not search, as somebody without any right where that is possible.
static void elsewhere(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  say("elsewhere", mkdir(in(folder, "closed"), 0700) | chdir(in(folder, "closed")));
  if (geteuid() != 0 ? chmod(".", 0) : setgid(65534) | setuid(65534)) say("no longer root", -1);
  say("open elsewhere", shut(open("/usr/bin/env", O_RDONLY)));
  say("open for writing elsewhere", shut(open("/dev/null", O_WRONLY)));
  say("bind TCP elsewhere", bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to));
  say("bind UDP elsewhere", bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&to, sizeof to));
  say("open here", shut(open("here", O_RDONLY)));
}

static void *in_thread(void *unused) {
  printf("thread: ");
  say("open outside", shut(open(in(outside, "there"), O_RDONLY)));
  return unused;
}

static int ended(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// It ends with its maker, who may be confined to send it no signal, not even by PR_SET_PDEATHSIG.
static pid_t sleeper(void) {
  static int alive[2] = {-1, -1};
  if (alive[0] < 0 && pipe2(alive, O_CLOEXEC) != 0) exit(3);
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    char byte;
    close(alive[1]);
    _exit(read(alive[0], &byte, 1) != 0);
  }
  return pid;
}

int main(int argc, char **argv) {
  const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (argc < 4) {
    printf("%ld\n", abi < 0 ? 0 : abi);
    return 0;
  }
  const char *const with = argv[1];
  snprintf(folder, sizeof folder, "%s", argv[2]);
  snprintf(outside, sizeof outside, "%s", argv[3]);
  if (argc > 4) {  // executed by one that is confined
    printf("executed: ");
    say("open outside", shut(open(in(outside, "there"), O_RDONLY)));
    return 0;
  }
  const pid_t before = sleeper();
  snprintf(queue, sizeof queue, "/holdfast-landlocked-%d", getpid());
  shut(mq_open(queue, O_RDWR | O_CREAT, 0600, NULL));
  confine(with, folder);
  files("inside", folder);
  files("outside", outside);
  say("rename out", rename(in(folder, "there"), in(outside, "moved")));
  say("rename in", rename(in(outside, "there"), in(folder, "moved")));
  say("link in", link(in(outside, "there"), in(folder, "linked")));
  ports();
  queues();
  const pid_t after = sleeper();
  say("signal a child of before", kill(before, 0));
  say("signal a child of after", kill(after, 0));
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", before);
  say("look at a child of before", readlink(path, outside + 4000, 90));
  snprintf(path, sizeof path, "/proc/%d/exe", after);
  say("look at a child of after", readlink(path, outside + 4000, 90));
  say("look at itself", readlink("/proc/self/exe", outside + 4000, 90));
  say("status of itself", shut(open("/proc/self/status", O_RDONLY)));
  const char *const own[] = {"maps", "environ", "fd", "fdinfo", "task", "stat", "fd/1", "mountinfo", "auxv"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    snprintf(path, sizeof path, "/proc/self/%s", own[i]);
    say_at("open", path, shut(open(path, O_RDONLY)));
    snprintf(path, sizeof path, "/proc/%d/%s", before, own[i]);
    // Root looks by other capabilities; and what a list of descriptors has is refused by the list, not at its opening.
    if (strncmp(own[i], "fd", 2) == 0 || geteuid() == 0) continue;
    printf("of a child of before: ");
    say_at("open", own[i], shut(open(path, O_RDONLY)));
  }
  kill(after, SIGKILL);
  printf("it ended by: %d\n", ended(after));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    printf("forked: ");
    say("open outside", shut(open(in(outside, "there"), O_RDONLY)));
    fflush(stdout);
    execl("/proc/self/exe", argv[0], with, folder, outside, "again", NULL);
    say("exec", -1);
    exit(1);
  }
  printf("child: %d\n", ended(child));
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  fflush(stdout);
  if ((child = fork()) == 0) {
    elsewhere();
    exit(0);
  }
  printf("child: %d\n", ended(child));
  rmdir(in(folder, "closed"));
  // Another layer, which takes the rest.
  fflush(stdout);
  child = fork();
  if (child == 0) {
    confine("f", "/usr");
    files("inside, twice", folder);
    exit(0);
  }
  printf("child: %d\n", ended(child));
  files("inside, again", folder);
  // Who is outside this domain is its maker's to end.
  if (kill(before, SIGKILL) != 0) printf("left: %s\n", strerrorname_np(errno));
  return 0;
}
