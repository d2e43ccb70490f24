#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "arch.h"

namespace holdfast::arch {

const uint32_t kAuditArch = AUDIT_ARCH_X86_64;
const char* const kName = "x86_64";
const uint64_t kForeignNumberBit = 0x40000000;  // __X32_SYSCALL_BIT, asm/unistd.h
const int kResultArgument = -1;
const bool kFilterSeesChanges = true;
const bool kForgetsCalls = false;
const uint64_t kSyscallInstructionBytes = 2;  // 0f 05
const uint64_t kBreakpoint = 0xcc;            // int3
const unsigned kBreakpointBytes = 1;
const uint64_t kBreakpointAdvance = 1;

namespace {
user_regs_struct& of(Registers& registers) { return *reinterpret_cast<user_regs_struct*>(registers.raw); }
const user_regs_struct& of(const Registers& registers) {
  return *reinterpret_cast<const user_regs_struct*>(registers.raw);
}
static_assert(sizeof(user_regs_struct) <= sizeof(Registers::raw));
}  // namespace

int get(pid_t tid, Registers& registers) {
  registers.size = sizeof(user_regs_struct);
  return ptrace(PTRACE_GETREGS, tid, nullptr, registers.raw) == 0 ? 0 : errno;
}

int set(pid_t tid, const Registers& registers) {
  return ptrace(PTRACE_SETREGS, tid, nullptr, const_cast<uint8_t*>(registers.raw)) == 0 ? 0 : errno;
}

uint64_t without_tag(uint64_t address) { return address; }

uint64_t number(const Registers& registers) { return of(registers).orig_rax; }
int64_t entered_number(pid_t, const Registers& registers) { return static_cast<int>(number(registers)); }

int64_t call_beside(pid_t, const Registers& registers) { return static_cast<int>(number(registers)); }

bool is_to_call_again(pid_t, const Registers& registers) { return result(registers) == kRestartIfAsked; }
bool call_again_in_any_case(pid_t tid, Registers& registers) {
  return change_result(tid, registers, kRestartIfAsked, kRestartInAnyCase);
}

// System V ABI, kernel calling convention: syscall(2), "Architecture calling conventions".
uint64_t argument(const Registers& registers, int index) {
  const user_regs_struct& r = of(registers);
  const unsigned long long values[6] = {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9};
  return values[index];
}

int64_t result(const Registers& registers) { return static_cast<int64_t>(of(registers).rax); }
uint64_t instruction_pointer(const Registers& registers) { return of(registers).rip; }
uint64_t stack_pointer(const Registers& registers) { return of(registers).rsp; }

// VSYSCALL_ADDR, asm/vsyscall.h; emulate_vsyscall() in arch/x86/entry/vsyscall/vsyscall_64.c.
bool has_exit(const Registers& registers) { return of(registers).rip >> 12 != 0xffffffffff600; }

void set_argument(Registers& registers, int index, uint64_t value) {
  user_regs_struct& r = of(registers);
  unsigned long long* const places[6] = {&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9};
  *places[index] = value;
}

void set_result(Registers& registers, int64_t value) { of(registers).rax = static_cast<unsigned long long>(value); }
void set_instruction_pointer(Registers& registers, uint64_t value) { of(registers).rip = value; }

int set_number(pid_t, Registers& registers, int64_t number) {
  of(registers).orig_rax = static_cast<unsigned long long>(number);
  return 0;
}

void call_again(Registers& registers, int64_t number) {
  user_regs_struct& r = of(registers);
  r.rip -= kSyscallInstructionBytes;
  r.rax = static_cast<unsigned long long>(number);
  r.orig_rax = static_cast<unsigned long long>(-1);  // not inside a call any more: no restart logic
}

int interrupt(pid_t tid, Registers& registers, int64_t number) {
  of(registers).orig_rax = static_cast<unsigned long long>(number);
  of(registers).rax = static_cast<unsigned long long>(kRestartIfAsked);
  return set(tid, registers);
}

// handle_signal() in arch/x86/kernel/signal.c looks at the result after this stop. Outside of calls orig_rax is -1.
bool change_result(pid_t tid, Registers& registers, int64_t from, int64_t to) {
  user_regs_struct& r = of(registers);
  if (static_cast<int64_t>(r.orig_rax) < 0 || static_cast<int64_t>(r.rax) != from) return false;
  r.rax = static_cast<unsigned long long>(to);
  return set(tid, registers) == 0;
}

bool first_argument(pid_t, const Registers& registers, uint64_t& value) {
  value = argument(registers, 0);
  return true;
}

int skip(pid_t tid, Registers& registers, int64_t result) {
  of(registers).orig_rax = static_cast<unsigned long long>(-1);
  of(registers).rax = static_cast<unsigned long long>(result);
  return set(tid, registers);
}

// Of an i386 call the tracer sees the same registers (ptrace(2) of a 64-bit tracer).
int skip_foreign(pid_t tid, Registers& registers, int64_t result) { return skip(tid, registers, result); }

}  // namespace holdfast::arch
