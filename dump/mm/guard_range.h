#ifndef DUMP_MM_GUARD_RANGE_H_
#define DUMP_MM_GUARD_RANGE_H_

#include "dumpctl/remote_address.h"

namespace dumpctl {

// Addresses [start, end) at which MADV_GUARD_INSTALL (Linux 6.13) makes an access fault.
struct GuardRange {
  RemoteAddress start;
  RemoteAddress end;
  friend bool operator==(const GuardRange&, const GuardRange&) = default;
};

}  // namespace dumpctl

#endif  // DUMP_MM_GUARD_RANGE_H_
