#ifndef DUMPCTL_CAPABILITIES_H_
#define DUMPCTL_CAPABILITIES_H_

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace dumpctl {

// The effective capabilities of this thread (capget(2)): bit n is capability n. None on an error,
// which only a seccomp filter makes.
inline uint64_t EffectiveCapabilities() {
  __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &head, data) < 0) return 0;
  return uint64_t{data[1].effective} << 32 | data[0].effective;
}

inline bool HasCapability(uint64_t capabilities, int capability) {
  return (capabilities >> capability & 1) != 0;
}

}  // namespace dumpctl

#endif  // DUMPCTL_CAPABILITIES_H_
