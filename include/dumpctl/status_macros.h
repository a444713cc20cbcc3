#ifndef DUMPCTL_STATUS_MACROS_H_
#define DUMPCTL_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Debian's abseil (20220623) ships no status macros, so here are the usual two.

#define DUMPCTL_CONCAT_INNER(a, b) a##b
#define DUMPCTL_CONCAT(a, b) DUMPCTL_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` (an absl::Status) is not OK.
#define RETURN_IF_ERROR(expr)                                                                \
  do {                                                                                       \
    if (::absl::Status dumpctl_status = (expr); !dumpctl_status.ok()) return dumpctl_status; \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration takes none.
// Declares or assigns `lhs` from `expr` (an absl::StatusOr), or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_INNER(DUMPCTL_CONCAT(dumpctl_statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(statusor, lhs, expr)        \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = *std::move(statusor)
// NOLINTEND(bugprone-macro-parentheses)

#endif  // DUMPCTL_STATUS_MACROS_H_
