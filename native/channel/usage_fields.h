// What a tree or a process has used, as records tell it.
#pragma once

#include "../call/usage.h"
#include "../protocol/tlv.h"

namespace holdfast {

void write_figures(protocol::FieldWriter& writer, const Figures& figures);
// Of the whole tree.
void write_by_program(protocol::FieldWriter& writer, const Usage& usage);
void write_usage(protocol::FieldWriter& writer, const Usage& usage, const Figures& figures);

}  // namespace holdfast
