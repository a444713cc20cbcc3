#include "proc/mapped_file_cache.h"

namespace dumpctl {

std::optional<MappedFileCache::Loan> MappedFileCache::Find(const Mapping& mapping,
                                                           uint64_t mount_namespace) const {
  const auto it = entries_.find(Key(mapping.file, mount_namespace));
  if (it == entries_.end()) return std::nullopt;
  const Entry& entry = it->second;
  // Another name of the same file is another file to a restore: one may be deleted, or be moved.
  if (entry.name != mapping.name || entry.deleted != mapping.deleted) return std::nullopt;
  if (entry.lender.expired()) return std::nullopt;
  return entry.loan;
}

void MappedFileCache::Offer(const Mapping& mapping, uint64_t mount_namespace, Loan loan,
                            const std::shared_ptr<const void>& lender) {
  if (loan.facts->sysv) return;
  entries_.insert_or_assign(Key(mapping.file, mount_namespace),
                            Entry{mapping.name, mapping.deleted, std::move(loan), lender});
}

}  // namespace dumpctl
