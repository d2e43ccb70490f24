// Rules on programs by pattern, arguments and descent: what `exec` and `files.deny` say beside plain paths.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../call/lineage.h"
#include "facts.h"
#include "name_filter.h"
#include "rules.h"

namespace holdfast {

// A program's arguments without argv[0], one pattern for each: `*` in it stands for any text, `?` for one byte, `\`
// quotes; the pattern `**` for any number of arguments, none too. Nothing else is special, a `/` neither.
class ArgumentPattern {
 public:
  void add(std::string_view pattern) { patterns_.emplace_back(pattern); }
  bool matches(const std::string* arguments, size_t count) const;

 private:
  std::vector<std::string> patterns_;
};

class ExecRules {
 public:
  static constexpr int kAnybody = -1;  // in place of the number of a descent

  struct Rule {
    Effect effect = Effect::none;
    std::string label;
    std::shared_ptr<const RuleName> name;  // of `label`; add() makes it
    uint8_t access = protocol::kExecute;
    std::vector<NameFilter> names;     // of the program; one of them is enough
    std::vector<std::string> folders;  // where those lie; an empty one: anywhere
    bool by_arguments = false;
    ArgumentPattern arguments;
    int under = kAnybody;
  };

  void add(Rule rule);
  // One name that has to have been executed on the way, for who is under that number. `allows`: a rule that allows asks
  // for it.
  void add_under(int number, bool allows, NameFilter name);

  const std::vector<Rule>& all() const { return rules_; }
  const std::vector<Rule>& files() const { return files_; }
  bool by_arguments() const { return by_arguments_; }
  bool by_descent() const { return !under_.empty(); }
  bool knows(int number) const;
  // Whether some rule allows programs that no folder holds, so that they may lie anywhere.
  bool allows_anywhere() const { return allows_anywhere_; }

  // Which numbers the execution of this file gives. Only a program is sure to be what was approved: which script its
  // interpreter reads is not, so scripts count against a caller, but give nothing.
  Lineage::Bits given_by(std::string_view executed, bool is_program) const;

  // What these rules say of executing that path, after what the plain ones say: a deny rule is the last word, and an
  // allow rule lifts none. `almost`: an allow rule speaks of the program, but not of these arguments or this caller.
  void judge(const Held& call, const Facts& facts, std::string_view path, Match& plain, bool& almost) const;
  // The deny rule on this access to a path by this caller, or null.
  const Rule* denial(const Held& call, std::string_view path, uint8_t access_bit) const;
  // Whether something in the folder `from` that one speaks of, on executing or for this caller, would not be spoken of
  // any more if that became `to`.
  bool denies_below(const Held& call, std::string_view from, std::string_view to) const;
  // As Rules has them.
  void for_names(const std::function<void(const RuleName&)>& act) const;
  void for_spoken(const Held& call, std::string_view path, uint8_t access, const Rules::Speaks& act) const;
  // Whether a deny rule on executing names it, whatever else it asks for.
  bool denies_program(std::string_view path) const;

 private:
  struct Under {
    int number;
    bool allows;
    NameFilter name;
  };

  static bool speaks_of(const Rule& rule, const Held& call, const Facts* facts);

  std::vector<Rule> rules_;  // on executing
  std::vector<Rule> files_;  // deny rules on other access, by descent
  std::vector<Under> under_;
  bool by_arguments_ = false, allows_anywhere_ = false;
};

// Whether the caller, or a process that it descends from, has executed what that number stands for. Who cannot be
// known is `otherwise`.
bool is_under(const Held& call, int number, bool otherwise);

}  // namespace holdfast
