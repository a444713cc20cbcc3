#include "proc/map_file_opener.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/if_packet.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/smaps_parser.h"
#include "proc/vma_kind.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

constexpr size_t kSize = 8192;

// Maps files into the test itself, and opens them through its own map_files.
class MapFileOpenerTest : public ::testing::Test {
 protected:
  MapFileOpenerTest() : self_(*ProcDir::OpenTask(getpid())), opener_(self_, *KernelTmpfsDevice()) {}
  // Nothing stays for the tests that come in the same process.
  ~MapFileOpenerTest() override { UnmapAll(); }

  UniqueFd CreateFile(const std::string& name) {
    UniqueFd file(open((directory_ + "/" + name).c_str(), O_RDWR | O_CREAT, 0600));
    EXPECT_EQ(ftruncate(file.get(), kSize), 0);
    return file;
  }

  void* Map(int fd, int flags, size_t size = kSize) {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    EXPECT_NE(at, MAP_FAILED);
    mapped_.emplace_back(at, size);
    return at;
  }

  void UnmapAll() {
    for (const auto& [at, size] : std::exchange(mapped_, {})) munmap(at, size);
  }

  Mapping MappingAt(const void* at) {
    const auto mappings = ParseSmaps(*self_.Read("smaps"));
    EXPECT_TRUE(mappings.ok()) << mappings.status();
    for (const Mapping& mapping : *mappings) {
      if (mapping.start.value() == reinterpret_cast<uint64_t>(at)) return mapping;
    }
    ADD_FAILURE() << "nothing is mapped at " << at;
    return {};
  }

  OpenedMapFile OpenAt(const void* at) {
    absl::StatusOr<OpenedMapFile> opened = opener_.Open(MappingAt(at));
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : OpenedMapFile{};
  }

  VmaKind KindAt(const void* at) {
    const OpenedMapFile opened = OpenAt(at);
    return KindOf(MappingAt(at), &opened.facts);
  }

  const TemporaryDirectory place_;
  const std::string directory_ = place_.path();
  std::vector<std::pair<void*, size_t>> mapped_;
  ProcDir self_;
  ProcMapFileOpener opener_;
};

uint64_t MountIdOf(const UniqueFd& file) {
  std::ifstream fdinfo("/proc/self/fdinfo/" + std::to_string(file.get()));
  for (std::string line; std::getline(fdinfo, line);) {
    if (line.starts_with("mnt_id:")) return std::stoull(line.substr(7));
  }
  return 0;
}

