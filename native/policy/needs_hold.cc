#include "needs_hold.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "../channel/channel.h"
#include "../launch/landlock.h"
#include "../protocol/tlv.h"

namespace holdfast {
namespace {

using protocol::Event;

class Needs {
 public:
  Needs(const Config& config, const Layers& layers) : config_(config), layers_(layers) {}

  std::vector<Need> all(bool stops_calls, int stdio_count) {
    if (layers_.abi < kScopesAbi)
      need("signal", "Landlock's ABI " + std::to_string(layers_.abi) + " does not keep signals inside",
           "Linux 6.12 or newer, with Landlock");
    for (int which = 0; which < kClassCount; which++) look_at(static_cast<Class>(which));
    execs();
    given(stdio_count);
    for (int event = 0; event < static_cast<int>(protocol::kEventCount); event++)
      if (config_.hooked(static_cast<Event>(event)))
        need("hooks", "a hook hears of " + std::string(to_string(static_cast<Event>(event))), "no hooks");
    if (stops_calls)
      need("policy.syscalls", "a rule kills, logs or reports, or is about calls that programs need",
           "rules that answer with an errno");
    options();
    return std::move(needs_);
  }

 private:
  void need(const std::string& what, const std::string& why, const std::string& change) {
    const auto known = std::find_if(needs_.begin(), needs_.end(),
                                    [&](const Need& one) { return one.why == why && one.change == change; });
    if (known == needs_.end())
      needs_.push_back({what, why, change});
    else if ((", " + known->what + ",").find(", " + what + ",") == std::string::npos)
      known->what += ", " + what;
  }

  // Nothing that the policy gives: then every such call is refused by its number.
  bool gives_nothing(Class which) const {
    if (which != Class::connect && which != Class::send && which != Class::bind) return false;
    const uint8_t operation = which == Class::bind ? protocol::kBind : protocol::kConnect;
    return !config_.rules.any_address(operation);
  }

  void look_at(Class which) {
    const ClassPlan& plan = layers_.plan[static_cast<size_t>(which)];
    if (layers_.left.has(which) || gives_nothing(which)) return;
    for (const Obstacle& obstacle : plan.obstacles)
      if (!obstacle.change.empty()) need(plan.name, obstacle.why, obstacle.change);
    if (plan.obstacles.empty()) need(plan.name, "a hook hears of such calls", "no hooks");
  }

  void execs() {
    if (config_.exec.by_arguments())
      need("exec", "a rule is about a program's arguments, which lie in memory", "policy.exec without argv");
    if (config_.exec.by_descent())
      need("exec", "a rule is about who executes, and Landlock does not know whom a process descends from",
           "a policy without under");
    if (config_.unwritten)
      need("exec", "what the tree has written is not to be executed, and nobody follows that",
           "policy.exec without written: false");
    if (config_.second_wall.execute_anywhere && !config_.hooked(Event::exec))
      need("exec", "a pattern allows programs in any folder", "patterns that begin with a folder");
    for (const Rules::Pattern& rule : config_.rules.patterns()) {
      const bool allows = rule.effect == Effect::allow;
      const uint8_t bits = allows && config_.any_exec ? protocol::kExecute | protocol::kRead : protocol::kExecute;
      const auto& places = config_.second_wall.executable;
      const bool matters = allows || std::any_of(places.begin(), places.end(), [&](const Confinement::Place& place) {
                             return rule.names.may_match_within(place.path);
                           });
      if ((rule.access & bits) != 0 && matters)
        need("exec", std::string(rule.label) + " is a pattern: Landlock grants folders and files as a whole",
             allows ? "folders and files in policy.exec" : "access without 'exec' in " + std::string(rule.label));
    }
    for (const ExecRules::Rule& rule : config_.exec.all())
      if (rule.effect == Effect::deny || !rule.names.empty())
        need("exec", rule.label + " is a pattern, or refuses programs: Landlock grants folders and files as a whole",
             "folders and files in policy.exec");
  }

  // Its /proc/self/fd/N could be executed, whatever Landlock grants.
  void given(int stdio_count) {
    for (int fd = 0; fd < stdio_count; fd++)
      if (is_executable_memory(fd))
        need("stdio",
             "stdio[" + std::to_string(fd) + "] is memory that can be executed, which Landlock has no word for",
             "memfd_create with MFD_NOEXEC_SEAL, or a file");
  }

  static bool is_executable_memory(int fd) {
    constexpr std::string_view kStart = "/memfd:";
    char link[32], name[kStart.size()];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, name, sizeof name);
    struct stat status;
    return size == static_cast<ssize_t>(sizeof name) && std::string_view(name, sizeof name) == kStart &&
           fstat(fd, &status) == 0 && (status.st_mode & 0111) != 0;
  }

  void options() {
    if (config_.rules.hides_anything())
      need("files.hide", "what is hidden is taken out of listings by who holds them", "files.deny");
    if (config_.strict) need("policy", "'strict' begins at the program's main", "another policy");
    if (config_.tells_life) need("lifecycle", "somebody listens to what processes live through", "no such listener");
    if (config_.records) need("record", "nobody sees what is asked for", "record: false");
    if (config_.lets_by) need("policy.mode", "nobody tells what would be refused", "policy.mode: 'enforce'");
    if (config_.dry) need("policy.files.deny", "nobody tells what a dry rule would refuse", "no dry rules");
    if (config_.usage_by_program) need("usageByExecutable", "nobody sees which programs are executed", "without it");
    const Limits& limits = config_.limits;
    const auto limit = [&](const char* name, int64_t value) {
      if (value != Limits::kNone)
        need("limits", "limits." + std::string(name) + " is counted by who follows the tree",
             "a policy without limits." + std::string(name));
    };
    if (config_.control_group.empty()) limit("memory", limits.memory);
    limit("cpuTime", limits.cpu_time);
    limit("wallTime", limits.wall_time);
    limit("written", limits.written);
    limit("processes", limits.processes);
    limit("threads", limits.threads);
  }

  const Config& config_;
  const Layers& layers_;
  std::vector<Need> needs_;
};

}  // namespace

void report_needs(Sandbox& sandbox, const std::vector<Need>& needs) {
  std::vector<uint8_t> buffer(protocol::kMaxRecord);
  protocol::FieldWriter writer(buffer.data(), buffer.size());
  for (const Need& need : needs)
    for (const std::string* text : {&need.what, &need.why, &need.change}) writer.text(protocol::Tag::plan_, *text);
  sandbox.channel.send(protocol::RecordKind::needs, buffer.data(), writer.size());
}

std::vector<Need> needs_hold(const Config& config, const Layers& layers, bool stops_calls, int stdio_count) {
  return Needs(config, layers).all(stops_calls, stdio_count);
}

}  // namespace holdfast
