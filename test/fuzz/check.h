#ifndef TEST_FUZZ_CHECK_H_
#define TEST_FUZZ_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

inline std::string_view TextOf(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void Require(bool holds) {
  if (!holds) abort();
}

// Whether there is a value. What is malformed is DataLoss and says why, whatever went in.
template <typename T>
bool Parsed(const absl::StatusOr<T>& parsed) {
  Require(parsed.ok() || (parsed.status().code() == absl::StatusCode::kDataLoss &&
                          !parsed.status().message().empty()));
  return parsed.ok();
}

}  // namespace dumpctl

#endif  // TEST_FUZZ_CHECK_H_
