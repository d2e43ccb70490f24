// What this kernel, and whatever confines this process already, offers: facts only, lib/ judges them.
#pragma once

#include <napi.h>

#include <string>

namespace holdfast {

// { kernel, seccompActions: { trace, killProcess, userNotification }, seccompMode, killingCalls, ptraceScope,
// landlockAbi, … }
Napi::Object support(Napi::Env env);

// Whether systemd has marked a control group's folder as somebody else's to divide.
bool is_delegated(const std::string& folder);

}  // namespace holdfast
