// execve, execveat: decided at entry, verified at the exec stop (engine/exec_check.cc).
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../call/pages.h"
#include "../launch/program_file.h"
#include "../policy/config.h"
#include "../policy/decide.h"
#include "../policy/record.h"
#include "../policy/redirected_program.h"
#include "../policy/written.h"
#include "../syscalls/guards.h"
#include "../syscalls/sealed_range.h"
#include "../view/creds.h"
#include "../view/resolve.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

constexpr size_t kHeadBytes = 256;     // BINPRM_BUF_SIZE, linux/binfmts.h: what the kernel looks at
constexpr int kMostScripts = 5;        // then ELOOP: execve(2), "Interpreter scripts"
constexpr int kExecveCheck = 0x10000;  // AT_EXECVE_CHECK, linux/fcntl.h: since Linux 6.14
// fs/exec.c, bprm_stack_limits(): a quarter of the stack's limit, at most three quarters of _STK_LIM, at least ARG_MAX.
constexpr size_t kMostArgumentBytes = 6 << 20;
constexpr size_t kLeastArgumentBytes = 128 << 10;

Finish from(const Decision& decision) {
  switch (decision.kind) {
    case Decision::Kind::kill:
      return Finish::kill(decision.error);
    case Decision::Kind::gone:
      return Finish::gone();
    default:
      return Finish::error(decision.error != 0 ? decision.error : EACCES);
  }
}

// What the kernel would take of this caller's arguments and their pointers. What cannot be read counts as the most.
size_t argument_limit(const Held& call) {
  rlimit64 stack;
  if (prlimit64(call.tid, RLIMIT_STACK, nullptr, &stack) != 0) return kMostArgumentBytes;
  return std::clamp<size_t>(stack.rlim_cur / 4, kLeastArgumentBytes, kMostArgumentBytes);
}

// The caller's argument list. 0, or the errno that the kernel would give.
int read_arguments(const Held& call, uint64_t list, std::vector<std::string>& out) {
  constexpr size_t kMostString = 128 << 10;  // MAX_ARG_STRLEN: execve(2)
  Pages pages(call);
  const size_t most = argument_limit(call);
  // All pointers first: what has too many of them is refused before any string is read.
  std::vector<uint64_t> pointers;
  int error = 0;
  for (uint64_t at = list; list != 0; at += sizeof(uint64_t)) {
    uint64_t pointer;
    const std::string_view here = pages.from(at, error);
    if (here.size() >= sizeof pointer)
      memcpy(&pointer, here.data(), sizeof pointer);
    else if ((error = call.read(at, &pointer, sizeof pointer)) != 0)
      return -error;
    if (pointer == 0) break;
    if ((pointers.size() + 1) * sizeof pointer >= most) return E2BIG;
    pointers.push_back(pointer);
  }
  size_t room = most - pointers.size() * sizeof(uint64_t);
  out.reserve(pointers.size());
  for (const uint64_t pointer : pointers) {
    std::string& text = out.emplace_back();
    for (uint64_t at = pointer;;) {
      const std::string_view here = pages.from(at, error);
      if (here.empty()) return -error;
      const size_t length = here.find('\0');
      text.append(here.substr(0, length));
      if (text.size() >= kMostString || text.size() + 1 > room) return E2BIG;
      if (length != here.npos) break;
      at += here.size();
    }
    room -= text.size() + 1;
  }
  if (out.empty()) out.emplace_back();  // the kernel adds an empty argv[0] (since Linux 5.18)
  return 0;
}