TEST_F(MapFileOpenerTest, LearnsAllOfARegularFileInOneOpenAndOneStat) {
  const UniqueFd file = CreateFile("a file");
  const OpenedMapFile opened = OpenAt(Map(file.get(), MAP_PRIVATE));
  EXPECT_EQ(opener_.counts(), (OpenCounts{.opens = 1, .stats = 1}));
  struct stat want = {};
  ASSERT_EQ(fstat(file.get(), &want), 0);
  const struct stat& got = opened.facts.stat;
  EXPECT_EQ(got.st_dev, want.st_dev);
  EXPECT_EQ(got.st_ino, want.st_ino);
  EXPECT_EQ(got.st_mode, want.st_mode);
  EXPECT_EQ(got.st_nlink, want.st_nlink);
  EXPECT_EQ(got.st_uid, want.st_uid);
  EXPECT_EQ(got.st_size, want.st_size);
  EXPECT_EQ(got.st_blocks, want.st_blocks);
  EXPECT_EQ(got.st_mtim.tv_nsec, want.st_mtim.tv_nsec);
  EXPECT_EQ(opened.facts.mount_id, MountIdOf(file));
  EXPECT_EQ(opened.facts.path, directory_ + "/a file");
  EXPECT_FALSE(opened.facts.deleted);
  EXPECT_FALSE(opened.facts.shmem);
  EXPECT_EQ(fcntl(opened.fd.get(), F_GETFL) & O_PATH, O_PATH);
  EXPECT_EQ(fcntl(opened.fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(MapFileOpenerTest, TellsDeletedFilesFromThoseCalledSo) {
  const UniqueFd gone = CreateFile("gone");
  const void* gone_at = Map(gone.get(), MAP_SHARED);
  unlink((directory_ + "/gone").c_str());
  EXPECT_TRUE(OpenAt(gone_at).facts.deleted);
  EXPECT_EQ(OpenAt(gone_at).facts.path, directory_ + "/gone");

  const UniqueFd living = CreateFile("living (deleted)");
  const void* living_at = Map(living.get(), MAP_SHARED);
  EXPECT_FALSE(OpenAt(living_at).facts.deleted);
  EXPECT_EQ(OpenAt(living_at).facts.path, directory_ + "/living (deleted)");
  unlink((directory_ + "/living (deleted)").c_str());
  EXPECT_TRUE(OpenAt(living_at).facts.deleted);
  EXPECT_EQ(OpenAt(living_at).facts.path, directory_ + "/living (deleted)");

  // The file lives on under another name, but this one is gone.
  const UniqueFd linked = CreateFile("linked");
  const void* linked_at = Map(linked.get(), MAP_SHARED);
  ASSERT_EQ(link((directory_ + "/linked").c_str(), (directory_ + "/other").c_str()), 0);
  unlink((directory_ + "/linked").c_str());
  EXPECT_TRUE(OpenAt(linked_at).facts.deleted);
  EXPECT_EQ(OpenAt(linked_at).facts.stat.st_nlink, 1u);
}

TEST_F(MapFileOpenerTest, ReadsAmbiguousNamesFromTheLink) {
  const UniqueFd newline = CreateFile("new\nline");
  EXPECT_EQ(OpenAt(Map(newline.get(), MAP_SHARED)).facts.path, directory_ + "/new\nline");
  const UniqueFd escape = CreateFile("looks\\012escaped");
  const void* at = Map(escape.get(), MAP_SHARED);
  EXPECT_EQ(MappingAt(at).name, directory_ + "/looks\nescaped");
  EXPECT_EQ(OpenAt(at).facts.path, directory_ + "/looks\\012escaped");
}

TEST_F(MapFileOpenerTest, KnowsTheKernelsOwnMemoryFiles) {
  const UniqueFd memfd(memfd_create("x y", 0));
  ASSERT_EQ(ftruncate(memfd.get(), kSize), 0);
  const void* shared = Map(memfd.get(), MAP_SHARED);
  const OpenedMapFile opened = OpenAt(shared);
  EXPECT_TRUE(opened.facts.shmem);
  EXPECT_TRUE(opened.facts.memfd);
  EXPECT_EQ(opened.facts.shmem_id, opened.facts.stat.st_ino);
  EXPECT_EQ(KindAt(shared), VmaKind::kMemfd);
  EXPECT_EQ(KindAt(Map(-1, MAP_SHARED | MAP_ANONYMOUS)), VmaKind::kAnonShared);

  const int id = shmget(IPC_PRIVATE, kSize, IPC_CREAT | 0600);
  ASSERT_GE(id, 0);
  const void* segment = shmat(id, nullptr, 0);
  shmctl(id, IPC_RMID, nullptr);
  EXPECT_EQ(KindAt(segment), VmaKind::kSysvShm);
  EXPECT_EQ(OpenAt(segment).facts.shmem_id, static_cast<uint64_t>(id));
  shmdt(segment);

  const UniqueFd zero(open("/dev/zero", O_RDWR));
  EXPECT_EQ(KindAt(Map(zero.get(), MAP_PRIVATE)), VmaKind::kFilePrivate);
  EXPECT_EQ(KindAt(Map(zero.get(), MAP_SHARED)), VmaKind::kAnonShared);
}

TEST_F(MapFileOpenerTest, KnowsHugePagesWithoutVmFlags) {
  const UniqueFd huge(memfd_create("huge", MFD_HUGETLB));
  if (!huge) GTEST_SKIP() << "no hugetlbfs in this kernel";
  constexpr size_t kHuge = size_t{2} << 20;
  ASSERT_EQ(ftruncate(huge.get(), kHuge), 0);
  // Without reservation it maps even where no huge page is set aside.
  const void* at = Map(huge.get(), MAP_SHARED | MAP_NORESERVE, kHuge);
  const OpenedMapFile opened = OpenAt(at);
  EXPECT_TRUE(opened.facts.hugetlb);
  EXPECT_TRUE(opened.facts.memfd);
  Mapping as_in_maps = MappingAt(at);
  as_in_maps.flags.reset();
  EXPECT_EQ(KindOf(as_in_maps, &opened.facts), VmaKind::kMemfd);
}

TEST_F(MapFileOpenerTest, OpensWhatAPlainOpenCannot) {
  aio_context_t context = 0;
  ASSERT_EQ(syscall(SYS_io_setup, 8, &context), 0);
  EXPECT_EQ(KindAt(reinterpret_cast<void*>(context)), VmaKind::kAioRing);
  EXPECT_EQ(syscall(SYS_io_destroy, context), 0);

  const UniqueFd packet(socket(AF_PACKET, SOCK_RAW, 0));
  if (!packet) GTEST_SKIP() << "no packet sockets for this caller";
  tpacket_req ring = {
      .tp_block_size = 4096, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 4};
  ASSERT_EQ(setsockopt(packet.get(), SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring), 0);
  const void* at = Map(packet.get(), MAP_SHARED);
  EXPECT_TRUE(OpenAt(at).facts.socket);
  EXPECT_EQ(KindAt(at), VmaKind::kSocket);
}

TEST_F(MapFileOpenerTest, AMappingThatIsGoneIsNotFound) {
  const UniqueFd file = CreateFile("file");
  const Mapping mapping = MappingAt(Map(file.get(), MAP_SHARED));
  UnmapAll();
  const absl::Status status = opener_.Open(mapping).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(directory_ + "/file"));
}

TEST_F(MapFileOpenerTest, NamesTheMissingCapability) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to have something to drop";
  const UniqueFd file = CreateFile("file");
  const Mapping mapping = MappingAt(Map(file.get(), MAP_SHARED));
  const pid_t child = fork();
  if (child == 0) {
    // Its own task it may inspect, so that only the capability is missing.
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(2);
    prctl(PR_SET_DUMPABLE, 1);
    const ProcDir self = *ProcDir::OpenTask(getpid());
    ProcMapFileOpener opener(self, 0);
    const absl::Status status = opener.Open(mapping).status();
    const bool named = FailureOf(status) == Failure::kPermission &&
                       status.message().find("CAP_CHECKPOINT_RESTORE") != status.message().npos;
    _exit(named ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace dumpctl
