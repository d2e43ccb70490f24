#include <asm/ptrace.h>
#include <asm/unistd.h>
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
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

// do_signal() in arch/arm64/kernel/signal.c has taken the result before this stop, decides by that, and has forgotten
// the call's number and its first argument.
bool change_result(pid_t, Registers&, int64_t, int64_t) { return false; }

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
