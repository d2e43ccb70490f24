// What the families of sockets, signals and processes share: the caller's descriptors.
#pragma once

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../policy/decide.h"
#include "../protocol/unique_fd.h"
#include "../view/creds.h"

namespace holdfast::families {

// A copy of the caller's descriptor: whatever the tree does to its own number afterwards, the copy stays what was
// checked. 0, EBADF, ESRCH (the caller is gone), or EPERM where this kernel or container does not let us
// (pidfd_getfd(2)).
int copy_descriptor(const Held& call, int fd, UniqueFd& out);

// Whether the caller itself can be made to send its descriptor (trace engine), after copy_descriptor answered EPERM;
// and the end of the handler that asks for it: the handler is called again, and copy_descriptor finds what was sent.
bool can_borrow(const Held& call, int copied);
Finish borrow(int fd);

// A copy, or the end of the call: asked of the caller itself, or refused; EPERM with an event that says `refused`.
bool take_copy(Sandbox& sandbox, const Held& call, int fd, const char* refused, UniqueFd& out, Finish& finish);

// Whether anybody in the tree has put on a seccomp filter of its own, which calls made in its name meet, too.
bool processes_have_filters();

// The end of a call whose memory could not be read or written; `error` is Held::read's.
inline Finish memory_failed(int error) { return error == -ESRCH ? Finish::gone() : Finish::answer(error); }

// The end of a call that a decision does not allow. A verdict that makes no sense for the call refuses it.
Finish refusal(const Decision& decision);

// FIOASYNC, FIOSETOWN, SIOCSPGRP on a copy of the caller's descriptor (families/descriptor_owner.cc).
Finish set_owner_by_ioctl(Sandbox& sandbox, const Held& call, int fd);

}  // namespace holdfast::families
