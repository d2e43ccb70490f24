// The tracer's part about a program that is to be strict from its own main on (policy 'strict'). Until then the rest of
// the policy holds. A static program is strict before its first call. Of a dynamic one the loader and libraries run
// first: the thread is stopped at the program's first instruction (AT_ENTRY), goes on step by step until it leaves the
// program's own code, for __libc_start_main(main, ...) of glibc and musl, and is stopped once more at that main.
// Whatever else happens on the way makes the tree strict right there: earlier, never later.
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "../arch/arch.h"
#include "../call/tree.h"
#include "../policy/config.h"
#include "../protocol/unique_fd.h"
#include "request.h"
#include "restricting.h"
#include "tracer.h"

namespace holdfast {
namespace {

// _start has less than thirty instructions, and what links it to libc some more.
constexpr int kMostSteps = 4096;
constexpr uint64_t kMostHeaders = 256;

bool peek(pid_t tid, uint64_t address, uint64_t& word) {
  // The system call, unlike the library's function, stores the word.
  return request(PTRACE_PEEKDATA, tid, as_pointer(address), &word) == 0;
}

bool read_memory(pid_t tid, uint64_t address, void* to, size_t size) {
  auto* const bytes = static_cast<uint8_t*>(to);
  for (size_t done = 0; done < size; done += sizeof(uint64_t)) {
    uint64_t word;
    if (!peek(tid, address + done, word)) return false;
    memcpy(bytes + done, &word, std::min(sizeof word, size - done));
  }
  return true;
}

// What the kernel has told the new image: getauxval(3).
bool read_auxiliary(pid_t tid, std::vector<Elf64_auxv_t>& out) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/auxv", tid);
  const UniqueFd file(open(name, O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  out.resize(128);
  const ssize_t size = read(file.get(), out.data(), out.size() * sizeof out[0]);
  if (size <= 0) return false;
  out.resize(static_cast<size_t>(size) / sizeof out[0]);
  return true;
}

uint64_t value_of(const std::vector<Elf64_auxv_t>& all, uint64_t type) {
  for (const Elf64_auxv_t& one : all)
    if (one.a_type == type) return one.a_un.a_val;
  return 0;
}

}  // namespace

bool Tracer::StrictStart::is_own_code(uint64_t address) const {
  return std::any_of(code.begin(), code.end(),
                     [&](const auto& range) { return address >= range.first && address < range.second; });
}

// At the command's first exec stop.
void Tracer::begin_strict_start(Tracee& tracee) {
  strict_.is_pending = true;
  std::vector<Elf64_auxv_t> auxiliary;
  const pid_t tid = tracee.tid;
  const bool known = read_auxiliary(tid, auxiliary);
  const uint64_t entry = value_of(auxiliary, AT_ENTRY), headers = value_of(auxiliary, AT_PHDR);
  const uint64_t count = value_of(auxiliary, AT_PHNUM);
  // Without a loader nothing comes before it.
  if (!known || value_of(auxiliary, AT_BASE) == 0 || count > kMostHeaders ||
      value_of(auxiliary, AT_PHENT) != sizeof(Elf64_Phdr)) {
    become_strict();
    return;
  }
  std::vector<Elf64_Phdr> all(count);
  for (uint64_t i = 0; i < count; i++) {
    if (read_memory(tid, headers + i * sizeof(Elf64_Phdr), &all[i], sizeof all[i])) continue;
    become_strict();
    return;
  }
  uint64_t moved = 0;
  for (const Elf64_Phdr& one : all)
    if (one.p_type == PT_PHDR) moved = headers - one.p_vaddr;
  for (const Elf64_Phdr& one : all)
    if (one.p_type == PT_LOAD && (one.p_flags & PF_X) != 0)
      strict_.code.emplace_back(moved + one.p_vaddr, moved + one.p_vaddr + one.p_memsz);
  if (!strict_.is_own_code(entry) || !set_breakpoint(tid, entry)) become_strict();
}

bool Tracer::set_breakpoint(pid_t tid, uint64_t address) {
  uint64_t word;
  if (!peek(tid, address, word)) return false;
  const uint64_t kMask = (uint64_t{1} << 8 * arch::kBreakpointBytes) - 1;
  const uint64_t changed = (word & ~kMask) | arch::kBreakpoint;
  if (request(PTRACE_POKEDATA, tid, as_pointer(address), as_pointer(changed)) != 0) return false;
  strict_.breakpoints.emplace_back(address, word & kMask);
  return true;
}

// At a SIGTRAP's stop. True: it was ours. Memory is copied by fork, so whoever was made before main may come to a
// breakpoint long after that.
bool Tracer::on_trap(Tracee& tracee) {
  if (strict_.breakpoints.empty()) return false;
  siginfo_t info = {};
  arch::Registers registers;
  if (request(PTRACE_GETSIGINFO, tracee.tid, nullptr, &info) != 0) return false;
  // A step over a call is told by the kernel as if nobody had sent it (user_single_step_report() in linux/ptrace.h),
  // but on x86.
  const bool after_call = strict_.stepping == tracee.tid && info.si_code == SI_USER && info.si_pid == 0;
  if (info.si_code <= 0 && !after_call) return false;
  if (arch::get(tracee.tid, registers) != 0) return true;  // it died
  const uint64_t at = arch::instruction_pointer(registers) - arch::kBreakpointAdvance;
  const uint64_t kMask = (uint64_t{1} << 8 * arch::kBreakpointBytes) - 1;
  for (size_t i = 0; i < strict_.breakpoints.size(); i++) {
    const auto [address, original] = strict_.breakpoints[i];
    uint64_t word;
    if (address != at || strict_.stepping == tracee.tid) continue;
    if (!peek(tracee.tid, at, word)) return true;
    // Whoever shares its memory may have had it put back meanwhile: then it makes the instruction itself again.
    if ((word & kMask) == arch::kBreakpoint) {
      word = (word & ~kMask) | original;
      request(PTRACE_POKEDATA, tracee.tid, as_pointer(at), as_pointer(word));
    }
    arch::set_instruction_pointer(registers, at);
    if (arch::set(tracee.tid, registers) != 0) return true;
    if (strict_.is_pending && i == 0 && tracee.tid == launch_.child && strict_.breakpoints.size() == 1)
      begin_steps(tracee);
    else
      become_strict();
    resume(tracee);
    return true;
  }
  if (strict_.stepping != tracee.tid) return false;
  if (!strict_.is_pending) {
    resume(tracee);
    return true;
  }
  const uint64_t now = arch::instruction_pointer(registers), main = arch::argument(registers, 0);
  if (strict_.is_own_code(now) && ++strict_.steps < kMostSteps) {
    resume(tracee);
    return true;
  }
  end_steps(tracee);
  if (strict_.is_own_code(now) || !strict_.is_own_code(main) || !set_breakpoint(tracee.tid, main)) become_strict();
  resume(tracee);
  return true;
}

// Signals wait meanwhile; but the one by which it tells of each step would lose its handler if it were blocked.
void Tracer::begin_steps(Tracee& tracee) {
  const uint64_t all = ~(uint64_t{1} << (SIGTRAP - 1));
  uint64_t mask = 0;
  if (request(PTRACE_GETSIGMASK, tracee.tid, as_pointer(sizeof mask), &mask) != 0 ||
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof all), const_cast<uint64_t*>(&all)) != 0)
    return;  // it died
  strict_.mask = mask;
  strict_.stepping = tracee.tid;
}

// At a stop of its own: it goes on as a thread like any other.
void Tracer::end_steps(Tracee& tracee) {
  strict_.stepping = 0;
  request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof strict_.mask), &strict_.mask);
}

// From now on, for the next call of every thread; whoever is stopped just now goes on when all are sure to have it.
void Tracer::become_strict() {
  if (!strict_.is_pending) return;
  strict_.is_pending = false;
  std::vector<FurtherProgram> programs;
  if (!build_strict_programs(programs)) {
    signal_tree(sandbox_.tree, SIGKILL);
    return;
  }
  put_on(programs, true, [] {});
}

}  // namespace holdfast
