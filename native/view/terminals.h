// Terminals that the tree has made: the pseudoterminals (pts(4)) whose master it has opened.
#pragma once

#include <string_view>

namespace holdfast {

// What was opened by this canonical name, if it is a master.
void remember_terminal(int master, std::string_view name);
// Whether this pinned object is the other end of one that is still open: numbers are given again, and then to others.
bool is_terminal_of_tree(int object);
// The same of a terminal by its number, as tty_nr in /proc/PID/stat has it (proc_pid_stat(5)): of a caller that has it
// as its controlling terminal, so that it is not another's by now.
bool is_number_of_tree(unsigned tty);

}  // namespace holdfast
