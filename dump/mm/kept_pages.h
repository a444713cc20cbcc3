#ifndef DUMP_MM_KEPT_PAGES_H_
#define DUMP_MM_KEPT_PAGES_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "dump/image/page_run.h"
#include "dump/mm/memory_source.h"

namespace dumpctl {

// Some pages of a task, read in advance because another source, its copy, does not have them.
class KeptPages {
 public:
  // `runs`: ascending. Errors: the source's.
  static absl::StatusOr<KeptPages> Read(const MemorySource& source, std::vector<PageRun> runs);

  KeptPages() = default;

  // Kept as zeros, whatever was read.
  void Zero(RemoteAddress address, uint64_t size);

  // The pages where `address` lies, from there on to the end of the run; empty where they are not
  // among them.
  std::span<const std::byte> At(RemoteAddress address) const;
  // The first kept address behind `address`; UINT64_MAX for none.
  RemoteAddress NextAfter(RemoteAddress address) const;

  // As MemorySource::Read: kept pages where there are some, the others from `below`.
  absl::Status ReadOver(const MemorySource& below, std::span<const PageRun> runs,
                        std::span<std::byte> bytes) const;

 private:
  struct Kept {
    PageRun run;
    size_t offset;  // in bytes_
  };

  std::vector<Kept>::const_iterator FirstEndingAfter(RemoteAddress address) const;
  absl::Status ReadRunOver(const MemorySource& below, const PageRun& run,
                           std::span<std::byte> bytes) const;

  std::vector<Kept> kept_;  // ascending
  std::vector<std::byte> bytes_;
};

// Kept pages where there are some, and those of a frozen task.
class OverlaidTaskMemory final : public MemorySource {
 public:
  OverlaidTaskMemory(FrozenTaskMemory task, KeptPages kept)
      : task_(std::move(task)), kept_(std::move(kept)) {}

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override {
    return kept_.ReadOver(task_, runs, bytes);
  }
  const KeptPages& kept() const { return kept_; }

 private:
  FrozenTaskMemory task_;
  KeptPages kept_;
};

// Why a copy of a task cannot be read from any more, where that is because it was killed.
absl::Status ExplainByKill(absl::Status status);

// The same with a copy of a task.
class CopiedTaskMemory final : public MemorySource {
 public:
  CopiedTaskMemory(FrozenTaskMemory copy, KeptPages kept)
      : copy_(std::move(copy)), kept_(std::move(kept)) {}

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override;
  const KeptPages& kept() const { return kept_; }

 private:
  FrozenTaskMemory copy_;
  KeptPages kept_;
};

}  // namespace dumpctl

#endif  // DUMP_MM_KEPT_PAGES_H_
