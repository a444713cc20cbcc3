#include "proc/named_mappings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "proc/smaps_parser.h"
#include "test/mm/mapped_child.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

class NamedMappingsTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto features = KernelFeatures::Probe();
    if (!features->Has(KernelFeature::kBpfTaskVma) || !features->Has(KernelFeature::kProcmapQuery))
      GTEST_SKIP() << "this kernel or caller has no BPF iterators, or no PROCMAP_QUERY";
  }

  UniqueFd MakeFile(const std::string& name) const {
    UniqueFd file(open(directory_.Path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_TRUE(file.valid());
    EXPECT_EQ(ftruncate(file.get(), 8 * kPage), 0);
    return file;
  }

  const TemporaryDirectory directory_;
};

absl::StatusOr<std::vector<Mapping>> Named(const MappedChild& child) {
  const auto flags = BpfVmFlags::Load();
  EXPECT_TRUE(flags.ok()) << flags.status();
  const auto read = flags->ReadBefore(child.pid(), [](size_t) {});
  EXPECT_TRUE(read.ok()) << read.status();
  return NameMappings(child.Dir(), *read);
}

// Every other page read-only.
void MapInParts(int file, int flags) {
  char* const base = Map(8, PROT_READ | PROT_WRITE, flags, file);
  for (size_t i = 0; base != nullptr && i < 8; i += 2) mprotect(base + i * kPage, kPage, PROT_READ);
}

void CallIt(char* at, size_t pages, const char* name) {
  prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, pages * kPage, name);
}

TEST_F(NamedMappingsTest, AreThoseOfMaps) {
  const UniqueFd plain = MakeFile("plain");
  const UniqueFd linked = MakeFile("linked");
  const UniqueFd gone = MakeFile("gone");
  const UniqueFd called_gone = MakeFile("living (deleted)");
  const UniqueFd two_lines = MakeFile("two\nlines");
  const UniqueFd memfd(memfd_create("some", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memfd.get(), 8 * kPage), 0);
  ASSERT_EQ(link(directory_.Path("linked").c_str(), directory_.Path("link").c_str()), 0);
  const UniqueFd link_(open(directory_.Path("link").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(link_.valid());
  ASSERT_EQ(unlink(directory_.Path("gone").c_str()), 0);
  const MappedChild child([&]() -> void* {
    for (const UniqueFd* file :
         {&plain, &linked, &link_, &gone, &called_gone, &two_lines, &memfd}) {
      MapInParts(file->get(), MAP_PRIVATE);
      MapInParts(file->get(), MAP_SHARED);
    }
    // The same once more, behind others.
    MapInParts(plain.get(), MAP_PRIVATE);
    const int segment = shmget(IPC_PRIVATE, kPage, 0600);
    if (segment < 0 || shmat(segment, nullptr, 0) == reinterpret_cast<void*>(-1)) return nullptr;
    shmctl(segment, IPC_RMID, nullptr);
    // Their names are of Linux 5.17, and shared memory's of 6.2; without, they have none.
    CallIt(Map(2), 2, "own name");
    CallIt(Map(2, PROT_READ, MAP_SHARED | MAP_ANONYMOUS), 1, "shared");
    // So that there is a heap, in parts.
    char* const heap = static_cast<char*>(sbrk(0));
    if (sbrk(4 * kPage) != heap) return nullptr;
    char* const at = heap + (kPage - reinterpret_cast<uintptr_t>(heap) % kPage) % kPage;
    mprotect(at + kPage, kPage, PROT_NONE);
    return at;
  });
  const auto named = Named(child);
  ASSERT_TRUE(named.ok()) << named.status();
  const auto by_maps = ParseMaps(*child.Dir().Read("maps"));
  ASSERT_TRUE(by_maps.ok()) << by_maps.status();
  ASSERT_EQ(named->size(), by_maps->size());
  size_t heaps = 0;
  for (size_t i = 0; i < named->size(); ++i) {
    EXPECT_TRUE((*named)[i] == (*by_maps)[i])
        << (*named)[i].name << " and " << (*by_maps)[i].name << " at 0x" << std::hex
        << (*by_maps)[i].start.value();
    if ((*named)[i].name == "[heap]") ++heaps;
  }
  EXPECT_GE(heaps, 3u);
}

// Where maps cannot tell a newline from how it is spelt, this can.
TEST_F(NamedMappingsTest, AreNotMistakenForOnesWithNewlines) {
  const UniqueFd file = MakeFile("no\\012newline");
  const MappedChild child(
      [&file]() -> void* { return Map(1, PROT_READ, MAP_PRIVATE, file.get()); });
  const auto named = Named(child);
  ASSERT_TRUE(named.ok()) << named.status();
  for (const Mapping& mapping : *named) {
    if (mapping.start != child.base()) continue;
    EXPECT_EQ(mapping.name, directory_.Path("no\\012newline"));
  }
}

TEST_F(NamedMappingsTest, AreToldOnlyOfWhatThereStillIs) {
  const UniqueFd file = MakeFile("file");
  const MappedChild child(
      [&file]() -> void* { return Map(2, PROT_READ, MAP_PRIVATE, file.get()); });
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto read = flags->Read(child.pid());
  ASSERT_TRUE(read.ok()) << read.status();
  size_t at = 0;
  while (read->flags[at].start != child.base()) ++at;
  const auto code_of = [&](auto change) {
    BpfMappings other = *read;
    change(other.flags[at], other.sources[at]);
    return NameMappings(child.Dir(), other).status().code();
  };
  EXPECT_EQ(code_of([](MappingFlags&, MappingSource&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(code_of([](MappingFlags& f, MappingSource&) { f.end = f.end - kPage; }),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(code_of([](MappingFlags& f, MappingSource&) { f.flags.Set(VmFlag::kWrite); }),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(code_of([](MappingFlags&, MappingSource& s) { s.offset = kPage; }),
            absl::StatusCode::kNotFound);
  // As it is on overlayfs.
  EXPECT_EQ(code_of([](MappingFlags&, MappingSource& s) { ++s.file.dev; }),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dumpctl
