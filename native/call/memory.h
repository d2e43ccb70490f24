// The memory of a process of the tree. By process_vm_readv where the kernel lets us; where a host refuses that, or a
// process has changed its ids and we lack CAP_SYS_PTRACE, by /proc/<tid>/mem, which stays readable once it is open.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace holdfast {

class Tree;

// As process_vm_readv: bytes, or -1 with errno.
ssize_t read_memory(pid_t tid, const Tree& tree, uint64_t address, void* to, size_t size);
ssize_t write_memory(pid_t tid, const Tree& tree, uint64_t address, const void* from, size_t size);
// Also where the process itself may only read or execute: that page becomes a copy of its own, as by a debugger's
// breakpoint (proc(5), /proc/pid/mem).
ssize_t write_protected(pid_t tid, const Tree& tree, uint64_t address, const void* from, size_t size);

// Whether CAP_SYS_PTRACE keeps every process open to us, whoever it is and whatever it calls itself (PR_SET_DUMPABLE).
bool can_look_into_all();

// The caller is about to change its ids, after which its memory may be closed to us: opens it while it is not.
void keep_memory(pid_t tid, pid_t group);
// For the tracer, before the first instruction after an exec and when a process is reaped: its memory is another. All
// other threads of it have been reaped by then, and nobody works for them.
void forget_memory(pid_t group);

}  // namespace holdfast