// The interpreter line of a script, as load_script() in fs/binfmt_script.c reads it from a buffer that is zero behind
// the file's end: to the letter, because what was executed is compared with it. False if the kernel would not take it.
bool parse_script(const char (&head)[kHeadBytes], std::string& interpreter, std::string& argument) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  // Both look at `last` itself, too, and give nullptr if there is none.
  const auto next_other = [&](const char* first, const char* last) -> const char* {
    for (; first <= last; first++)
      if (!blank(*first)) return first;
    return nullptr;
  };
  const auto next_end = [&](const char* first, const char* last) -> const char* {
    for (; first <= last; first++)
      if (blank(*first) || *first == '\0') return first;
    return nullptr;
  };
  const char* const last = head + kHeadBytes - 1;
  const char* end = static_cast<const char*>(memchr(head, '\n', strnlen(head, kHeadBytes)));
  if (end == nullptr) {
    const char* name = next_other(head + 2, last);
    if (name == nullptr || next_end(name, last) == nullptr) return false;  // the name may be cut
    end = last;
  }
  while (blank(end[-1])) end--;
  const char* name = next_other(head + 2, end);
  if (name == nullptr || name == end) return false;
  const char* separator = next_end(name, end);
  const char* text = separator != nullptr && *separator != '\0' ? next_other(separator, end) : nullptr;
  // The kernel ends both with a NUL and takes them as strings.
  const auto string = [](const char* from, const char* to) {
    return std::string(from, strnlen(from, static_cast<size_t>(to - from)));
  };
  interpreter = string(name, separator != nullptr && separator < end ? separator : end);
  argument = text != nullptr ? string(text, end) : "";
  return true;
}

