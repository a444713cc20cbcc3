#include "proc/same_mappings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "proc/map_file_opener.h"
#include "test/mm/mapped_child.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

// A file of two pages, open.
UniqueFd MakeFile(const std::string& name) {
  UniqueFd file(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_TRUE(file.valid());
  EXPECT_EQ(ftruncate(file.get(), 2 * kPage), 0);
  return file;
}

void* LayOutFile(int file) {
  Map(2, PROT_READ | PROT_WRITE);
  Map(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  Map(1, PROT_READ, MAP_SHARED, file);
  return mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file, kPage);
}

VmaList ListOf(const MappedChild& child) {
  const ProcDir dir = child.Dir();
  ProcMapFileOpener opener(dir, *KernelTmpfsDevice());
  return *VmaList::Build(*ParseMaps(*dir.Read("maps")), opener);
}

TEST(SameMappingsTest, AreThoseOfMapsUntilSomethingDiffers) {
  if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskVma))
    GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  const TemporaryDirectory directory;
  const std::string name = directory.Path("file");
  const UniqueFd file = MakeFile(name);
  const MappedChild child([&file] { return LayOutFile(file.get()); });
  const VmaList list = ListOf(child);
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto now = flags->Read(child.pid());
  ASSERT_TRUE(now.ok()) << now.status();
  ASSERT_TRUE(AreMappedStill(list, *now));

  BpfMappings other = *now;
  other.flags.pop_back();
  EXPECT_FALSE(AreMappedStill(list, other));
  size_t at = 0;
  while (now->flags[at].start != child.base()) ++at;
  const auto differs = [&](auto change) {
    other = *now;
    change(other.flags[at], other.sources[at]);
    return !AreMappedStill(list, other);
  };
  EXPECT_FALSE(differs([](MappingFlags&, MappingSource&) {}));
  EXPECT_TRUE(differs([](MappingFlags& f, MappingSource&) { f.end = f.end + kPage; }));
  EXPECT_TRUE(differs([](MappingFlags& f, MappingSource&) { f.flags.Set(VmFlag::kWrite); }));
  EXPECT_TRUE(differs([](MappingFlags& f, MappingSource&) { f.flags.Set(VmFlag::kMayShare); }));
  EXPECT_TRUE(differs([](MappingFlags&, MappingSource& s) { s.offset = 0; }));
  EXPECT_TRUE(differs([](MappingFlags&, MappingSource& s) { ++s.file.ino; }));
  EXPECT_TRUE(differs([](MappingFlags&, MappingSource& s) { ++s.file.dev; }));
  EXPECT_TRUE(differs([](MappingFlags&, MappingSource& s) { s = {}; }));
  // Plain memory where there was [vdso], and the other way round.
  other = *now;
  at = 0;
  for (const Vma& vma : list) {
    if (vma.mapping.name == "[vdso]") break;
    ++at;
  }
  EXPECT_TRUE(differs([](MappingFlags&, MappingSource& s) { s.plain = true; }));
}

bool AreNamedStill(const VmaList& list) {
  OpenNames names;
  return HaveTheirNames(list, names);
}

TEST(SameMappingsTest, FilesHaveTheirNamesUntilTheyLoseThem) {
  const TemporaryDirectory directory;
  const std::string name = directory.Path("file");
  const UniqueFd file = MakeFile(name);
  const MappedChild child([&file] { return LayOutFile(file.get()); });
  const VmaList list = ListOf(child);
  EXPECT_TRUE(AreNamedStill(list));
  const std::string moved = name + ".moved";
  ASSERT_EQ(rename(name.c_str(), moved.c_str()), 0);
  EXPECT_FALSE(AreNamedStill(list));
  ASSERT_EQ(rename(moved.c_str(), name.c_str()), 0);
  EXPECT_TRUE(AreNamedStill(list));
  // What has been asked is known.
  OpenNames known;
  EXPECT_TRUE(HaveTheirNames(list, known));
  ASSERT_EQ(unlink(name.c_str()), 0);
  EXPECT_TRUE(HaveTheirNames(list, known));
  EXPECT_FALSE(AreNamedStill(list));
  EXPECT_TRUE(AreNamedStill(ListOf(child)));
}

}  // namespace
}  // namespace dumpctl
