// What each of Landlock's ABIs is told, and what holds of it: a kernel gives an older ABI to who asks for no more than
// that.
#include "../../native/launch/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
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

#include "check.h"

using namespace holdfast;

namespace {

constexpr uint64_t kExecute = 1, kReadFile = 4, kReadDirectory = 8, kRefer = 1 << 13, kTruncate = 1 << 14,
                   kDeviceIoctl = 1 << 15, kFirst = (1 << 13) - 1;

Confinement tight() {
  Confinement out;
  out.execute_anywhere = false;
  out.connect_ports.emplace();
  out.bind_ports.emplace();
  out.abstract_sockets = false;
  return out;
}

void test_mapping() {
  CHECK(handled(0, tight()).size == 0);
  const uint64_t files[] = {0,
                            kFirst,
                            kFirst | kRefer,
                            kFirst | kRefer | kTruncate,
                            kFirst | kRefer | kTruncate,
                            kFirst | kRefer | kTruncate | kDeviceIoctl,
                            kFirst | kRefer | kTruncate | kDeviceIoctl,
                            kFirst | kRefer | kTruncate | kDeviceIoctl,
                            kFirst | kRefer | kTruncate | kDeviceIoctl};
  for (long abi = 1; abi <= 8; abi++) {
    const Handled all = handled(abi, tight());
    CHECK(all.attributes.files == files[abi]);
    CHECK((all.attributes.files & (kExecute | kReadFile | kReadDirectory)) == (kExecute | kReadFile | kReadDirectory));
    CHECK(all.attributes.network == (abi >= 4 ? 3u : 0u));
    CHECK(all.attributes.scoped == (abi >= 6 ? 3u : 0u));
    CHECK(all.size == (abi >= 6 ? 24u : abi >= 4 ? 16u : 8u));

    // Wider: what a rule or a hook may give, and nothing else.
    const Handled wide = handled(abi, Confinement());
    CHECK(wide.attributes.files == files[abi]);
    CHECK(wide.attributes.network == 0);
    CHECK(wide.attributes.scoped == (abi >= 6 ? 2u : 0u));
  }
}

// In a process of its own, since nothing takes a ruleset off again. Bits: what succeeded.
enum Act : int { kReads = 1, kLists = 2, kWrites = 4, kTruncates = 8, kConnects = 16, kAbstract = 32, kSignals = 64 };

int try_all(const char* file, int tcp, socklen_t abstract_size, const sockaddr_un& abstract) {
  int done = 0;
  if (open(file, O_RDONLY) >= 0) done |= kReads;
  if (open("/", O_RDONLY | O_DIRECTORY) >= 0) done |= kLists;
  if (open(file, O_WRONLY) >= 0) done |= kWrites;
  if (truncate(file, 0) == 0) done |= kTruncates;
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(tcp));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket(AF_INET, SOCK_STREAM, 0), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) done |= kConnects;
  if (connect(socket(AF_UNIX, SOCK_STREAM, 0), reinterpret_cast<const sockaddr*>(&abstract), abstract_size) == 0)
    done |= kAbstract;
  if (kill(getppid(), 0) == 0) done |= kSignals;
  return done;
}

void test_effect() {
  char file[] = "/tmp/landlock-test-XXXXXX";
  const UniqueFd made(mkstemp(file));
  CHECK(made);
  const UniqueFd tcp(socket(AF_INET, SOCK_STREAM, 0)), local(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  CHECK(bind(tcp.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 && listen(tcp.get(), 16) == 0);
  CHECK(getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  socklen_t name_size = sizeof name;
  // unix(7), autobind: a name that nobody else has.
  CHECK(bind(local.get(), reinterpret_cast<sockaddr*>(&name), sizeof name.sun_family) == 0 &&
        listen(local.get(), 16) == 0);
  CHECK(getsockname(local.get(), reinterpret_cast<sockaddr*>(&name), &name_size) == 0);

  const long known = landlock_abi();
  for (long abi = 0; abi <= known; abi++) {
    const pid_t child = fork();
    if (child == 0) {
      Confinement confinement = tight();
      UniqueFd ruleset;
      if (make_ruleset(abi, confinement, ruleset) != 0 || static_cast<bool>(ruleset) != (abi > 0)) _exit(128);
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (ruleset && put_on_ruleset(ruleset.get()) != 0) _exit(129);
      _exit(try_all(file, ntohs(at.sin_port), name_size, name));
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    int expected = 0;
    if (abi < 1) expected |= kReads | kLists | kWrites;
    if (abi < 3) expected |= kTruncates;
    if (abi < 4) expected |= kConnects;
    if (abi < 6) expected |= kAbstract | kSignals;
    if (WEXITSTATUS(status) != expected) fprintf(stderr, "abi %ld: %d\n", abi, WEXITSTATUS(status));
    CHECK(WEXITSTATUS(status) == expected);
  }
  unlink(file);
}

// A kernel without Landlock says ENOSYS, one that has it switched off EOPNOTSUPP; some containers say EPERM.
void test_absent() {
  for (const int error : {ENOSYS, EOPNOTSUPP, EPERM}) {
    const pid_t child = fork();
    if (child == 0) {
      const sock_filter code[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 444 /* landlock_create_ruleset */, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      const sock_fprog program = {4, const_cast<sock_filter*>(code)};
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(2);
      Confinement confinement = tight();
      UniqueFd ruleset;
      _exit(landlock_abi() == 0 && make_ruleset(landlock_abi(), confinement, ruleset) == 0 && !ruleset ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

}  // namespace

int main() {
  test_mapping();
  test_effect();
  test_absent();
  return failures == 0 ? 0 : 1;
}
