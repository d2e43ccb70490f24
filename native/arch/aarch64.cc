#include <asm/ptrace.h>
#include <asm/unistd.h>
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "arch.h"

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404  // linux/elf.h
#endif

namespace holdfast::arch {

const uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
const char* const kName = "aarch64";
const uint64_t kForeignNumberBit = 0;
const int kResultArgument = 0;
// It is shown orig_x0, which no request changes (syscall_get_arguments() in arch/arm64/include/asm/syscall.h).
const bool kFilterSeesChanges = false;
const bool kForgetsCalls = true;
const uint64_t kSyscallInstructionBytes = 4;
const uint64_t kBreakpoint = 0xd4200000;  // brk #0
const unsigned kBreakpointBytes = 4;
const uint64_t kBreakpointAdvance = 0;

namespace {
user_pt_regs& of(Registers& registers) { return *reinterpret_cast<user_pt_regs*>(registers.raw); }
const user_pt_regs& of(const Registers& registers) { return *reinterpret_cast<const user_pt_regs*>(registers.raw); }
static_assert(sizeof(user_pt_regs) <= sizeof(Registers::raw));
}  // namespace

int get(pid_t tid, Registers& registers) {
  iovec where = {registers.raw, sizeof(user_pt_regs)};
  if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &where) != 0) return errno;
  registers.size = where.iov_len;
  return 0;
}

int set(pid_t tid, const Registers& registers) {
  iovec where = {const_cast<uint8_t*>(registers.raw), static_cast<size_t>(registers.size)};
  return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &where) == 0 ? 0 : errno;
}

// Documentation/arch/arm64/tagged-address-abi.rst
uint64_t without_tag(uint64_t address) { return address & 0x00ffffffffffffff; }

uint64_t number(const Registers& registers) { return of(registers).regs[8]; }
uint64_t argument(const Registers& registers, int index) { return of(registers).regs[index]; }
int64_t result(const Registers& registers) { return static_cast<int64_t>(of(registers).regs[0]); }
uint64_t instruction_pointer(const Registers& registers) { return of(registers).pc; }
uint64_t stack_pointer(const Registers& registers) { return of(registers).sp; }
bool has_exit(const Registers&) { return true; }

void set_argument(Registers& registers, int index, uint64_t value) { of(registers).regs[index] = value; }
void set_result(Registers& registers, int64_t value) { of(registers).regs[0] = static_cast<uint64_t>(value); }
void set_instruction_pointer(Registers& registers, uint64_t value) { of(registers).pc = value; }

int64_t entered_number(pid_t tid, const Registers&) {
  int value = -1;
  iovec where = {&value, sizeof value};
  return ptrace(PTRACE_GETREGSET, tid, NT_ARM_SYSTEM_CALL, &where) == 0 ? value : -1;
}

// The number that runs is not register x8 but a register set of its own once the call has been entered.
int set_number(pid_t tid, Registers&, int64_t number) {
  int value = static_cast<int>(number);
  iovec where = {&value, sizeof value};
  return ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &where) == 0 ? 0 : errno;
}

void call_again(Registers& registers, int64_t number) {
  of(registers).pc -= kSyscallInstructionBytes;
  of(registers).regs[8] = static_cast<uint64_t>(number);
}

int interrupt(pid_t tid, Registers& registers, int64_t number) {
  of(registers).regs[0] = static_cast<uint64_t>(kRestartIfAsked);
  if (const int error = set(tid, registers)) return error;
  return set_number(tid, registers, number);
}

namespace {

bool is_call_at(pid_t tid, uint64_t address) {
  constexpr uint32_t kCall = 0xd4000001;  // svc #0
  errno = 0;
  const long word = ptrace(PTRACE_PEEKTEXT, tid, without_tag(address), nullptr);
  return errno == 0 && static_cast<uint32_t>(word) == kCall;
}

}  // namespace

// The register keeps its number until the program writes to it, and what the kernel has of it is forgotten before such
// a stop (do_signal() in arch/arm64/kernel/signal.c): only the instruction tells.
int64_t call_beside(pid_t tid, const Registers& registers) {
  const uint64_t at = instruction_pointer(registers);
  return is_call_at(tid, at - kSyscallInstructionBytes) || is_call_at(tid, at) ? static_cast<int>(number(registers))
                                                                               : -1;
}

bool is_to_call_again(pid_t tid, const Registers& registers) { return is_call_at(tid, instruction_pointer(registers)); }

