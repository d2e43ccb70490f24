// What the tree asks for is counted, where the caller of the library wants that: noted by whoever judges a call, and
// kept (call/accesses.h) when the call has ended and it is known how.
#pragma once

#include <string_view>

#include "../call/finish.h"
#include "facts.h"

namespace holdfast {

// Judged, and not refused: how the call ends tells whether it was of use.
void note(const Sandbox& sandbox, const Held& call, const Facts& facts, const Given& given);
// A look at a name that nobody needed to be asked about.
void note_look(const Sandbox& sandbox, const Held& call, std::string_view path);
// What was judged and allowed is refused all the same: because of a hook, or as never allowed.
void note_refused_anyway(const Sandbox& sandbox, int error, std::string_view rule = {});
// What was missing of it; nothing: all of it was refused. Without facts: the call itself.
void note_refused(const Sandbox& sandbox, const Held& call, const Facts* facts, std::string_view rule, int error,
                  const Missing& missing);

// Of one call, on the thread that decides on it: around its handler. What ends it may come later, and on another
// thread.
class Recording {
 public:
  Recording(Sandbox& sandbox, const Held& call);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  // As it is carried out.
  Finish end(Finish finish);

 private:
  Sandbox& sandbox_;
  const Held& call_;
};

}  // namespace holdfast
