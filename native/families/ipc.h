// System V IPC and POSIX message queues, private to the tree.
#pragma once

namespace holdfast {

// Removes what the tree has made and left behind, queues too. When nothing of the tree goes on, or is about to.
void remove_ipc_objects();

// message_queues.cc: its part.
void remove_message_queues();

}  // namespace holdfast
