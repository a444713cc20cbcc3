#ifndef TEST_PROC_EVENT_FDINFO_H_
#define TEST_PROC_EVENT_FDINFO_H_

#include <string>

#include "absl/strings/str_cat.h"

namespace dumpctl {

// The fdinfo of a descriptor that tells of more than its position: `lines` below what all have.
inline std::string With(const std::string& lines) {
  return absl::StrCat("pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1039\n", lines);
}

}  // namespace dumpctl

#endif  // TEST_PROC_EVENT_FDINFO_H_
