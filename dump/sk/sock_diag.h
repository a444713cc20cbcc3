#ifndef DUMP_SK_SOCK_DIAG_H_
#define DUMP_SK_SOCK_DIAG_H_

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

struct nlattr;

namespace dumpctl {

// What the kernel tells of sockets (sock_diag(7); Linux 3.3).

// What a request is of, for people ("unix sockets"), and the kernel's option that it needs.
struct DiagSubject {
  std::string_view what;
  std::string_view option;
};

// Sends `request`, the *_diag_req of a family, and gives `take` each row of the answer without its
// netlink header, until one of them is an error.
//
// The kernel walks sockets without a lock over all: where others make and close sockets meanwhile,
// it can miss one.
//
// Errors: those of `take`; Failure::kHost on a kernel without the option.
absl::Status AskSockDiag(std::span<const std::byte> request, const DiagSubject& subject,
                         absl::FunctionRef<absl::Status(std::span<const std::byte>)> take);

// The attributes of a row by type, of those up to `found.size()`; null where there is none. `rest`:
// what stands behind the head of a row, and has to outlive them. Pure. False where it is malformed.
bool ParseDiagAttributes(std::span<const std::byte> rest, std::span<nlattr*> found);

// All bytes of an attribute.
std::span<const std::byte> DiagBytes(const nlattr* attribute);

// The value of an attribute that has this type; none when it is shorter.
template <typename T>
std::optional<T> DiagValue(const nlattr* attribute) {
  const std::span<const std::byte> bytes = DiagBytes(attribute);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace dumpctl

#endif  // DUMP_SK_SOCK_DIAG_H_
