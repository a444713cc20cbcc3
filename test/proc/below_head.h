#ifndef TEST_PROC_BELOW_HEAD_H_
#define TEST_PROC_BELOW_HEAD_H_

#include <string_view>

#include "proc/text_fields.h"

namespace dumpctl {

// What stands below pos, flags, mnt_id and ino in a text of fdinfo.
inline std::string_view BelowHead(std::string_view text) {
  for (int i = 0; i < 4; ++i) TakeUntil(text, '\n');
  return text;
}

}  // namespace dumpctl

#endif  // TEST_PROC_BELOW_HEAD_H_
