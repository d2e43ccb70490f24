// What the kernel tells of a control group, as files that say so.
#include "../../native/limits/control_group.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "check.h"

using namespace holdfast;

namespace {

std::string make_folder() {
  char path[] = "/tmp/holdfast-group-XXXXXX";
  CHECK(mkdtemp(path) != nullptr);
  return path;
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

void only_its_own_limit_is_its_end() {
  const std::string folder = make_folder(), events = folder + "/memory.events";
  write_file(events, "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n");
  ControlGroup group;
  CHECK(group.open(folder) == 0);
  CHECK(!group.has_run_out_of_memory());
  // By a group further up, or the machine.
  write_file(events, "low 0\nhigh 0\nmax 7\noom 0\noom_kill 3\noom_group_kill 1\n");
  CHECK(!group.has_run_out_of_memory());
  // Reached, and nobody could be killed.
  write_file(events, "oom 2\noom_kill 0\n");
  CHECK(!group.has_run_out_of_memory());
  // Others are as long as these begin.
  write_file(events, "oom_group_kill 1\nxoom_kill 4\nmax 7\noom 1\noom_kill 2");
  CHECK(group.has_run_out_of_memory());
  write_file(events, "");
  CHECK(!group.has_run_out_of_memory());

  CHECK(group.peak() == 0);
  write_file(folder + "/memory.current", "4096\n");
  CHECK(group.peak() == 4096);
  write_file(folder + "/memory.peak", "8192\n");
  CHECK(group.peak() == 8192);
  for (const char* const name : {"/memory.events", "/memory.current", "/memory.peak"}) unlink((folder + name).c_str());
  group.remove();
  CHECK(access(folder.c_str(), F_OK) != 0);
}

void without_the_controller() {
  const std::string folder = make_folder();
  ControlGroup group;
  CHECK(!group.has_run_out_of_memory());
  CHECK(group.open(folder + "/none") == ENOENT);
  CHECK(group.open(folder) == 0);
  CHECK(!group.has_run_out_of_memory());
  group.remove();
}

}  // namespace

int main() {
  only_its_own_limit_is_its_end();
  without_the_controller();
  return failures == 0 ? 0 : 1;
}
