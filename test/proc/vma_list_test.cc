#include "proc/vma_list.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr uint64_t kPage = 0x1000;

// A file as the fake kernel knows it.
struct ListedFile {
  dev_t dev;
  ino_t ino;
  std::string name;
  bool deleted = false;
};

const ListedFile kNoFile = {0, 0, ""};
const ListedFile kLibc = {makedev(8, 1), 10, "/lib/libc.so"};
const ListedFile kOtherDevice = {makedev(8, 2), 10, "/lib/libc.so"};
const ListedFile kLibm = {makedev(8, 1), 11, "/lib/libm.so"};

// Mappings of these files, one page each, one after the other.
std::vector<Mapping> MappingsOf(const std::vector<ListedFile>& files) {
  std::vector<Mapping> mappings;
  uint64_t address = kPage;
  for (const ListedFile& file : files) {
    Mapping mapping;
    mapping.start = RemoteAddress(address);
    mapping.end = RemoteAddress(address + kPage);
    mapping.read = true;
    mapping.file = {file.dev, file.ino};
    mapping.name = file.name;
    mapping.deleted = file.deleted;
    mappings.push_back(std::move(mapping));
    address += kPage;
  }
  return mappings;
}

// Opens /dev/null for whatever is asked, and counts.
class FakeOpener : public MapFileOpener {
 public:
  absl::StatusOr<OpenedMapFile> Open(const Mapping& mapping) override {
    ++counts_.opens;
    ++counts_.stats;
    OpenedMapFile opened;
    opened.facts.path = mapping.name;
    opened.facts.stat.st_ino = mapping.file.ino;
    opened.facts.mount_id = 7;
    opened.facts.sysv = mapping.name.starts_with("/SYSV");
    if (mapping.name == failing_) return absl::PermissionDeniedError(mapping.name);
    if (mapping.name != without_descriptor_) opened.fd = UniqueFd(open("/dev/null", O_PATH));
    return opened;
  }

  void FailOn(std::string name) { failing_ = std::move(name); }
  void GiveNoDescriptorFor(std::string name) { without_descriptor_ = std::move(name); }

 private:
  std::string failing_ = "-";
  std::string without_descriptor_ = "-";
};

