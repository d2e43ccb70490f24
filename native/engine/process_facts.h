// What a process is, for who asks: read by its number while it is not reaped.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "../call/sandbox.h"
#include "../protocol/tlv.h"

namespace holdfast {

// Its arguments as it shows them now: as many of the first as take no more bytes than this in a record.
struct Arguments {
  static constexpr size_t kMost = 24 << 10;
  std::vector<std::string> texts;
  size_t bytes = 0;  // in a record
  bool cut = false;  // there are more
};
Arguments arguments_of(pid_t group);
void write_arguments(protocol::FieldWriter& writer, const Arguments& arguments);

// The canonical name of its program, looked up once for each; empty if it cannot be read. The calling thread works for
// it.
std::string program_of(Sandbox& sandbox, pid_t group);

}  // namespace holdfast
