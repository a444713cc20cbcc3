#ifndef DUMP_CLI_ENVIRONMENT_H_
#define DUMP_CLI_ENVIRONMENT_H_

#include <cstdlib>
#include <string>

namespace dumpctl {

// An environment variable (getenv(3)); empty if it is not set.
inline std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What makes the dumper believe in an older kernel than there is: see KernelFeatures::Probe.
inline std::string ForcedKernelFeatures() { return FromEnvironment("DUMPCTL_KERNEL_FEATURES"); }

}  // namespace dumpctl

#endif  // DUMP_CLI_ENVIRONMENT_H_
