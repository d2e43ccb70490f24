// Files that the tree has written, where its policy wants none of them executed: by device and inode, so that no other
// name, link or move hides one. What is opened for writing counts as written from before the caller has it.
#pragma once

#include <sys/stat.h>

#include "../call/finish.h"

namespace holdfast {

// Before the tree runs. Without it nothing is noted, and nothing counts as written.
void follow_writes();
bool writes_followed();

// A file that the caller is about to have open for writing, or that is cut for it. Any thread.
void note_written(int fd);
bool is_written(FileNumber file);

}  // namespace holdfast
