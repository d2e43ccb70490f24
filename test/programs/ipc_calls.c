// System V IPC and POSIX queues, each form once, with what each call answers.  ipc_calls all | use KIND ID | name NAME
// | leave
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static long say(const char* what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
  fflush(stdout);
  return result;
}

static void all(key_t key) {
  // By key: made once, found again, also by a child; the same key is another object for each kind.
  int m = (int)say("shmget missing", shmget(key, 4096, 0));
  m = (int)say("shmget", shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
  say("shmget again", shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
  printf("found %d\n", shmget(key, 100, 0600) == m);
  say("shmget larger", shmget(key, 8192, 0600));
  char* p = shmat(m, NULL, 0);
  say("shmat", p == (void*)-1 ? -1 : 0);
  if (fork() == 0) {
    char* q = shmat(shmget(key, 0, 0600), NULL, 0);
    strcpy(q, "from the child");
    _exit(shmdt(q));
  }
  int status;
  wait(&status);
  printf("child %d: %s\n", status, p);
  struct shmid_ds about;
  say("shm stat", shmctl(m, IPC_STAT, &about));
  printf("size %zu attached %lu mode %o\n", about.shm_segsz, (unsigned long)about.shm_nattch,
         about.shm_perm.mode & 0777);
  say("shm remove", shmctl(m, IPC_RMID, NULL));
  say("shmget after", shmget(key, 4096, 0600));
  char* again = shmat(m, NULL, SHM_RDONLY);  // it lives until the last detach
  printf("still %s\n", again == (void*)-1 ? strerrorname_np(errno) : again);
  shmdt(again);
  shmdt(p);
  say("shmat after", shmat(m, NULL, 0) == (void*)-1 ? -1 : 0);

  int s = (int)say("semget", semget(key, 2, IPC_CREAT | 0600));
  say("semget more", semget(key, 3, 0600));
  say("setval", semctl(s, 1, SETVAL, 3));
  printf("getval %d\n", semctl(s, 1, GETVAL));
  if (fork() == 0) {
    struct sembuf up = {0, 1, 0};
    usleep(50000);
    _exit(semop(s, &up, 1));
  }
  struct sembuf down = {0, -1, SEM_UNDO};
  say("semop waits", semop(s, &down, 1));
  wait(&status);
  struct timespec soon = {0, 10000000};
  say("semtimedop", semtimedop(s, &down, 1, &soon));
  say("sem remove", semctl(s, 0, IPC_RMID));
  say("semop after", semop(s, &down, 1));

  int q = (int)say("msgget", msgget(key, IPC_CREAT | 0600));
  struct {
    long type;
    char text[16];
  } message = {7, "hello"};
  say("msgsnd", msgsnd(q, &message, 6, 0));
  memset(message.text, 0, sizeof message.text);
  printf("msgrcv %zd %s\n", msgrcv(q, &message, sizeof message.text, 7, 0), message.text);
  say("msgrcv empty", msgrcv(q, &message, 16, 0, IPC_NOWAIT));
  say("msg remove", msgctl(q, IPC_RMID, NULL));
  say("msgsnd after", msgsnd(q, &message, 6, 0));

  struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 32};
  say("mq_open missing", mq_open("/ipc-calls", O_RDWR));
  mqd_t d = (mqd_t)say("mq_open", mq_open("/ipc-calls", O_RDWR | O_CREAT | O_EXCL, 0640, &attributes));
  say("mq_open again", mq_open("/ipc-calls", O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
  say("mq_send", mq_send(d, "one", 4, 1));
  if (fork() == 0) {
    mqd_t e = mq_open("/ipc-calls", O_WRONLY);
    _exit(mq_send(e, "two", 4, 9));
  }
  wait(&status);
  char text[32];
  unsigned priority = 0;
  ssize_t got = mq_receive(d, text, sizeof text, &priority);
  printf("mq_receive %zd %s %u\n", got, text, priority);
  mq_receive(d, text, sizeof text, &priority);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  say("mq_notify", mq_notify(d, &event));
  mq_send(d, "x", 2, 0);
  siginfo_t info;
  printf("signal %d\n", sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_MESGQ);
  say("mq_getattr", mq_getattr(d, &attributes));
  printf("%ld messages of %ld\n", attributes.mq_curmsgs, attributes.mq_maxmsg);
  say("mq_unlink", mq_unlink("/ipc-calls"));
  say("mq_unlink again", mq_unlink("/ipc-calls"));
  say("mq_open slash", mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (strcmp(argv[1], "all") == 0) all(0x48464950);
  if (strcmp(argv[1], "leave") == 0) {  // its ids and its queue's descriptor stay, and nobody removes them
    printf("%d %d %d\n", shmget(0x48464951, 4096, IPC_CREAT | 0666), semget(0x48464951, 1, IPC_CREAT | 0666),
           msgget(0x48464951, IPC_CREAT | 0666));
    printf("%d\n", mq_open("/ipc-leave", O_RDWR | O_CREAT, 0666, NULL) < 0 ? errno : 0);
  }
  if (strcmp(argv[1], "places") == 0) {  // nobody else's objects are in the way
    int m = shmget(IPC_PRIVATE, 5000, 0600), n = shmget(IPC_PRIVATE, 4096, 0), s = semget(IPC_PRIVATE, 3, 0600),
        q = msgget(IPC_PRIVATE, 0600);
    long message[2] = {1, 0};
    msgsnd(q, message, 8, 0);
    struct shmid_ds segment;
    struct semid_ds set;
    struct msqid_ds queue;
    struct shm_info segments;
    struct seminfo sets;
    struct msginfo queues;
    int first = shmctl(0, SHM_STAT, &segment);
    printf("segment %d of %zu\n", first == m || first == n, segment.shm_segsz);
    say("unreadable", shmctl(m < n, SHM_STAT, &segment));
    printf("%d\n", shmctl(m < n, 15 /* SHM_STAT_ANY */, &segment) == n);
    say("behind the last", shmctl(2, SHM_STAT, &segment));
    say("negative", shmctl(-1, SHM_STAT, &segment));
    printf("set %d ", semctl(0, 0, SEM_STAT, &set) == s);
    printf("of %ld\n", set.sem_nsems);
    printf("queue %d ", msgctl(0, MSG_STAT, &queue) == q);
    printf("of %ld\n", queue.msg_qnum);
    printf("highest %d, ", shmctl(0, SHM_INFO, (void*)&segments));
    printf("%d segments of %ld pages\n", segments.used_ids, segments.shm_tot);
    printf("highest %d, ", semctl(0, 0, SEM_INFO, &sets));
    printf("%d sets of %d\n", sets.semusz, sets.semaem);
    printf("highest %d, ", msgctl(0, MSG_INFO, (void*)&queues));
    printf("%d queues, %d messages of %d bytes\n", queues.msgpool, queues.msgmap, queues.msgtql);
    printf("highest %d, ", semctl(0, 0, IPC_INFO, &sets));
    printf("limits %d\n", sets.semmsl > 0 && sets.semusz > 3);
    say("nowhere", semctl(0, 0, SEM_INFO, (void*)8));
    say("unknown command", shmctl(m, 77, &segment));
    say("remove",
        shmctl(m, IPC_RMID, NULL) | shmctl(n, IPC_RMID, NULL) | semctl(s, 0, IPC_RMID) | msgctl(q, IPC_RMID, NULL));
    printf("highest %d\n", msgctl(0, MSG_INFO, (void*)&queues));
  }
  if (strcmp(argv[1], "many") == 0) {  // more than a tree may have; then one goes, and there is room for one again
    int id = -1, many = 0;
    while (many < 1000 && (id = semget(IPC_PRIVATE, 1, 0600)) >= 0) many++;
    printf("%d sets, ", many);
    say("semget", id);
    semctl(semget(IPC_PRIVATE, 1, 0600), 0, IPC_RMID);
    char name[32];
    for (many = 0; many < 1000; many++) {
      sprintf(name, "/ipc-many-%d", many);
      id = mq_open(name, O_RDWR | O_CREAT, 0600, &(struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 8});
      if (id < 0) break;
      close(id);
    }
    printf("%d queues, ", many);
    say("mq_open", id);
    say("mq_open what is there", mq_open("/ipc-many-0", O_RDWR | O_CREAT, 0600, NULL));
    say("mq_open without making", mq_open("/ipc-many-1", O_RDWR));
    say("mq_unlink", mq_unlink("/ipc-many-0"));
    say("mq_open", mq_open(name, O_RDWR | O_CREAT, 0600, NULL));
    int m = shmget(IPC_PRIVATE, 4096, 0600);
    say("low", shmat(m, (void*)0x20000, SHM_REMAP) == (void*)-1 ? -1 : 0);
    say("low with a tag", shmat(m, (void*)0x7f00000000020000, SHM_REMAP) == (void*)-1 ? -1 : 0);
  }
  if (strcmp(argv[1], "use") == 0) {  // ids that somebody outside has made
    int m = atoi(argv[2]), s = atoi(argv[3]), q = atoi(argv[4]);
    struct shmid_ds about;
    struct sembuf up = {0, 1, 0};
    long message[2] = {1, 0};
    say("shmat", shmat(m, NULL, 0) == (void*)-1 ? -1 : 0);
    say("shmctl", shmctl(m, IPC_STAT, &about));
    say("shmctl unknown", shmctl(m, 99, NULL));
    say("shm remove", shmctl(m, IPC_RMID, NULL));
    say("semop", semop(s, &up, 1));
    say("sem remove", semctl(s, 0, IPC_RMID));
    say("msgsnd", msgsnd(q, message, 8, IPC_NOWAIT));
    say("msgrcv", msgrcv(q, message, 8, 0, IPC_NOWAIT));
    say("msg remove", msgctl(q, IPC_RMID, NULL));
    say("by key", shmget(0x48464952, 0, 0));
    say("shm by place", shmctl(0, SHM_STAT, &about));
    say("low", shmat(m, (void*)0x20000, SHM_REMAP) == (void*)-1 ? -1 : 0);
    say("mq", mq_open("/ipc-outside", O_RDWR));
    say("mq remove", mq_unlink("/ipc-outside"));
  }
  if (strcmp(argv[1], "outside") == 0) {  // bare: what a tree must not reach; removed when its input ends
    int m = shmget(0x48464952, 4096, IPC_CREAT | 0666), s = semget(0x48464952, 1, IPC_CREAT | 0666),
        q = msgget(0x48464952, IPC_CREAT | 0666);
    long message[2] = {1, 0};
    msgsnd(q, message, 8, 0);
    mq_open("/ipc-outside", O_RDWR | O_CREAT, 0666, NULL);
    printf("%d %d %d\n", m, s, q);
    fflush(stdout);
    char c;
    while (read(0, &c, 1) > 0) continue;
    struct msqid_ds about = {0};
    msgctl(q, IPC_STAT, &about);
    printf("%d %d %d %d\n", shmctl(m, IPC_RMID, NULL), semctl(s, 0, IPC_RMID),
           (int)about.msg_qnum + msgctl(q, IPC_RMID, NULL), mq_unlink("/ipc-outside"));
  }
  return 0;
}
