#include "program_file.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <vector>

#include "../arch/arch.h"

#ifndef EM_AARCH64
#define EM_AARCH64 183
#endif

namespace holdfast {

int read_elf_interpreter(int file, const char* head, size_t size, std::string& out) {
  Elf64_Ehdr header;
  if (size < sizeof header) return ENOEXEC;
  memcpy(&header, head, sizeof header);
  const uint16_t machine = strcmp(arch::kName, "x86_64") == 0 ? EM_X86_64 : EM_AARCH64;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != machine) return ENOEXEC;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > 65536 / sizeof(Elf64_Phdr))
    return ENOEXEC;
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const ssize_t bytes = static_cast<ssize_t>(segments.size() * sizeof(Elf64_Phdr));
  if (pread(file, segments.data(), static_cast<size_t>(bytes), static_cast<off_t>(header.e_phoff)) != bytes)
    return ENOEXEC;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz < 2 || segment.p_filesz > 4096) return ENOEXEC;
    std::string text(segment.p_filesz, '\0');
    if (pread(file, text.data(), text.size(), static_cast<off_t>(segment.p_offset)) !=
            static_cast<ssize_t>(text.size()) ||
        text.back() != '\0')
      return ENOEXEC;
    out = text.c_str();
    return 0;
  }
  return 0;
}

}  // namespace holdfast
