#ifndef TEST_PROC_MALFORMED_H_
#define TEST_PROC_MALFORMED_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

namespace dumpctl {

// A text that a parser must refuse: the field it must name and the line it must quote, as C writes
// it in quotes.
struct BadText {
  std::string text;
  std::string field;
  std::string line;
};
inline void PrintTo(const BadText& bad, std::ostream* out) {
  *out << bad.field << " in " << bad.line.substr(0, 40);
}

MATCHER_P(Refuses, bad, "names the field " + bad.field + " and quotes \"" + bad.line + "\"") {
  const absl::Status& status = arg;
  *result_listener << status.ToString();
  const std::string message(status.message());
  return status.code() == absl::StatusCode::kDataLoss &&
         message.find(absl::StrCat("field ", bad.field, " is")) != std::string::npos &&
         message.find(absl::StrCat("\"", bad.line, "\"")) != std::string::npos;
}

}  // namespace dumpctl

#endif  // TEST_PROC_MALFORMED_H_
