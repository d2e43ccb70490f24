// The only place that knows the architecture: one implementation per directory entry, chosen by the build.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace holdfast::arch {

// The value of seccomp_data.arch and of PTRACE_GET_SYSCALL_INFO for native calls.
extern const uint32_t kAuditArch;
extern const char* const kName;           // "x86_64", "aarch64": the table's column
extern const uint64_t kForeignNumberBit;  // x32's bit in the number, or 0
extern const uint64_t kSyscallInstructionBytes;
// Whether a seccomp program that is asked once more, after a stop, sees the first argument as the tracer has changed
// it.
extern const bool kFilterSeesChanges;
extern const int kResultArgument;  // the argument whose register holds the result after the call, or -1

struct Registers {
  alignas(16) uint8_t raw[512];  // the architecture's user registers
  uint64_t size;
};

// The instruction that stops a thread by SIGTRAP, its size, and how far the pointer is behind its start then.
extern const uint64_t kBreakpoint;
extern const unsigned kBreakpointBytes;
extern const uint64_t kBreakpointAdvance;

// Of a stopped tracee. 0 or a positive errno (ESRCH: it died).
int get(pid_t tid, Registers& registers);
int set(pid_t tid, const Registers& registers);

// Results of calls that are made again, include/linux/errno.h: if the handler says so, and in any case. Programs never
// see them.
inline constexpr int64_t kRestartIfAsked = -512;    // ERESTARTSYS
inline constexpr int64_t kRestartInAnyCase = -513;  // ERESTARTNOINTR

// An address of a tracee without what the architecture ignores of it, so that it can be a place in /proc/PID/mem.
uint64_t without_tag(uint64_t address);

uint64_t number(const Registers&);
// At a stop that is none of a call's own: which call the thread has just come out of, or is about to make; -1: neither.
int64_t call_beside(pid_t tid, const Registers&);
// At a signal-delivery stop: the thread's call ended with ERESTARTSYS, so that it is made again but for a handler
// without SA_RESTART. May be true of who is only about to make one.
bool is_to_call_again(pid_t tid, const Registers&);
// Such a thread makes it again after any handler. False: it died.
bool call_again_in_any_case(pid_t tid, Registers&);
// In a call, as at a seccomp stop: which one runs, if it was changed at its entry (aarch64 keeps the register as it
// was). -1: it died.
int64_t entered_number(pid_t tid, const Registers&);
uint64_t argument(const Registers&, int index);
int64_t result(const Registers&);
uint64_t instruction_pointer(const Registers&);
uint64_t stack_pointer(const Registers&);
// At a seccomp stop: whether an exit stop follows. Not where the kernel itself makes the call for who jumps to a page
// of its own (x86_64, vsyscall).
bool has_exit(const Registers&);

void set_argument(Registers&, int index, uint64_t value);
void set_result(Registers&, int64_t value);
void set_instruction_pointer(Registers&, uint64_t value);
// At a syscall's exit stop: when the tracee goes on, it makes the call `number` with the registers' arguments.
void call_again(Registers&, int64_t number);
// At a syscall's exit stop: the thread's call was `number` and was interrupted (ERESTARTSYS), whatever was made of it.
int interrupt(pid_t tid, Registers& registers, int64_t number);
// At a signal-delivery stop or a PTRACE_EVENT_STOP: the thread's call answered `from`, and now it answers `to`; the
// kernel then looks at that (EINTR, ERESTARTSYS and the like). False where it was not so, or cannot be told or changed
// at such a stop. Where the kernel has forgotten there that it was a call (kForgetsCalls), whoever comes back from a
// handler to right behind it looks the same: ask only of a thread that has handled no signal.
bool change_result(pid_t tid, Registers& registers, int64_t from, int64_t to);
extern const bool kForgetsCalls;
// Of a call that has answered, at such a stop: what its first argument was.
bool first_argument(pid_t tid, const Registers& registers, uint64_t& value);
// At a seccomp stop. The number may need a request of its own (aarch64: NT_ARM_SYSTEM_CALL), so it acts at once.
int set_number(pid_t tid, Registers& registers, int64_t number);
// At a seccomp stop: the call does not run and answers `result`. Writes the registers.
int skip(pid_t tid, Registers& registers, int64_t result);
// The same of a call by another ABI, whose registers may be laid out otherwise (a compat tracee on aarch64).
int skip_foreign(pid_t tid, Registers& registers, int64_t result);

}  // namespace holdfast::arch
