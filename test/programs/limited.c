// Uses more than it may, in one way each, and always ends by itself: limited HOW [NUMBER...].
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMiB = 1 << 20 };

static struct { atomic_int alive, most, made, refused, other; } * all;

static void* shared(size_t size) {
  void* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) exit(90);
  return at;
}

static void raise_most(int now) {
  int seen = atomic_load(&all->most);
  while (now > seen && !atomic_compare_exchange_weak(&all->most, &seen, now)) continue;
}

// How many processes can be made one after the other that all stay; they are ended again.
static int room(int most) {
  static pid_t made[4096];
  int count = 0;
  while (count < most) {
    const pid_t child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    if (child < 0) {
      if (errno != EAGAIN) all->other++;
      break;
    }
    made[count++] = child;
  }
  for (int i = 0; i < count; i++) kill(made[i], SIGKILL);
  for (int i = 0; i < count; i++) waitpid(made[i], NULL, 0);
  return count;
}

static void* fork_often(void* rounds) {
  for (int i = 0; i < (int)(intptr_t)rounds; i++) {
    const pid_t child = i % 2 == 0 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
      raise_most(atomic_fetch_add(&all->alive, 1) + 1);
      sched_yield();
      atomic_fetch_sub(&all->alive, 1);
      _exit(0);
    }
    if (child > 0) {
      all->made++;
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    } else if (errno == EAGAIN) {
      all->refused++;
    } else {
      all->other++;
    }
  }
  return NULL;
}

static void* nothing(void* argument) { return argument; }

static void* wait_for(void* gate) {
  pthread_mutex_lock(gate);
  pthread_mutex_unlock(gate);
  return NULL;
}

static void on_alarm(int signal) { (void)signal; }

// Doubles itself until nothing more can be made, NUMBER generations at most; each lives on for a while.
static void bomb(int generations) {
  for (int i = 0; i < generations; i++) {
    const pid_t child = fork();
    if (child > 0) all->made++;
    if (child < 0) all->refused++;
  }
}

static void fill(int mebibytes) {
  char* at = mmap(NULL, (size_t)mebibytes * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at != MAP_FAILED) memset(at, 1, (size_t)mebibytes * kMiB);
}

static int mebibytes_left;

static int fill_and_stay(void* later) {
  const struct timespec moment = {0, 400000000};  // whoever made it executes another program
  if (later != NULL) syscall(SYS_nanosleep, &moment, NULL);
  fill(mebibytes_left);
  const struct timespec pause = {2, 0};
  syscall(SYS_nanosleep, &pause, NULL);
  if (write(1, "done\n", 5) < 0) return 1;
  syscall(SYS_exit_group, 0);
  return 0;
}

static void* fill_in_thread(void* unused) {
  fill_and_stay(unused);
  return NULL;
}

static int hold_file(void* unused) {
  (void)unused;
  const int file = memfd_create("apart", 0);
  if (ftruncate(file, 0) != 0 || fallocate(file, 0, 0, (off_t)mebibytes_left * kMiB) != 0) return 1;
  const struct timespec pause = {1, 0};
  syscall(SYS_nanosleep, &pause, NULL);
  syscall(SYS_exit, 0);
  return 0;
}

static void* hold_unshared(void* unused) {
  syscall(SYS_close_range, ~0u - 1, ~0u, 2 /* CLOSE_RANGE_UNSHARE */);
  hold_file(unused);
  return NULL;
}

static void spin(int milliseconds) {
  struct timespec used;
  do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < milliseconds);
}

static void write_much(const char* name, int mebibytes, int block) {
  char* bytes = calloc(1, (size_t)block);
  const int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  // The same megabyte again and again: much is written, and no file grows.
  for (long i = 0, count = (long)mebibytes * kMiB / block; i < count; i++)
    if (pwrite(file, bytes, (size_t)block, i * block % kMiB) < 0) exit(91);
  free(bytes);
}