namespace {

constexpr uint64_t kTag = uint64_t{1} << 56;

// Whether an instruction does nothing, or puts into a register what that has already: NOP, MOVZ, MOVN, MOV of a
// register (Arm Architecture Reference Manual, C6.2), which is what compilers and libraries put before a call.
bool does_nothing_twice(uint32_t word, const user_pt_regs& r) {
  constexpr uint32_t kNop = 0xd503201f;
  if (word == kNop) return true;
  const bool wide = word >> 31 != 0;
  const auto value_of = [&](uint32_t index) { return index == 31 ? 0 : r.regs[index]; };
  const auto has = [&](uint64_t value) {
    const uint32_t index = word & 31;
    return index != 31 && r.regs[index] == (wide ? value : static_cast<uint32_t>(value));
  };
  const uint64_t immediate = static_cast<uint64_t>(word >> 5 & 0xffff) << (word >> 21 & 3) * 16;
  switch (word & 0x7f800000) {
    case 0x52800000:
      return has(immediate);
    case 0x12800000:
      return has(~immediate);
    default:
      return (word & 0x7fe0ffe0) == 0x2a0003e0 && has(value_of(word >> 16 & 31));
  }
}

}  // namespace

// do_signal() in arch/arm64/kernel/signal.c has moved the thread back to its call before this stop. After it, for such
// a handler, it takes that back if the thread is there still. So the thread goes one instruction further back, if that
// can be made twice. Else it gets the same place by another number: the way back to the program clears the highest byte
// (Documentation/arch/arm64/tagged-pointers.rst). Only then, since a handler that walks the stack does not know that.
bool call_again_in_any_case(pid_t tid, Registers& registers) {
  user_pt_regs& r = of(registers);
  errno = 0;
  const long word = ptrace(PTRACE_PEEKTEXT, tid, without_tag(r.pc) - kSyscallInstructionBytes, nullptr);
  if (errno == 0 && does_nothing_twice(static_cast<uint32_t>(word), r)) {
    r.pc -= kSyscallInstructionBytes;
  } else {
    r.pc |= kTag;
  }
  return set(tid, registers) == 0;
}

// The kernel keeps it (orig_x0) in no set of registers, but shows it at seccomp's stops, which it knows by the code of
// what the stop says of itself: ptrace_get_syscall_info() in kernel/ptrace.c.
bool first_argument(pid_t tid, const Registers&, uint64_t& value) {
  siginfo_t own, seccomp = {};
  if (ptrace(PTRACE_GETSIGINFO, tid, nullptr, &own) != 0) return false;
  seccomp.si_signo = SIGTRAP;
  seccomp.si_code = SIGTRAP | PTRACE_EVENT_SECCOMP << 8;
  if (ptrace(PTRACE_SETSIGINFO, tid, nullptr, &seccomp) != 0) return false;
  __ptrace_syscall_info info = {};
  const long size = ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info);
  if (ptrace(PTRACE_SETSIGINFO, tid, nullptr, &own) != 0 || size <= 0) return false;
  value = info.entry.args[0];
  return info.op == PTRACE_SYSCALL_INFO_SECCOMP;
}

// do_signal() in arch/arm64/kernel/signal.c has decided by the result before this stop whether the call is made again,
// by where the thread goes on. After the stop it looks at that place.
bool change_result(pid_t tid, Registers& registers, int64_t from, int64_t to) {
  user_pt_regs& r = of(registers);
  if (from == kRestartInAnyCase) {  // as this has left it
    if (!is_call_at(tid, r.pc)) return false;
    r.pc += kSyscallInstructionBytes;
    set_result(registers, to);
    return set(tid, registers) == 0;
  }
  if (result(registers) != from || !is_call_at(tid, r.pc - kSyscallInstructionBytes)) return false;
  if (to != kRestartInAnyCase) {
    set_result(registers, to);
    return set(tid, registers) == 0;
  }
  uint64_t first;
  if (!first_argument(tid, registers, first)) return false;
  r.pc -= kSyscallInstructionBytes;
  r.regs[0] = first;
  return set(tid, registers) == 0;
}

int skip(pid_t tid, Registers& registers, int64_t result) {
  of(registers).regs[0] = static_cast<uint64_t>(result);
  if (const int error = set(tid, registers)) return error;
  return set_number(tid, registers, -1);
}

int skip_foreign(pid_t tid, Registers& registers, int64_t result) {
  // Of a 32-bit thread the set is an array of words, r0 first (arch/arm64/kernel/ptrace.c, user_aarch32_view); a part
  // of it may be written.
  uint32_t value = static_cast<uint32_t>(result);
  iovec where = {&value, sizeof value};
  if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &where) != 0) return errno;
  return set_number(tid, registers, -1);
}

}  // namespace holdfast::arch
