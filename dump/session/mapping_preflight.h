#ifndef DUMP_SESSION_MAPPING_PREFLIGHT_H_
#define DUMP_SESSION_MAPPING_PREFLIGHT_H_

#include <cstddef>
#include <span>

#include "absl/status/status.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// The maps of all targets, as text; from their length, and from how many descriptors there are,
// what memory and which helpers a dump of them is worth. A child that has gone by now is left out.
absl::Status ReadMaps(std::span<const Target> targets, size_t descriptors,
                      const KernelFeatures& features, Preflight& preflight);

// The list of a target's mappings, from that text, with all mapped files open.
absl::Status OpenMappedFiles(const Target& target, Preflight& preflight);

}  // namespace dumpctl

#endif  // DUMP_SESSION_MAPPING_PREFLIGHT_H_
