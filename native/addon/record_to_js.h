// A record from the ring -> a plain JS object: { kind: 'ask', pid: 12, path: '/x', hooks: [1, 2], ... }.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <vector>

#include "../protocol/protocol.h"

namespace holdfast {

// Integers become numbers, or bigints where a number is not exact. Text that is not UTF-8 is there twice: repaired
// under its name, and exact as a Buffer under `<name>Bytes`. Null if the bytes are not a record (or JS can no longer
// run): nothing may be concluded from it then.
napi_value record_to_js(napi_env env, protocol::RecordKind kind, const std::vector<uint8_t>& fields);

const char* record_kind_name(protocol::RecordKind kind);

}  // namespace holdfast
