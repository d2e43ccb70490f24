// Landlock domains that processes of the tree have put on themselves (landlock(7)). Their own calls the kernel
// confines. What the supervisor makes for them is made by a thread that has put on the same rules, on top of those that
// its maker had: a domain cannot be given to somebody who is there already.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>

#include "../call/held.h"

namespace holdfast {

class Domain;
using DomainOf = std::shared_ptr<const Domain>;

// A further domain for the caller, by its ruleset as it is now. Nobody has put it on yet. 0 or a positive errno.
int make_domain(const Held& call, int ruleset, DomainOf& out);

// For who follows the tree. A thread has its maker's domain from its first instruction, and keeps it at an exec. Where
// its maker was not known at first, that may be said later.
void put_on_domain(pid_t tid, DomainOf domain);
void inherit_domain(pid_t tid, pid_t maker);
void move_domain(pid_t tid, pid_t former);
void forget_domain(pid_t tid);
// Nobody knows who has made it: nothing is made for it that a domain could refuse.
void lose_domain(pid_t tid);
// Whether anybody has ever put one on: from then on a newborn's maker must be known.
extern std::atomic<bool> any_domain;
inline bool domains_are_put_on() { return any_domain.load(std::memory_order_acquire); }
bool has_domain(pid_t tid);

// Makes one system call of ours as the kernel would let the caller make it: `act` runs on another thread if the caller
// has a domain, with this thread's rights and umask. It must not look into the caller. What `act` gives, with its
// errno.
enum class From : uint8_t { anywhere, here };  // whether a name in it is relative to the working directory
long make_within_domain(const Held& call, const std::function<long()>& act, From from);
template <typename Act>
long within_domain(const Held& call, const Act& act, From from = From::anywhere) {
  return domains_are_put_on() ? make_within_domain(call, std::ref(act), from) : act();
}

// The same of what opens: a descriptor or a negative errno.
template <typename Open>
int open_within_domain(const Held& call, const Open& open, From from = From::anywhere) {
  if (!domains_are_put_on()) return open();
  const auto act = [&]() -> long {
    const int got = open();
    if (got < 0) errno = -got;
    return got < 0 ? -1 : got;
  };
  const long fd = within_domain(call, act, from);
  return fd >= 0 ? static_cast<int>(fd) : -errno;
}

// What the kernel would say of a look into another process of the tree (ptrace(2), "Ptrace access mode checking"), and
// of a signal to it.
bool domain_lets_look(pid_t tid, pid_t target);
bool domain_lets_signal(pid_t tid, pid_t target);

}  // namespace holdfast
