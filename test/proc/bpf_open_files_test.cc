#include "proc/bpf_open_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

class BpfOpenFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
    auto loaded = BpfOpenFiles::Load();
    // Before Linux 6.12.
    if (absl::IsNotFound(loaded.status())) GTEST_SKIP() << loaded.status();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    files_.emplace(*std::move(loaded));
  }

  int Keep(int fd) {
    EXPECT_GE(fd, 0);
    kept_.emplace_back(fd);
    return fd;
  }

  std::vector<OpenFileRow> Read() {
    auto rows = files_->Read(getpid());
    EXPECT_TRUE(rows.ok()) << rows.status();
    return *std::move(rows);
  }

  OpenFileRow RowOf(int fd) {
    for (const OpenFileRow& row : Read()) {
      if (row.number == fd) return row;
    }
    ADD_FAILURE() << "no descriptor " << fd;
    return {};
  }

 private:
  std::optional<BpfOpenFiles> files_;
  std::vector<UniqueFd> kept_;
};

TEST_F(BpfOpenFilesTest, SaysWhatProcfsSays) {
  const int file = Keep(memfd_create("positioned", MFD_CLOEXEC));
  ASSERT_EQ(lseek(file, (off_t{1} << 40) + 4711, SEEK_SET), (off_t{1} << 40) + 4711);
  Keep(open("/proc/self/exe", O_RDONLY | O_NOATIME));
  Keep(open("/dev/null", O_RDWR | O_APPEND | O_CLOEXEC));
  Keep(open("/", O_RDONLY | O_DIRECTORY));
  Keep(open("/tmp", O_PATH | O_CLOEXEC));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK | O_DIRECT), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  // Bits of more than one word.
  Keep(fcntl(file, F_DUPFD, 300));
  Keep(fcntl(file, F_DUPFD_CLOEXEC, 330));
  const auto self = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(self.ok());
  size_t compared = 0;
  for (const OpenFileRow& row : Read()) {
    if (row.says_more) continue;
    const auto text = self->ReadWhole("fdinfo/" + std::to_string(row.number));
    if (!text.ok()) continue;  // what the reading itself has opened
    EXPECT_EQ(FdInfoText(row), *text) << row.number;
    ++compared;
  }
  EXPECT_GE(compared, 9u);
}

TEST_F(BpfOpenFilesTest, TellsDescriptorsOfOneOpenFile) {
  const int file = Keep(open("/dev/null", O_RDONLY));
  const int same = Keep(dup(file));
  const int alike = Keep(open("/dev/null", O_RDONLY));
  EXPECT_EQ(RowOf(file).open_file, RowOf(same).open_file);
  EXPECT_NE(RowOf(file).open_file, RowOf(alike).open_file);
}

TEST_F(BpfOpenFilesTest, SaysWhereProcfsSaysMore) {
  const int counter = Keep(eventfd(1, 0));
  const int file = Keep(memfd_create("locked", 0));
  EXPECT_TRUE(RowOf(counter).says_more);
  EXPECT_FALSE(RowOf(file).says_more);
  ASSERT_EQ(flock(file, LOCK_EX), 0);
  EXPECT_TRUE(RowOf(file).says_more);
}

TEST_F(BpfOpenFilesTest, SaysWhereSignalsMayBeSent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  EXPECT_FALSE(RowOf(ends[0]).may_be_owned);
  ASSERT_EQ(fcntl(ends[0], F_SETOWN, getpid()), 0);
  EXPECT_TRUE(RowOf(ends[0]).may_be_owned);
  ASSERT_EQ(fcntl(ends[1], F_SETSIG, SIGUSR1), 0);
  EXPECT_TRUE(RowOf(ends[1]).may_be_owned);
}

TEST_F(BpfOpenFilesTest, GivesMoreThanThePieceThatTheKernelGivesAtOnce) {
  constexpr int kMany = 900;
  const int file = Keep(open("/dev/zero", O_RDONLY));
  for (int i = 0; i < kMany; ++i) Keep(dup(file));
  const uint64_t one = RowOf(file).open_file;
  const std::vector<OpenFileRow> rows = Read();
  const auto is_that = [one](const OpenFileRow& row) { return row.open_file == one; };
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(), is_that), kMany + 1);
}

TEST_F(BpfOpenFilesTest, NobodyHasNoDescriptors) {
  auto loaded = BpfOpenFiles::Load();
  ASSERT_TRUE(loaded.ok());
  const auto rows = loaded->Read(0x3fffff);
  EXPECT_TRUE(!rows.ok() || rows->empty());
}

}  // namespace
}  // namespace dumpctl