VmaList Build(const std::vector<ListedFile>& files, FakeOpener& opener,
              const VmaList::Shared* shared = nullptr) {
  absl::StatusOr<VmaList> list = VmaList::Build(MappingsOf(files), opener, shared);
  EXPECT_TRUE(list.ok()) << list.status();
  return *std::move(list);
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

Vma VmaOf(const ListedFile& file, MapFile map_file) {
  Vma vma;
  vma.mapping = MappingsOf({file})[0];
  vma.file = std::move(map_file);
  return vma;
}

TEST(CanBorrowTest, TheSameFileWithADescriptorLends) {
  const Mapping libc = MappingsOf({kLibc})[0];
  const Vma owner = VmaOf(kLibc, UniqueFd(open("/dev/null", O_PATH)));
  EXPECT_TRUE(CanBorrow(&owner, libc));
  const Vma borrower = VmaOf(kLibc, BorrowedFd(owner.fd()));
  EXPECT_TRUE(CanBorrow(&borrower, libc));
}

TEST(CanBorrowTest, ItsOwnFlagsDoNotMatter) {
  const Vma owner = VmaOf(kLibc, UniqueFd(open("/dev/null", O_PATH)));
  Mapping libc = MappingsOf({kLibc})[0];
  libc.start = RemoteAddress(0x7000000);
  libc.end = RemoteAddress(0x9000000);
  libc.offset = 0x4000;
  libc.write = libc.shared = true;
  EXPECT_TRUE(CanBorrow(&owner, libc));
}

TEST(CanBorrowTest, NothingElseLends) {
  const Mapping libc = MappingsOf({kLibc})[0];
  EXPECT_FALSE(CanBorrow(nullptr, libc));
  const Vma none = VmaOf(kLibc, std::monostate());
  EXPECT_FALSE(CanBorrow(&none, libc)) << "none has none to lend";
  const Vma owner = VmaOf(kLibc, UniqueFd(open("/dev/null", O_PATH)));
  for (const ListedFile& other :
       {kOtherDevice, kLibm, kNoFile, ListedFile{kLibc.dev, kLibc.ino, "/another/link"},
        ListedFile{kLibc.dev, kLibc.ino, kLibc.name, true}}) {
    EXPECT_FALSE(CanBorrow(&owner, MappingsOf({other})[0])) << other.name;
  }
}

TEST(CanBorrowTest, TheFirstSysvSegmentIsAFileDespiteInodeZero) {
  const ListedFile segment = {makedev(0, 1), 0, "/SYSV00000000", true};
  const Vma owner = VmaOf(segment, UniqueFd(open("/dev/null", O_PATH)));
  EXPECT_TRUE(CanBorrow(&owner, MappingsOf({segment})[0]));
  // A memfd's inode number may equal a segment's shmid.
  EXPECT_FALSE(CanBorrow(&owner, MappingsOf({{makedev(0, 1), 0, "/memfd:x", true}})[0]));
}

TEST(VmaListTest, ARunOfOneFileIsOpenedOnce) {
  FakeOpener opener;
  const VmaList list = Build({kLibc, kLibc, kLibc, kLibc, kLibc}, opener);
  EXPECT_EQ(opener.counts(), (OpenCounts{.opens = 1, .stats = 1}));
  EXPECT_EQ(list.counts().vmas, 5u);
  EXPECT_EQ(list.counts().opened, 1u);
  EXPECT_EQ(list.counts().borrowed_from_previous, 4u);
  EXPECT_EQ(list.counts().calls, opener.counts());
  EXPECT_TRUE(list[0].owns_file());
  for (const Vma& vma : list) {
    EXPECT_EQ(vma.fd(), list[0].fd());
    EXPECT_EQ(vma.borrows_file(), &vma != &list[0]);
    EXPECT_EQ(vma.facts, list[0].facts) << "facts are inherited, not copied or learnt again";
    EXPECT_EQ(vma.facts->mount_id, 7u);
  }
}

TEST(VmaListTest, ABorrowerKeepsWhatDependsOnItsOwnFlags) {
  std::vector<Mapping> mappings = MappingsOf({kLibc, kLibc});
  mappings[1].shared = mappings[1].write = true;
  FakeOpener opener;
  const auto list = VmaList::Build(std::move(mappings), opener);
  ASSERT_TRUE(list.ok());
  EXPECT_EQ((*list)[0].kind, VmaKind::kFilePrivate);
  EXPECT_EQ((*list)[1].kind, VmaKind::kFileShared);
  EXPECT_TRUE((*list)[1].borrows_file());
}

struct RunCase {
  const char* what;
  std::vector<ListedFile> files;
  size_t opened;
  size_t borrowed;
};
void PrintTo(const RunCase& c, std::ostream* out) { *out << c.what; }

class VmaListRunTest : public ::testing::TestWithParam<RunCase> {};

TEST_P(VmaListRunTest, OpensAndBorrowsAsExpected) {
  FakeOpener opener;
  const VmaList list = Build(GetParam().files, opener);
  EXPECT_EQ(opener.counts().opens, GetParam().opened);
  EXPECT_EQ(list.counts().opened, GetParam().opened);
  EXPECT_EQ(list.counts().borrowed(), GetParam().borrowed);
}

const RunCase kRuns[] = {
    {"nothing mapped", {}, 0, 0},
    {"anonymous memory opens nothing", {kNoFile, kNoFile}, 0, 0},
    {"anonymous memory in between does not break a run",
     {kLibc, kNoFile, kLibc, kNoFile, kNoFile, kLibc},
     1,
     2},
    {"the same inode on another device is another file", {kLibc, kOtherDevice, kOtherDevice}, 2, 1},
    {"another file in between breaks a run without a cache", {kLibc, kLibm, kLibc}, 3, 0},
    {"two deleted files of one name are two files",
     {{1, 20, "/tmp/x", true}, {1, 21, "/tmp/x", true}},
     2,
     0},
    {"a deleted file's run is a run", {{1, 20, "/tmp/x", true}, {1, 20, "/tmp/x", true}}, 1, 1},
    {"a deleted link and a living one of one file",
     {{1, 20, "/tmp/x", true}, {1, 20, "/tmp/y", false}},
     2,
     0},
};
INSTANTIATE_TEST_SUITE_P(Runs, VmaListRunTest, ::testing::ValuesIn(kRuns));

TEST(VmaListTest, AFileWithoutDescriptorLendsNothing) {
  FakeOpener opener;
  opener.GiveNoDescriptorFor(kLibc.name);
  const VmaList list = Build({kLibc, kLibc}, opener);
  EXPECT_EQ(opener.counts().opens, 2u);
  EXPECT_EQ(list.counts().opened, 0u);
  EXPECT_EQ(list[1].fd(), -1);
  EXPECT_NE(list[1].facts, nullptr);
}

TEST(VmaListTest, AFailedOpenFailsTheListAndLeavesNothingOpen) {
  FakeOpener opener;
  opener.FailOn(kLibm.name);
  const int next = dup(0);
  close(next);
  EXPECT_EQ(VmaList::Build(MappingsOf({kLibc, kLibm}), opener).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(IsOpen(next));
}

TEST(VmaListTest, ClosesOwnedSkipsBorrowedAndIsIdempotent) {
  FakeOpener opener;
  VmaList list = Build({kLibc, kLibc, kNoFile, kLibm, kLibm, kLibm}, opener);
  const int libc = list[0].fd();
  const int libm = list[3].fd();
  EXPECT_TRUE(IsOpen(libc) && IsOpen(libm));
  const VmaList::CloseCounts counts = list.Close();
  EXPECT_EQ(counts.closed, 2u);
  EXPECT_EQ(counts.skipped, 3u);
  EXPECT_FALSE(IsOpen(libc) || IsOpen(libm));
  // The numbers are somebody else's now: closing again must not touch them.
  const int reused = open("/dev/null", O_PATH);
  ASSERT_EQ(reused, libc);
  const VmaList::CloseCounts again = list.Close();
  EXPECT_EQ(again.closed, 0u);
  EXPECT_EQ(again.skipped, 0u);
  EXPECT_TRUE(IsOpen(reused));
  close(reused);
  EXPECT_EQ(list.size(), 6u);
  EXPECT_EQ(list[1].facts->path, kLibc.name) << "facts outlive the descriptors";
}

TEST(VmaListTest, TheDestructorAndAssignmentClose) {
  FakeOpener opener;
  int fd = -1;
  {
    VmaList list = Build({kLibc, kLibc}, opener);
    fd = list[0].fd();
    VmaList moved = std::move(list);
    EXPECT_EQ(moved[0].fd(), fd);
    EXPECT_TRUE(IsOpen(fd));
  }
  EXPECT_FALSE(IsOpen(fd));
  VmaList list = Build({kLibc}, opener);
  fd = list[0].fd();
  VmaList other = Build({kLibm}, opener);
  const int other_fd = other[0].fd();
  list = std::move(other);
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_TRUE(IsOpen(other_fd));
}

TEST(VmaListTest, FindsByAddressAndKind) {
  FakeOpener opener;
  std::vector<Mapping> mappings = MappingsOf({kLibc, kNoFile, kNoFile});
  mappings[1].name = "[heap]";
  mappings[2].name = "[stack]";
  mappings[2].start = RemoteAddress(0x10000);
  mappings[2].end = RemoteAddress(0x12000);
  const auto list = VmaList::Build(std::move(mappings), opener);
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->Find(RemoteAddress(0xfff)), nullptr);
  EXPECT_EQ(list->Find(RemoteAddress(0x1000)), &(*list)[0]);
  EXPECT_EQ(list->Find(RemoteAddress(0x1fff)), &(*list)[0]);
  EXPECT_EQ(list->Find(RemoteAddress(0x2000)), &(*list)[1]);
  EXPECT_EQ(list->Find(RemoteAddress(0x3000)), nullptr);
  EXPECT_EQ(list->Find(RemoteAddress(0x11000)), &(*list)[2]);
  EXPECT_EQ(list->Find(RemoteAddress(0x12000)), nullptr);
  EXPECT_EQ(list->FindKind(VmaKind::kHeap), &(*list)[1]);
  EXPECT_EQ(list->FindKind(VmaKind::kVdso), nullptr);
  EXPECT_TRUE((*list)[2].grows_down) << "by name, where VmFlags are not known";
  EXPECT_FALSE((*list)[1].grows_down);
}

TEST(VmaListTest, LearnsVmFlagsLater) {
  FakeOpener opener;
  const std::vector<Mapping> from_maps = MappingsOf({kLibc, kNoFile, kNoFile});
  absl::StatusOr<VmaList> list = VmaList::Build(from_maps, opener);
  ASSERT_TRUE(list.ok());
  std::vector<MappingFlags> flags;
  for (const Mapping& mapping : from_maps) {
    flags.push_back({mapping.start, mapping.end, VmFlags{VmFlag::kRead}});
  }
  flags[1].flags.Set(VmFlag::kGrowsDown);
  ASSERT_TRUE(list->LearnFlags(flags).ok());
  EXPECT_TRUE((*list)[1].grows_down);
  EXPECT_FALSE((*list)[2].grows_down);
  EXPECT_TRUE((*list)[2].mapping.Has(VmFlag::kRead));
  EXPECT_EQ(opener.counts().opens, 1u);

  // Of other mappings: one less, one more, another end. Then nothing is learnt.
  std::vector<MappingFlags> others = flags;
  for (MappingFlags& mapping : others) mapping.flags = {};
  others.pop_back();
  EXPECT_EQ(list->LearnFlags(others).code(), absl::StatusCode::kDataLoss);
  others.push_back({flags[2].start, RemoteAddress(0x100000), {}});
  EXPECT_EQ(list->LearnFlags(others).code(), absl::StatusCode::kDataLoss);
  others.back().end = flags[2].end;
  others.push_back({RemoteAddress(0x200000), RemoteAddress(0x201000), {}});
  EXPECT_EQ(list->LearnFlags(others).code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE((*list)[0].mapping.Has(VmFlag::kRead));
}

TEST(VmaListCacheTest, AFileMappedElsewhereIsOpenedOnce) {
  FakeOpener opener;
  MappedFileCache cache;
  const VmaList::Shared shared = {&cache, 1};
  const VmaList list = Build({kLibc, kLibm, kLibc, kLibc, kLibm}, opener, &shared);
  EXPECT_EQ(opener.counts().opens, 2u);
  EXPECT_EQ(list.counts().borrowed_from_cache, 2u);
  EXPECT_EQ(list.counts().borrowed_from_previous, 1u);
  EXPECT_EQ(list[4].fd(), list[1].fd());
}

TEST(VmaListCacheTest, AnotherTaskBorrowsAcrossTheTree) {
  FakeOpener opener;
  MappedFileCache cache;
  const VmaList::Shared shared = {&cache, 1};
  VmaList first = Build({kLibc, kLibc, kLibm}, opener, &shared);
  VmaList second = Build({kLibc, kLibc, kLibm}, opener, &shared);
  EXPECT_EQ(opener.counts().opens, 2u);
  EXPECT_EQ(second.counts().opened, 0u);
  EXPECT_EQ(second.counts().calls, OpenCounts());
  EXPECT_EQ(second[2].fd(), first[2].fd());
  EXPECT_EQ(second.Close().closed, 0u);
  EXPECT_TRUE(IsOpen(first[0].fd())) << "a borrower closes nothing";
}

TEST(VmaListCacheTest, AClosedListLendsNoMore) {
  FakeOpener opener;
  MappedFileCache cache;
  const VmaList::Shared shared = {&cache, 1};
  VmaList first = Build({kLibc}, opener, &shared);
  first.Close();
  const VmaList second = Build({kLibc}, opener, &shared);
  EXPECT_EQ(second.counts().opened, 1u);
  EXPECT_TRUE(IsOpen(second[0].fd()));
}

TEST(VmaListCacheTest, MountNamespacesNamesAndSysvSegmentsKeepApart) {
  FakeOpener opener;
  MappedFileCache cache;
  const VmaList::Shared one = {&cache, 1};
  const VmaList::Shared two = {&cache, 2};
  const ListedFile segment = {makedev(0, 1), 0, "/SYSV00000000", true};
  const VmaList first = Build({kLibc, segment}, opener, &one);
  EXPECT_EQ(Build({kLibc}, opener, &two).counts().opened, 1u);
  EXPECT_EQ(Build({{kLibc.dev, kLibc.ino, "/link"}}, opener, &one).counts().opened, 1u);
  EXPECT_EQ(Build({segment}, opener, &one).counts().opened, 1u);
}

TEST(VmaListTest, TwentyThousandVmasAreQuick) {
  std::vector<ListedFile> files;
  for (int i = 0; i < 20000; ++i) {
    files.push_back(i % 8 < 4 ? kNoFile : (i % 8 < 7 ? kLibc : kLibm));
  }
  std::vector<Mapping> mappings = MappingsOf(files);
  FakeOpener opener;
  MappedFileCache cache;
  const VmaList::Shared shared = {&cache, 1};
  const auto start = std::chrono::steady_clock::now();
  auto list = VmaList::Build(std::move(mappings), opener, &shared);
  ASSERT_TRUE(list.ok());
  for (uint64_t i = 0; i < 20000; ++i) {
    ASSERT_NE(list->Find(RemoteAddress(kPage * (i + 1))), nullptr);
  }
  EXPECT_EQ(list->Close().skipped, 10000u - 2u);
  // It takes some milliseconds; anything quadratic would take many seconds.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(opener.counts().opens, 2u);
}

}  // namespace
}  // namespace dumpctl
