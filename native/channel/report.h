// Records about the command's own life, in order. None of these waits, except the last.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "../call/sandbox.h"
#include "../launch/launch.h"

namespace holdfast {

// A rule that stands for less than it seems. Before the command runs.
void report_warning(Sandbox& sandbox, std::string_view rule, std::string_view path, std::string_view target,
                    std::string_view reason);
// Whoever lets the command run wakes Node afterwards (Channel::wake), so that Node does not run in its place.
void report_launched(Sandbox& sandbox, pid_t command);
void report_failed_launch(Sandbox& sandbox, const Launch& launch);
// A part of an answer to a request.
void report_reply(Sandbox& sandbox, const uint8_t* fields, size_t size);
// A limit at which the tree is killed, or at which `pid` was refused with an errno (positive).
void report_limit(Sandbox& sandbox, std::string_view name, int64_t limit, int64_t reached, pid_t pid = 0,
                  int error = 0);
// By job control: a stop signal; 0 where it goes on.
void report_stopped(Sandbox& sandbox, int signal);
void report_exit(Sandbox& sandbox, pid_t command, int wait_status);
// What a process lives through. Records that wait are kept, however many they are.
void report_life(Sandbox& sandbox, const uint8_t* fields, size_t size);
// Whether more of them wait than should; then `on_room` is called once when they do no more.
bool is_backed_up(std::function<void()> on_room);
// What the tree has asked for. Records that wait are kept.
void report_accesses(Sandbox& sandbox);
// Waits until Node has every record before it, and itself.
void report_end(Sandbox& sandbox);

}  // namespace holdfast
