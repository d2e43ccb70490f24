// What the kernel reads of a file that it executes.
#pragma once

#include <cstddef>
#include <string>

namespace holdfast {

// PT_INTERP of an ELF file for this architecture, of which the first `size` bytes are at `head`. 0 (empty: none), or
// ENOEXEC.
int read_elf_interpreter(int file, const char* head, size_t size, std::string& out);

}  // namespace holdfast
