#ifndef PROC_KERNEL_FEATURES_H_
#define PROC_KERNEL_FEATURES_H_

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// Kernel interfaces newer than Linux 5.10, or that a kernel may be built without. Each has a
// fallback where it is used.
enum class KernelFeature : uint8_t {
  kProcmapQuery,      // PROCMAP_QUERY on /proc/PID/maps, 6.11
  kPagemapScan,       // PAGEMAP_SCAN on /proc/PID/pagemap, 6.7
  kPagemapScanGuard,  // it knows PAGE_IS_GUARD, 6.15
  kPagemapGuard,      // entries of /proc/PID/pagemap tell guards, 6.15
  kDupfdQuery,        // fcntl(F_DUPFD_QUERY): do two descriptors share one open file? 6.10
  kSoftDirty,         // CONFIG_MEM_SOFT_DIRTY, told to CAP_SYS_ADMIN alone
  kBpfTaskVma,        // BPF iterators over the mappings of one task, 6.1, and BTF to write them by
  kBpfTaskFile,       // the same over the open files of one task
  kBpfTask,           // the same over the threads of one task
  kWriteWatch,        // userfaultfd's asynchronous write protection, 6.7, and PIDFD_THREAD, 6.9
};

// What the running kernel has. It is asked for each feature once, when somebody wants to know: some
// questions take a dozen system calls. Tests (and users in need) force features down by name; a
// feature that is not there cannot be forced up.
class KernelFeatures {
 public:
  struct Description {
    KernelFeature feature;
    std::string_view name;      // as in `overrides`
    std::string_view since;     // "Linux 6.11"
    std::string_view use;       // what a dump gains by it
    std::string_view fallback;  // what it does without
  };
  static std::span<const Description> All();

  // `overrides`: names to force down, each after a '-', separated by commas:
  // "-pagemap_scan,-procmap_query". Errors: InvalidArgument for anything else.
  static absl::StatusOr<KernelFeatures> Probe(std::string_view overrides = {});

  bool Has(KernelFeature feature) const;

  // Has the kernel asked by now, where there will be no time for it later.
  void Learn(std::initializer_list<KernelFeature> features) const {
    for (const KernelFeature feature : features) Has(feature);
  }

 private:
  explicit KernelFeatures(uint32_t forced_down) : forced_down_(forced_down) {}

  uint32_t forced_down_;
};

}  // namespace dumpctl

#endif  // PROC_KERNEL_FEATURES_H_
