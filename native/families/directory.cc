// The working directory, and the umask, which goes with it. Whether a place is one, and may be searched, the kernel
// says to the caller itself. It walks the path again in the caller, and may end elsewhere if the tree changes it
// meanwhile; nothing is lost by that, as every later relative path starts from the directory that it really is.
#include <errno.h>
#include <fcntl.h>

#include <memory>
#include <string_view>

#include "../view/creds.h"
#include "../view/resolve.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {

Finish change_directory(Sandbox& sandbox, Held& call) {
  auto bounce = std::make_unique<Bounce>();
  char path[Bounce::kCapacity];  // PATH_MAX, as the kernel reads it
  const ssize_t length = call.read_string(call.arg(Arg::path), path, sizeof path);
  if (length < 0) return length == -ESRCH ? Finish::gone() : Finish::answer(length);
  Resolved where;
  {
    const AsCaller caller(call);
    const std::string_view text = {path, static_cast<size_t>(length)};
    const int error = caller.error != 0 ? caller.error : resolve_text(sandbox, call, AT_FDCWD, text, kFollow, where);
    if (error != 0) return Finish::error(error);
  }
  Facts facts;
  facts.event = call.row->event;
  facts.paths[0] = {where.path, 0, false};
  facts.path_count = 1;
  Decision decision;
  // What the caller has open, it may make its working directory by fchdir() too.
  if (where.by_descriptor)
    decision.kind = Decision::Kind::allow;
  else
    decision = decide(sandbox, call, facts);
  if (!decision.allowed()) return refusal(decision);
  sandbox.tree.end_stay(call.tgid());
  // With its NUL. The kernel knows nothing of folders that lead elsewhere.
  const int64_t at = where.led ? bounce->append(where.path.c_str(), where.path.size() + 1)
                               : bounce->append(path, static_cast<size_t>(length) + 1);
  if (at < 0) return Finish::error(ENAMETOOLONG);
  bounce->pointer(call.row->index(Arg::path), at);
  return Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounce));
}

Finish leave_directory(Sandbox& sandbox, Held& call) {
  sandbox.tree.end_stay(call.tgid());
  return Finish::proceed();
}

Finish change_umask(Sandbox& sandbox, Held& call) {
  sandbox.tree.forget_umask(call.tgid());
  return Finish::proceed();
}

}  // namespace holdfast::families
