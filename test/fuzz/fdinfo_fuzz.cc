#include "proc/fdinfo_parser.h"

#include "proc/event_fdinfo_parser.h"
#include "proc/lock_parser.h"
#include "proc/watch_fdinfo_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto info = dumpctl::ParseFdInfo(text);
  if (dumpctl::Parsed(info)) {
    for (const std::string& lock : info->locks) {
      dumpctl::Parsed(dumpctl::ParseFileLock(lock));
      dumpctl::Require(!lock.empty() && text.find(lock) != std::string_view::npos);
    }
  }
  dumpctl::Parsed(dumpctl::ParseEventfdInfo(text));
  dumpctl::Parsed(dumpctl::ParseTimerfdInfo(text));
  dumpctl::Parsed(dumpctl::ParseSignalfdInfo(text));
  dumpctl::Parsed(dumpctl::ParseEpollInfo(text));
  dumpctl::Parsed(dumpctl::ParsePidfdInfo(text));
  dumpctl::Parsed(dumpctl::ParseInotifyInfo(text));
  dumpctl::Parsed(dumpctl::ParseFanotifyInfo(text));
  return 0;
}
