#include "dump/session/memfd_files.h"

#include <sys/mman.h>

#include <iterator>

#include "absl/strings/str_cat.h"
#include "dump/image/no_owner.h"
#include "dumpctl/status_macros.h"
#include "proc/fdinfo_parser.h"

namespace dumpctl {

FileMaker MemfdFiles::Maker() {
  return [this](const Descriptor& descriptor, uint32_t id, uint32_t flags,
                const image::fown_entry& owner) { return Make(descriptor, id, flags, owner); };
}

absl::StatusOr<MadeFile> MemfdFiles::Make(const Descriptor& descriptor, uint32_t id, uint32_t flags,
                                          const image::fown_entry& owner) const {
  const auto object = objects_.find(descriptor.stat.st_ino);
  if (object == objects_.end()) {
    const WhyNot why_not = WhyNotMemfd();
    return WhyNotText{std::string(why_not.why), std::string(why_not.remedy)};
  }
  ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
  image::file_entry entry;
  entry.set_type(image::MEMFD);
  entry.set_id(id);
  image::memfd_file_entry* memfd = entry.mutable_memfd();
  memfd->set_id(id);
  memfd->set_flags(flags);
  memfd->set_pos(info.pos);
  *memfd->mutable_fown() = owner;
  memfd->set_inode_id(InodeId(object));
  return entry;
}

absl::StatusOr<uint32_t> MemfdFiles::MappedId(uint64_t shmem_id) {
  uint32_t& id = mapped_[shmem_id];
  if (id != 0) return id;
  const auto object = objects_.find(shmem_id);
  if (object == objects_.end()) {
    return absl::InternalError(absl::StrCat("memfd ", shmem_id, " is mapped and was not read"));
  }
  id = files_.NextId();
  image::file_entry entry;
  entry.set_type(image::MEMFD);
  entry.set_id(id);
  image::memfd_file_entry* memfd = entry.mutable_memfd();
  memfd->set_id(id);
  memfd->set_flags(0);
  memfd->set_pos(0);
  *memfd->mutable_fown() = NoOwner();
  memfd->set_inode_id(InodeId(object));
  files_.Add(std::move(entry));
  return id;
}

std::vector<image::memfd_inode_entry> MemfdFiles::Inodes() const {
  std::vector<image::memfd_inode_entry> entries;
  for (auto object = objects_.begin(); object != objects_.end(); ++object) {
    if (!object->second.memfd) continue;
    const MemfdFacts& facts = *object->second.memfd;
    image::memfd_inode_entry& entry = entries.emplace_back();
    entry.set_name(facts.name);
    entry.set_uid(facts.stat.st_uid);
    entry.set_gid(facts.stat.st_gid);
    entry.set_size(static_cast<uint64_t>(facts.stat.st_size));
    entry.set_shmid(static_cast<uint32_t>(object->first));
    entry.set_seals(facts.seals);
    entry.set_inode_id(InodeId(object));
    entry.set_mode(facts.stat.st_mode);
    if (facts.huge_page_shift) {
      entry.set_hugetlb_flag(MFD_HUGETLB | *facts.huge_page_shift << MAP_HUGE_SHIFT);
    }
  }
  return entries;
}

uint32_t MemfdFiles::InodeId(SharedObjects::const_iterator object) const {
  return static_cast<uint32_t>(std::distance(objects_.begin(), object)) + 1;
}

}  // namespace dumpctl