// One file of the chain may be executed by the caller, whose rights are worn: what the kernel asks of the object
// itself.
int may_execute(const Resolved& file, struct stat& status) {
  if (fstat(file.object.get(), &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return faccessat(file.object.get(), "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0 ? 0 : errno;
}

// What rules and hooks allow, the second wall allows too, but for a name that stands for something else than at the
// start: the kernel would refuse it without a word.
bool beyond_second_wall(Sandbox& sandbox, const Held& call, const std::string& path, const struct stat& status) {
  if (sandbox.config.second_wall.may_execute(path, status.st_dev, status.st_ino)) return false;
  report(sandbox, call, EACCES,
         "Landlock was told at the start where programs are, and does not know of this file; name it, or the folder it "
         "lies in, in `files.read` or `exec`",
         path);
  return true;
}

// A program in memory is always of the tree's own making.
bool is_own_work(const std::string& path, const struct stat& status) {
  return writes_followed() && (is_written({status.st_dev, status.st_ino}) || is_nameless(path));
}

// What the tree has written is not executed, if the policy says so. Whether that is still so is asked again at the exec
// stop.
bool is_unwritten(Sandbox& sandbox, const Held& call, ExecApproval& approved, const std::string& path,
                  const struct stat& status) {
  if (!writes_followed()) return true;
  approved.unwritten.push_back({status.st_dev, status.st_ino});
  if (!is_own_work(path, status)) return true;
  Facts facts;
  facts.event = Event::exec;
  facts.paths[0] = {path, protocol::kExecute, false};
  facts.path_count = 1;
  report_refused(sandbox, call, facts, EACCES, "exec.written", "this tree has written it",
                 {"exec", nullptr, false, false});
  return false;
}

// A program on its way through what interprets it.
struct Chain {
  Resolved file;
  std::string name;  // by which the kernel is told of it
  std::vector<std::string> arguments;
  bool by_arguments = false;  // they are known, and judged
  bool redirected = false;    // a hook has chosen it: hooks are not asked again, and only deny rules are
  std::unique_ptr<ExecApproval> approved = std::make_unique<ExecApproval>();
  std::vector<std::string> prefix;  // what interpreters add to the argument list
  std::string first_path;
  // A hook wants another program in its place, and was shown these arguments.
  std::string redirect;
  std::vector<std::string> shown;
};

// False: it does not go on, by `end` or by `redirect`.
bool decided(Sandbox& sandbox, const Held& call, Chain& chain, const Facts& facts,
             const std::vector<std::string>& shown, Finish& end) {
  Decision decision = chain.redirected ? decide_redirected(sandbox, call, facts) : decide(sandbox, call, facts);
  if (decision.allowed()) return true;
  if (decision.kind == Decision::Kind::redirect) {
    chain.redirect = std::move(decision.data);
    chain.shown = shown;
  } else {
    end = from(decision);
  }
  return false;
}

// Follows `#!` lines up to the image, judges each, and says what must turn out to have been executed. False as above.
bool follow(Sandbox& sandbox, const Held& call, Chain& chain, Finish& end) {
  const auto over = [&](int error) { return end = Finish::error(error), false; };
  const bool hooked = sandbox.config.hooked(Event::exec) && !chain.redirected;
  Resolved& file = chain.file;
  ExecApproval& approved = *chain.approved;
  struct stat status;
  const bool is_known = fstat(file.object.get(), &status) == 0;
  if (is_known && S_ISLNK(status.st_mode)) return over(ELOOP);

  // Nothing of a file is told to who may not have it: rules come before its contents, but for what only hooks can say.
  chain.first_path = file.path;
  Facts wanted;
  wanted.event = Event::exec;
  wanted.paths[0] = {chain.first_path, protocol::kExecute, false};
  wanted.path_count = 1;
  wanted.environment = call.arg(Arg::envp);
  wanted.refused_anyway = is_known && is_own_work(chain.first_path, status);
  if (chain.by_arguments) {
    wanted.argv = chain.arguments.data();
    wanted.argv_count = chain.arguments.size();
  }
  if (hooked) {
    const Decision decision = decide_denied(sandbox, call, wanted);
    if (!decision.allowed()) return end = from(decision), false;
  } else if (!decided(sandbox, call, chain, wanted, chain.arguments, end)) {
    return false;
  }

  int error = 0;
  struct stat first_status = {};
  std::string shown_interpreter;
  char head[kHeadBytes];
  for (int depth = 0;; depth++) {
    if (depth > kMostScripts) return over(ELOOP);
    if (depth > 0) {
      // What a `#!` line leads to is executed like any other: its own hooks hear of it, as the kernel will call it.
      std::vector<std::string> shown;
      Facts facts;
      facts.event = Event::exec;
      facts.paths[0] = {file.path, protocol::kExecute, false};
      facts.path_count = 1;
      facts.refused_anyway = fstat(file.object.get(), &status) == 0 && is_own_work(file.path, status);
      if (chain.by_arguments) {
        shown = chain.prefix;
        for (size_t i = 1; i < chain.arguments.size(); i++) shown.push_back(chain.arguments[i]);
        facts.argv = shown.data();
        facts.argv_count = shown.size();
        facts.environment = call.arg(Arg::envp);
      }
      if (!decided(sandbox, call, chain, facts, shown, end)) return false;
    }
    if ((error = may_execute(file, status)) != 0) return over(error);
    if (depth == 0 && is_own_work(file.path, status)) note_refused_anyway(sandbox, EACCES, "exec.written");
    if (!is_unwritten(sandbox, call, approved, file.path, status)) return over(EACCES);
    if (depth == 0)
      first_status = status;
    else if (beyond_second_wall(sandbox, call, file.path, status))
      return over(EACCES);
    UniqueFd content(reopen(file.object.get(), O_RDONLY | O_CLOEXEC));
    if (!content) {
      // A program that its user may not read becomes undumpable, which would hide it from the supervisor.
      report(sandbox, call, EACCES, "a program that may be executed but not read cannot be supervised", file.path);
      return over(EACCES);
    }
    memset(head, 0, sizeof head);
    const ssize_t size = pread(content.get(), head, sizeof head, 0);
    if (size < 0) return over(errno);
    if (size >= 2 && head[0] == '#' && head[1] == '!') {
      approved.executed |= sandbox.config.exec.given_by(file.path, false);
      std::string interpreter, argument;
      if (!parse_script(head, interpreter, argument)) return over(ENOEXEC);
      std::vector<std::string>& prefix = chain.prefix;
      prefix.insert(prefix.begin(), chain.name);
      if (depth > 0) prefix.erase(prefix.begin() + 1);  // the old argv[0] makes room for this very name
      if (!argument.empty()) prefix.insert(prefix.begin(), argument);
      prefix.insert(prefix.begin(), interpreter);
      chain.name = interpreter;
      Resolved next;
      if ((error = resolve_text(sandbox, call, AT_FDCWD, interpreter, kFollow | kContents, next)) != 0)
        return over(error);
      file = std::move(next);
      shown_interpreter = file.path;
      continue;
    }
    approved.device = status.st_dev;
    approved.inode = status.st_ino;
    approved.path = file.path;
    approved.executed |= sandbox.config.exec.given_by(file.path, true);
    if (size >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
      std::string interpreter;
      if (read_elf_interpreter(content.get(), head, static_cast<size_t>(size), interpreter) != 0) {
        report(sandbox, call, ENOEXEC, "not a program of this architecture's own ABI", file.path);
        return over(ENOEXEC);
      }
      if (!interpreter.empty()) {
        Resolved loader;
        if ((error = resolve_text(sandbox, call, AT_FDCWD, interpreter, kFollow | kContents, loader)) != 0)
          return over(error);
        if (fstat(loader.object.get(), &status) != 0) return over(errno);
        if (!is_unwritten(sandbox, call, approved, loader.path, status)) return over(EACCES);
        Facts facts;
        facts.event_syscall = call.row->name;
        facts.paths[0] = {loader.path, protocol::kRead, false};
        facts.path_count = 1;
        if (!decided(sandbox, call, chain, facts, {}, end)) return false;
        if (beyond_second_wall(sandbox, call, loader.path, status)) return over(EACCES);
        approved.interpreter = loader.path;
        approved.interpreter_device = status.st_dev;
        approved.interpreter_inode = status.st_ino;
      }
    }
    break;
  }

  if (hooked) {
    wanted.interpreter = shown_interpreter;
    if (!decided(sandbox, call, chain, wanted, chain.arguments, end)) return false;
  }
  if (beyond_second_wall(sandbox, call, chain.first_path, first_status)) return over(EACCES);

  approved.arguments = std::move(chain.prefix);
  approved.check_arguments = chain.by_arguments;
  if (chain.by_arguments) {
    const size_t skipped = approved.arguments.empty() ? 0 : 1;  // an interpreter takes argv[0]'s place
    for (size_t i = skipped; i < chain.arguments.size(); i++) approved.arguments.push_back(chain.arguments[i]);
  }
  return true;
}

// A list of texts behind what is in the bounce already; where its pointers begin.
size_t append_list(Bounce& bounce, const std::vector<std::string>& texts) {
  std::vector<uint64_t> pointers;
  for (const std::string& text : texts) {
    pointers.push_back(bounce.more.size());
    bounce.more.insert(bounce.more.end(), text.c_str(), text.c_str() + text.size() + 1);
  }
  pointers.push_back(0);
  bounce.more.resize((bounce.more.size() + 7) & ~size_t{7});
  const size_t at = bounce.more.size();
  bounce.more.resize(at + pointers.size() * sizeof(uint64_t));
  memcpy(bounce.more.data() + at, pointers.data(), pointers.size() * sizeof(uint64_t));
  for (size_t i = 0; i < texts.size(); i++)
    bounce.more_inner.push_back(static_cast<uint32_t>(at + i * sizeof(uint64_t)));
  return at;
}

// The program that a hook has chosen, by its canonical name and with the arguments and the environment that it has
// given, all of them in the sealed page; what of them is the caller's own is compared with what the hook was shown.
Finish execute_elsewhere(Sandbox& sandbox, const Held& call, const std::string& data,
                         std::vector<std::string> arguments, bool own_list) {
  RedirectedProgram to;
  if (!to.parse(data)) return Finish::error(EACCES);
  Chain chain;
  chain.redirected = true;
  chain.by_arguments = true;
  chain.arguments = to.has_arguments ? to.arguments : std::move(arguments);
  const int error = resolve_text(sandbox, call, AT_FDCWD, to.path, kFollow | kContents | kOwnLinks, chain.file);
  if (error != 0) return Finish::error(error);
  chain.name = chain.file.path;
  Finish end;
  if (!follow(sandbox, call, chain, end)) return end;

  auto bounce = std::make_unique<Bounce>();
  bounce->more.assign(chain.first_path.c_str(), chain.first_path.c_str() + chain.first_path.size() + 1);
  bounce->pointer(call.row->index(Arg::path), 0);
  if (to.has_arguments || !own_list)
    bounce->pointer(call.row->index(Arg::argv), static_cast<int64_t>(append_list(*bounce, chain.arguments)));
  if (to.has_environment) {
    bounce->pointer(call.row->index(Arg::envp), static_cast<int64_t>(append_list(*bounce, to.environment)));
    chain.approved->check_environment = true;
    chain.approved->environment = std::move(to.environment);
  }
  if (bounce->more.size() > kMostSlotBytes) {
    report(sandbox, call, E2BIG, "a hook's arguments and environment take more than 128 KiB", chain.first_path);
    return Finish::error(E2BIG);
  }
  if (call.has(Arg::dirfd)) bounce->value(call.row->index(Arg::dirfd), static_cast<uint64_t>(AT_FDCWD));
  if (call.has(Arg::at_flags)) bounce->value(call.row->index(Arg::at_flags), 0);
  bounce->value(kExecMark, kStopsExec);  // the filter is asked once more, and is not to notify
  bounce->exec = std::move(chain.approved);
  return Finish::bounce(std::move(bounce));
}

}  // namespace

Finish execute(Sandbox& sandbox, Held& call) {
  const int at_flags = static_cast<int>(call.arg(Arg::at_flags));
  if ((at_flags & kExecveCheck) != 0) {
    // Nothing would be executed, so there would be no point at which it can be seen what was asked about. Kernels
    // before 6.14 give the same errno.
    report(sandbox, call, EINVAL, "AT_EXECVE_CHECK: a call that only asks whether something could be executed");
    return Finish::error(EINVAL);
  }
  if ((at_flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0) return Finish::error(EINVAL);
  const unsigned flags = kContents | ((at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0u : kFollow);
  // The whole chain: even whether a name is there is nobody's to know who may not search its folder.
  const AsCaller as_caller(call);
  if (as_caller.error != 0) return Finish::error(as_caller.error);
  Chain chain;
  int error = resolve(sandbox, call, Arg::dirfd, Arg::path, flags | ((at_flags & AT_EMPTY_PATH) != 0 ? kEmptyPath : 0u),
                      chain.file);
  if (error != 0) return Finish::error(error);
  chain.by_arguments = sandbox.config.hooked(Event::exec) ||
                       sandbox.config.any_says([](const Config& by) { return by.exec.by_arguments(); });
  if (chain.by_arguments && (error = read_arguments(call, call.arg(Arg::argv), chain.arguments)) != 0)
    return Finish::error(error);

  // The text by which the kernel hands a script to its interpreter: fs/exec.c, alloc_bprm().
  char text[4096];
  const ssize_t length = call.read_string(call.arg(Arg::path), text, sizeof text);
  if (length < 0) return Finish::error(static_cast<int>(-length));
  chain.name.assign(text, static_cast<size_t>(length));
  if (call.has(Arg::dirfd) && call.fd(Arg::dirfd) != AT_FDCWD && (chain.name.empty() || chain.name[0] != '/'))
    chain.name = "/dev/fd/" + std::to_string(call.fd(Arg::dirfd)) + (chain.name.empty() ? "" : "/" + chain.name);
  const bool led = chain.file.led;
  if (led) chain.name = chain.file.path;

  Finish end;
  if (!follow(sandbox, call, chain, end)) {
    if (chain.redirect.empty()) return end;
    // An interpreter was shown what the kernel would have given it, which is not what the caller has in its memory.
    const bool own_list = chain.shown == chain.arguments;
    return execute_elsewhere(sandbox, call, chain.redirect, std::move(chain.shown), own_list);
  }
  if (led) {
    // By the name that the kernel knows.
    auto bounce = std::make_unique<Bounce>();
    bounce->more.assign(chain.first_path.c_str(), chain.first_path.c_str() + chain.first_path.size() + 1);
    bounce->pointer(call.row->index(Arg::path), 0);
    if (call.has(Arg::dirfd)) bounce->value(call.row->index(Arg::dirfd), static_cast<uint64_t>(AT_FDCWD));
    bounce->value(kExecMark, kStopsExec);
    bounce->exec = std::move(chain.approved);
    return Finish::bounce(std::move(bounce));
  }
  Finish finish = Finish::proceed();
  finish.arguments = std::make_unique<Bounce>();
  finish.arguments->exec = std::move(chain.approved);
  return finish;
}

}  // namespace holdfast::families
