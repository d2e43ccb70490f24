// What this kernel, and whatever confines this process already, offers: facts only, lib/ judges them.
#pragma once

#include <napi.h>

namespace holdfast {

// { kernel, seccompActions: { trace, killProcess, userNotification }, seccompMode, ptraceScope, landlockAbi }
Napi::Object support(Napi::Env env);

}  // namespace holdfast
