#include "dump/tracee/copy_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/process_copy.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPages = 8;

// At the same place here and in children.
char* Pages() {
  static char* const pages = static_cast<char*>(
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  return pages;
}

std::string Filled(char with) { return std::string(kPage, with); }

int FillAndPause(int ready) {
  for (size_t i = 0; i < kPages; ++i) {
    std::memset(Pages() + i * kPage, static_cast<int>('a' + i), kPage);
  }
  Ready(ready);
  for (;;) pause();
}

iovec Piece(size_t page, size_t pages = 1) { return {Pages() + page * kPage, pages * kPage}; }

class TempFile {
 public:
  TempFile() : fd_(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {}
  BorrowedFd fd() const { return BorrowedFd(fd_); }
  std::string Text() const {
    std::string text(static_cast<size_t>(lseek(fd_.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(fd_.get(), text.data(), text.size(), 0), ssize_t(text.size()));
    return text;
  }

 private:
  UniqueFd fd_;
};

// A copy of a child that was made while it stood; the child runs on.
struct Copied {
  explicit Copied(pid_t child) {
    auto task = FrozenTask::Freeze(child, Soon());
    EXPECT_TRUE(task.ok()) << task.status();
    rseq = task->threads().front().rseq;
    auto made = ProcessCopy::Make(*task);
    EXPECT_TRUE(made.ok()) << made.status();
    copy.emplace(*std::move(made));
    EXPECT_TRUE(task->Resume().ok());
  }
  absl::StatusOr<CopyWriter> Writer() const {
    return CopyWriter::Prepare(copy->pid(), copy->dir(), rseq);
  }

  std::optional<ProcessCopy> copy;
  std::optional<RseqRegistration> rseq;
};

std::set<int> DescriptorsOf(pid_t pid) {
  const auto dir = ProcDir::OpenTask(pid);
  const auto numbers = ListNumbers(*dir, "fd");
  EXPECT_TRUE(numbers.ok()) << numbers.status();
  return std::set<int>(numbers->begin(), numbers->end());
}

TEST(CopyWriterTest, WritesWhatItsMemoryHolds) {
  Pages();
  const Child child(FillAndPause);
  const std::set<int> had = DescriptorsOf(child.pid());
  const Copied copied(child.pid());
  auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  const TempFile first;
  const TempFile second;
  ASSERT_TRUE(writer->Take(first.fd()).ok());
  EXPECT_EQ(DescriptorsOf(child.pid()), had) << "the process has one of ours";
  const std::array pieces = {Piece(3), Piece(0, 2)};
  const auto written = writer->Write(pieces, kPage);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(*written, 3 * kPage);
  EXPECT_EQ(first.Text(), Filled('\0') + Filled('d') + Filled('a') + Filled('b'));

  ASSERT_TRUE(writer->Take(second.fd()).ok());
  const std::array other = {Piece(7)};
  ASSERT_TRUE(writer->Write(other, 0).ok());
  EXPECT_EQ(second.Text(), Filled('h'));
  EXPECT_EQ(first.Text().size(), 4 * kPage);
  // Standard input, output and error are no files of its any more: its socket and ours are all.
  EXPECT_EQ(DescriptorsOf(copied.copy->pid()).size(), 3u);
}

TEST(CopyWriterTest, AnotherThreadWritesAtTheSameTimeAndEndsWithItsWriter) {
  Pages();
  const Child child(FillAndPause);
  const std::set<int> had = DescriptorsOf(child.pid());
  const Copied copied(child.pid());
  auto first = copied.Writer();
  ASSERT_TRUE(first.ok()) << first.status();
  const TempFile files[2];
  {
    auto second = first->AddThread(copied.copy->dir());
    ASSERT_TRUE(second.ok()) << second.status();
    EXPECT_EQ(ListNumbers(copied.copy->dir(), "task")->size(), 2u);
    ASSERT_TRUE(first->Take(files[0].fd()).ok());
    ASSERT_TRUE(second->Take(files[1].fd()).ok());
    const std::array one = {Piece(3)};
    const std::array other = {Piece(0, 2)};
    ASSERT_TRUE(first->StartWrite(one, 0).ok());
    ASSERT_TRUE(second->StartWrite(other, 0).ok());
    EXPECT_EQ(first->FinishWrite().value_or(0), kPage);
    EXPECT_EQ(second->FinishWrite().value_or(0), 2 * kPage);
    // One that is given up in the middle of it ends as well.
    ASSERT_TRUE(second->StartWrite(other, 0).ok());
  }
  EXPECT_EQ(files[0].Text(), Filled('d'));
  EXPECT_EQ(files[1].Text(), Filled('a') + Filled('b'));
  EXPECT_EQ(ListNumbers(copied.copy->dir(), "task")->size(), 1u);
  EXPECT_EQ(DescriptorsOf(child.pid()), had);
  const std::array again = {Piece(7)};
  EXPECT_EQ(first->Write(again, 0).value_or(0), kPage);
}

// The kernel does not tell of the first thread's end while the other one is not waited for.
TEST(CopyWriterTest, AKilledCopyIsNoticedWhileItHasAnotherThread) {
  Pages();
  const Child child(FillAndPause);
  const Copied copied(child.pid());
  auto first = copied.Writer();
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = first->AddThread(copied.copy->dir());
  ASSERT_TRUE(second.ok()) << second.status();
  const TempFile file;
  ASSERT_TRUE(first->Take(file.fd()).ok());
  const std::array piece = {Piece(3)};
  ASSERT_TRUE(first->StartWrite(piece, 0).ok());
  ASSERT_EQ(kill(copied.copy->pid(), SIGKILL), 0);
  EXPECT_TRUE(absl::IsNotFound(first->FinishWrite().status()));
}

// Nor when that one has been seen to be done.
TEST(CopyWriterTest, AKilledCopyIsNoticedWhoseOtherThreadWasDone) {
  Pages();
  const Child child(FillAndPause);
  const Copied copied(child.pid());
  auto first = copied.Writer();
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = first->AddThread(copied.copy->dir());
  ASSERT_TRUE(second.ok()) << second.status();
  const TempFile files[2];
  ASSERT_TRUE(first->Take(files[0].fd()).ok());
  ASSERT_TRUE(second->Take(files[1].fd()).ok());
  const std::array piece = {Piece(3)};
  ASSERT_TRUE(second->StartWrite(piece, 0).ok());
  while (!second->IsDone()) usleep(100);
  ASSERT_EQ(kill(copied.copy->pid(), SIGKILL), 0);
  EXPECT_TRUE(absl::IsNotFound(first->Write(piece, 0).status()));
  EXPECT_TRUE(absl::IsNotFound(second->FinishWrite().status()));
}

TEST(CopyWriterTest, MemoryThatIsNotThereIsAnError) {
  char* const hole = Pages() + 2 * kPage;
  const Child child([hole](int ready) {
    std::memset(Pages(), 'x', 2 * kPage);
    munmap(hole, kPage);
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  const Copied copied(child.pid());
  auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  const TempFile file;
  ASSERT_TRUE(writer->Take(file.fd()).ok());
  const std::array pieces = {Piece(0, 3)};
  const auto some = writer->Write(pieces, 0);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(*some, 2 * kPage);
  const std::array missing = {Piece(2)};
  const auto none = writer->Write(missing, 2 * kPage);
  EXPECT_EQ(none.status().code(), absl::ErrnoToStatusCode(EFAULT)) << none.status();
}

TEST(CopyWriterTest, AFullFileIsAnError) {
  Pages();
  const Child child(FillAndPause);
  const Copied copied(child.pid());
  auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(writer->Take(BorrowedFd(full)).ok());
  const std::array pieces = {Piece(0)};
  const auto none = writer->Write(pieces, 0);
  EXPECT_EQ(none.status().code(), absl::ErrnoToStatusCode(ENOSPC)) << none.status();
}

// The kernel writes to the area of a thread as that goes back to user space: what a copy holds
// there is what its process had.
TEST(CopyWriterTest, LeavesAnRseqAreaAsItWas) {
  const Child child(FillAndPause);
  const Copied copied(child.pid());
  if (!copied.rseq) GTEST_SKIP() << "no rseq(2) here, or the C library does not use it";
  const auto memory = RemoteMemory::Open(copied.copy->dir());
  ASSERT_TRUE(memory.ok()) << memory.status();
  // As no kernel would leave it.
  const std::vector<std::byte> odd(copied.rseq->size, std::byte{0x5a});
  std::vector<std::byte> was = *memory->Read(copied.rseq->area, copied.rseq->size);
  ASSERT_NE(was, odd);
  auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(*memory->Read(copied.rseq->area, copied.rseq->size), was);
  ASSERT_TRUE(memory->Write(copied.rseq->area, odd).ok());
  const TempFile file;
  ASSERT_TRUE(writer->Take(file.fd()).ok());
  const std::array pieces = {Piece(0)};
  for (uint64_t i = 0; i < 50; ++i) ASSERT_TRUE(writer->Write(pieces, i * kPage).ok());
  EXPECT_EQ(*memory->Read(copied.rseq->area, copied.rseq->size), odd);
}

// Who waits for the other end of a pipe to be closed must not wait for a copy.
TEST(CopyWriterTest, HoldsNoDescriptorOfTheProcess) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Child child([&ends](int ready) {
    close(ends[0]);
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, nullptr);
    Ready(ready);
    sigwaitinfo(&usr1, nullptr);
    close(ends[1]);
    for (;;) pause();
    return 0;
  });
  close(ends[1]);
  const UniqueFd reader(ends[0]);
  const Copied copied(child.pid());
  const auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  kill(child.pid(), SIGUSR1);
  pollfd poller = {reader.get(), POLLIN, 0};
  EXPECT_EQ(poll(&poller, 1, 5000), 1);
  EXPECT_NE(poller.revents & POLLHUP, 0);
}

TEST(CopyWriterTest, DropsSignals) {
  Pages();
  const Child child(FillAndPause);
  const Copied copied(child.pid());
  auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  const TempFile file;
  ASSERT_TRUE(writer->Take(file.fd()).ok());
  // To it alone, for the process has not asked for them.
  kill(copied.copy->pid(), SIGQUIT);
  kill(copied.copy->pid(), SIGSTOP);
  const std::array pieces = {Piece(4)};
  const auto written = writer->Write(pieces, 0);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(file.Text(), Filled('e'));
}

TEST(CopyWriterTest, CannotOnceItWasKilled) {
  Pages();
  const Child child(FillAndPause);
  const Copied copied(child.pid());
  auto writer = copied.Writer();
  ASSERT_TRUE(writer.ok()) << writer.status();
  kill(copied.copy->pid(), SIGKILL);
  const TempFile file;
  // By its memory, or by its stop, whichever ends first.
  EXPECT_FALSE(writer->Take(file.fd()).ok());
}

}  // namespace
}  // namespace dumpctl