// So many processes at once, each of which does it.
static void each(int processes, void (*act)(int), int number) {
  for (int i = 0; i < processes; i++) {
    if (fork() != 0) continue;
    act(number);
    pause();
  }
  while (wait(NULL) > 0) continue;
}

static void write_mebibytes(int mebibytes) {
  char name[32];
  snprintf(name, sizeof name, "written.%d", getpid());
  write_much(name, mebibytes, 64 << 10);
}

// How much each process gets of what the kernel limits.
static long most_descriptors(void) {
  int last = 2;
  for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;) last = fd;
  return last + 1;
}

static long most_of_a_file(void) {
  static char block[4096];
  char name[32];
  snprintf(name, sizeof name, "grown.%d", getpid());
  signal(SIGXFSZ, SIG_IGN);
  const int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  long size = 0;
  for (ssize_t wrote; size < 64L * kMiB && (wrote = write(file, block, sizeof block)) > 0;) size += wrote;
  unlink(name);
  return size;
}

static long most_mapped(void) {
  long size = 0;
  while (size < 4096L * kMiB && mmap(NULL, kMiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
    size += kMiB;
  char line[256];
  FILE* const file = fopen("/proc/self/statm", "r");
  if (file != NULL && fgets(line, sizeof line, file) != NULL) size = atol(line) * sysconf(_SC_PAGESIZE);
  return size;
}

static void* go_on(void* arguments) {
  execv("/proc/self/exe", arguments);
  return NULL;
}

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "";
  const int first = argc > 2 ? atoi(argv[2]) : 0, second = argc > 3 ? atoi(argv[3]) : 0;
  all = shared(sizeof *all);
  setvbuf(stdout, NULL, _IONBF, 0);
  if (strcmp(how, "room") == 0) {
    printf("%d\n", room(first));
  } else if (strcmp(how, "threads-fork") == 0) {  // threads, rounds
    pthread_t threads[256];
    for (int i = 0; i < first; i++) pthread_create(&threads[i], NULL, fork_often, (void*)(intptr_t)second);
    for (int i = 0; i < first; i++) pthread_join(threads[i], NULL);
    printf("most %d all %d other %d room %d\n", all->most, all->made + all->refused, all->other, room(first * second));
  } else if (strcmp(how, "zombies") == 0) {
    int zombies = 0;
    pid_t child, last = 0;
    while (zombies < first && (child = fork()) != -1) {
      if (child == 0) _exit(0);
      last = child;
      zombies++;
    }
    waitpid(last, NULL, 0);
    child = fork();
    if (child == 0) _exit(0);
    printf("%d %s\n", zombies, child > 0 ? "again" : strerror(errno));
  } else if (strcmp(how, "join") == 0) {  // one after the other, rounds
    int failed = 0;
    for (int i = 0; i < first; i++) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, nothing, NULL) != 0)
        failed++;
      else
        pthread_join(thread, NULL);
    }
    printf("failed %d\n", failed);
  } else if (strcmp(how, "threads") == 0) {  // at once
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    int made = 0, error = 0;
    pthread_t thread;
    while (made < first && (error = pthread_create(&thread, NULL, wait_for, &gate)) == 0) made++;
    pthread_mutex_unlock(&gate);
    printf("%d %s\n", made, error == EAGAIN ? "EAGAIN" : error == 0 ? "" : "another error");
  } else if (strcmp(how, "signals") == 0) {  // forks that signals interrupt, rounds
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    fork_often((void*)(intptr_t)first);
    setitimer(ITIMER_REAL, &never, NULL);
    printf("room %d other %d\n", room(first), all->other);
  } else if (strcmp(how, "killed") == 0) {  // makers that are killed while they make, rounds
    for (int i = 0; i < first; i++) {
      const pid_t maker = fork();
      if (maker == 0) {
        for (;;) {
          const pid_t child = fork();
          if (child == 0) _exit(0);
          waitpid(child, NULL, 0);
        }
      }
      usleep((unsigned)(500 + i * 37 % 1500));
      kill(maker, SIGKILL);
      waitpid(maker, NULL, 0);
    }
    int now = 0;
    // What the last ones have left behind is still ending.
    for (int i = 0; i < 400 && (now = room(second + 1)) != second; i++) usleep(5000);
    printf("room %d\n", now);
  } else if (strcmp(how, "bomb") == 0) {  // generations
    const pid_t bomber = fork();
    if (bomber == 0) {
      bomb(first);
      usleep(100000);
      while (wait(NULL) > 0) continue;
      _exit(0);
    }
    waitpid(bomber, NULL, 0);
    printf("made %d refused %d\n", all->made, all->refused > 0);
  } else if (strcmp(how, "fill") == 0) {  // processes, mebibytes each
    each(first, fill, second);
  } else if (strcmp(how, "share") == 0) {  // mebibytes, that so many processes have from their maker
    fill(first);
    for (int i = 0; i < second; i++)
      if (fork() == 0) {
        usleep(200000);
        _exit(0);
      }
    while (wait(NULL) > 0) continue;
    printf("done\n");
  } else if (strcmp(how, "vfork") == 0) {  // mebibytes, rounds
    fill(first);
    for (int i = 0; i < second; i++) {
      const pid_t child = vfork();
      if (child == 0) {
        const struct timespec pause = {0, 30000000};
        syscall(SYS_nanosleep, &pause, NULL);
        _exit(0);
      }
      waitpid(child, NULL, 0);
    }
    printf("done\n");
  } else if (strcmp(how, "left") == 0) {  // mebibytes: of a memory whose first process executes another program
    static char stack[1 << 16];
    mebibytes_left = first;
    clone(fill_and_stay, stack + sizeof stack - 64, CLONE_VM | SIGCHLD, stack);
    execl("/proc/self/exe", argv[0], "spin", "1", "2500", NULL);
  } else if (strcmp(how, "orphaned") == 0) {  // mebibytes: of a process whose first thread has ended
    pthread_t thread;
    mebibytes_left = first;
    pthread_create(&thread, NULL, fill_in_thread, NULL);
    syscall(SYS_exit, 0);
  } else if (strcmp(how, "memfd-apart") == 0) {  // mebibytes: in a memory that is shared, by descriptors that are not
    static char stack[1 << 16];
    mebibytes_left = first;
    clone(hold_file, stack + sizeof stack - 64, CLONE_VM | SIGCHLD, NULL);
    wait(NULL);
    printf("done\n");
  } else if (strcmp(how, "memfd-thread") == 0) {  // mebibytes: by descriptors of one thread alone
    static char stack[1 << 16];
    mebibytes_left = first;
    clone(hold_file, stack + sizeof stack - 64, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL);
    const struct timespec pause = {2, 0};
    nanosleep(&pause, NULL);
    printf("done\n");
  } else if (strcmp(how, "memfd-unshared") == 0) {  // mebibytes: by a thread that has left the others' descriptors
    pthread_t thread;
    mebibytes_left = first;
    pthread_create(&thread, NULL, hold_unshared, NULL);
    const struct timespec pause = {2, 0};
    nanosleep(&pause, NULL);
    printf("done\n");
  } else if (strcmp(how, "descriptors") == 0) {  // processes that have very many, mebibytes
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max < 20000 ? most.rlim_max : 20000;
    setrlimit(RLIMIT_NOFILE, &most);
    while (dup(0) >= 0) continue;
    for (int i = 0; i < first; i++)
      if (fork() == 0) {
        pause();
        _exit(0);
      }
    usleep(800000);  // the first long look is over
    for (int filled = 0; filled < second; filled += 100) {  // slowly, as the machine may be busy
      fill(100);
      usleep(200000);
    }
    printf("done\n");
    fflush(stdout);
    kill(0, SIGKILL);
  } else if (strcmp(how, "memfd") == 0) {  // mebibytes that nobody has mapped
    const int file = memfd_create("hog", 0);
    char* bytes = calloc(1, kMiB);
    for (int i = 0; i < first; i++)
      if (write(file, bytes, kMiB) != kMiB) return 92;
    printf("done\n");
  } else if (strcmp(how, "spin") == 0) {  // processes at once, milliseconds each
    each(first, spin, second);
  } else if (strcmp(how, "spin-in-turn") == 0) {  // processes, milliseconds each
    for (int i = 0; i < first; i++) {
      const pid_t child = fork();
      if (child == 0) {
        spin(second);
        _exit(0);
      }
      waitpid(child, NULL, 0);
    }
    printf("done\n");
  } else if (strcmp(how, "write") == 0) {  // processes at once, mebibytes each
    each(first, write_mebibytes, second);
  } else if (strcmp(how, "allocate") == 0) {  // mebibytes of a file, without a write, and as libc does then
    const int file = open("allocated", O_RDWR | O_CREAT | O_TRUNC, 0666);
    const int made = fallocate(file, 0, 0, (off_t)first * kMiB);
    printf("%s", made == 0 ? "made" : errno == EOPNOTSUPP ? "unsupported" : strerror(errno));
    const int zeroed = fallocate(file, FALLOC_FL_ZERO_RANGE, 0, kMiB);
    printf(", %s", zeroed == 0 ? "made" : errno == EOPNOTSUPP ? "unsupported" : strerror(errno));
    printf(", written %d", posix_fallocate(file, 0, kMiB));
    printf(", given back %d\n", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kMiB));
  } else if (strcmp(how, "write-in-turn") == 0) {  // processes, mebibytes each
    for (int i = 0; i < first; i++) {
      const pid_t child = fork();
      if (child == 0) {
        write_mebibytes(second);
        _exit(0);
      }
      waitpid(child, NULL, 0);
    }
    printf("done\n");
  } else if (strcmp(how, "write-and-go") == 0) {  // mebibytes, rounds: each time another thread executes the next round
    if (second == 0) return printf("done\n"), 0;
    char rounds[16];
    snprintf(rounds, sizeof rounds, "%d", second - 1);
    write_mebibytes(first);
    pthread_t thread;
    pthread_create(&thread, NULL, go_on, (char*[]){argv[0], argv[1], argv[2], rounds, NULL});
    pause();
  } else if (strcmp(how, "most") == 0) {  // processes, then of what
    const char* what = argc > 3 ? argv[3] : "";
    for (int i = 0; i < first; i++) {
      if (fork() != 0) continue;
      printf("%ld\n", strcmp(what, "openFiles") == 0  ? most_descriptors()
                      : strcmp(what, "fileSize") == 0 ? most_of_a_file()
                                                      : most_mapped());
      _exit(0);
    }
    while (wait(NULL) > 0) continue;
  } else if (strcmp(how, "print") == 0) {  // processes
    static char text[4096];
    memset(text, 'x', sizeof text);
    for (int i = 1; i < first; i++)
      if (fork() == 0) break;
    for (int i = 0; i < 100000 && write(1, text, sizeof text) > 0; i++) continue;
    while (wait(NULL) > 0) continue;
  } else if (strcmp(how, "stay") == 0) {  // processes
    for (int i = 1; i < first; i++)
      if (fork() == 0) break;
    sleep(20);
  } else if (strcmp(how, "raise") == 0) {  // what nobody may
    const struct rlimit more = {1000, 100000};
    const int own = setrlimit(RLIMIT_NOFILE, &more) == 0 ? 0 : errno;
    const pid_t child = fork();
    if (child == 0) pause();
    const int others = prlimit(child, RLIMIT_NOFILE, &more, NULL) == 0 ? 0 : errno;
    kill(child, SIGKILL);
    struct rlimit is;
    getrlimit(RLIMIT_NOFILE, &is);
    printf("%s %s %d\n", strerrorname_np(own), strerrorname_np(others), (int)is.rlim_max);
  } else {
    return 64;
  }
  return 0;
}
