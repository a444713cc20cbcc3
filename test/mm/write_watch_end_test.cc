#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "dump/image/joined_ranges.h"
#include "dump/mm/write_watch.h"
#include "dumpctl/kernel_abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/pagemap.h"
#include "test/mm/mapped_child.h"
#include "test/mm/watched_child.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;

// What the kernel was asked to let go, joined, whatever it made of that.
std::vector<AddressRange> let_go;

void NoteLetGo(const uffdio_range& range) {
  const RemoteAddress start(range.start);
  JoinRange(AddressRange{start, start + range.len}, let_go);
}

}  // namespace
}  // namespace dumpctl

// Instead of libc's, so that it is seen on every kernel what is asked of it: from Linux 6.17 on it
// refuses what it should not have been asked.
extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (request == UFFDIO_UNREGISTER) dumpctl::NoteLetGo(*static_cast<uffdio_range*>(argument));
  return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}

namespace dumpctl {
namespace {

// Pages of the child's memory: those before kMissing are ours to watch.
constexpr uint64_t kMissing = 4;
constexpr uint64_t kWatchedByOther = 6;
constexpr uint64_t kAll = 8;

char* memory;  // of the child

// Tells in page 0 what it found in the pages that are missing.
void ReadMissing(int) {
  memory[1] = static_cast<volatile char*>(memory)[kMissing * kPage];
  memory[2] = static_cast<volatile char*>(memory)[(kMissing + 1) * kPage];
}

// A child part of whose memory is another's: of one page by page, as it is asked for (a handler,
// like criu's lazy-pages), and of one who watches writes as we do.
class WriteWatchEndTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!features_.Has(KernelFeature::kWriteWatch)) GTEST_SKIP() << "no Linux 6.9";
    child_.emplace([]() -> void* {
      memory = Map(kAll);
      if (memory == nullptr) return nullptr;
      for (uint64_t i = 0; i < kMissing; ++i) FillPage(memory + i * kPage, 0);
      (void)signal(SIGUSR1, ReadMissing);
      for (int i = 0; i < 3; ++i) MakeUserfaultfd();
      return memory;
    });
    auto watch = WatchOf(*child_);
    ASSERT_TRUE(watch.ok()) << watch.status();
    watch_.emplace(*std::move(watch));
    auto other = WatchOf(*child_, 1);
    ASSERT_TRUE(other.ok()) << other.status();
    other_.emplace(*std::move(other));
    auto pagemap = Pagemap::Open(child_->Dir(), features_);
    ASSERT_TRUE(pagemap.ok()) << pagemap.status();
    pagemap_.emplace(*std::move(pagemap));
    ASSERT_TRUE(Add(*other_, kWatchedByOther, kAll).ok());

    handler_ = UserfaultfdOf(*child_, 2);
    uffdio_api api = {.api = UFFD_API, .features = 0};
    ASSERT_EQ(ioctl(handler_.get(), UFFDIO_API, &api), 0) << errno;
    uffdio_register missing = {
        .range = {child_->Page(kMissing).value(), (kWatchedByOther - kMissing) * kPage},
        .mode = UFFDIO_REGISTER_MODE_MISSING};
    ASSERT_EQ(ioctl(handler_.get(), UFFDIO_REGISTER, &missing), 0) << errno;
    let_go.clear();
  }

  absl::Status Add(const WriteWatch& watch, uint64_t first, uint64_t end) {
    return watch.Add(child_->Page(first), child_->Page(end), *pagemap_);
  }
  bool IsWatched(uint64_t page) { return pagemap_->IsWatched(child_->Page(page)).value_or(false); }

  // The page that the child waits for now; none within some seconds.
  std::optional<uint64_t> Asked() {
    pollfd polled = {.fd = handler_.get(), .events = POLLIN, .revents = 0};
    uffd_msg message;
    if (poll(&polled, 1, 5000) != 1 ||
        read(handler_.get(), &message, sizeof message) != sizeof message) {
      return std::nullopt;
    }
    return (message.arg.pagefault.address - child_->base().value()) / kPage;
  }

  // Gives the child a page full of it. False where nobody handles it any more.
  bool Deliver(uint64_t page, char byte) {
    const std::vector<char> bytes(kPage, byte);
    uffdio_copy copy = {.dst = child_->Page(page).value(),
                        .src = reinterpret_cast<uint64_t>(bytes.data()),
                        .len = kPage,
                        .mode = 0};
    return ioctl(handler_.get(), UFFDIO_COPY, &copy) == 0;
  }

  // What the child has found in the missing page `index`, which is not zero.
  char Found(uint64_t index) {
    char byte = 0;
    const iovec local = {&byte, 1};
    const iovec remote = {reinterpret_cast<void*>(child_->base().value() + 1 + index), 1};
    for (int i = 0; i < 5000 && byte == 0; ++i) {
      usleep(1000);
      EXPECT_EQ(process_vm_readv(child_->pid(), &local, 1, &remote, 1, 0), 1);
    }
    return byte;
  }

  const KernelFeatures features_ = *KernelFeatures::Probe();
  std::optional<MappedChild> child_;
  std::optional<WriteWatch> watch_;
  std::optional<WriteWatch> other_;
  std::optional<Pagemap> pagemap_;
  UniqueFd handler_;
};

TEST_F(WriteWatchEndTest, LetsGoWhatIsItsOwn) {
  ASSERT_TRUE(Add(*watch_, 0, kMissing).ok());
  watch_->End(child_->Dir(), features_);
  EXPECT_THAT(let_go, ElementsAre(AddressRange{child_->base(), child_->Page(kMissing)}));
  EXPECT_FALSE(IsWatched(0));
  EXPECT_TRUE(IsWatched(kWatchedByOther));
}

// Linux 6.9 to 6.16 takes away what others have registered if it is asked to: then the child goes
// on, and finds zeros. From 6.17 on it refuses, and this passes whatever is asked.
TEST_F(WriteWatchEndTest, LeavesToItsHandlerWhatIsMissing) {
  ASSERT_TRUE(Add(*watch_, 0, kMissing).ok());
  kill(child_->pid(), SIGUSR1);
  ASSERT_EQ(Asked(), kMissing);
  watch_->End(child_->Dir(), features_);
  ASSERT_TRUE(Deliver(kMissing, 7)) << "it was let go while the child waited for it";
  EXPECT_EQ(Asked(), kMissing + 1) << "its handler is asked no more";
  ASSERT_TRUE(Deliver(kMissing + 1, 8));
  EXPECT_EQ(Found(0), 7);
  EXPECT_EQ(Found(1), 8);
}

TEST_F(WriteWatchEndTest, LeavesWhatItCouldNotWatch) {
  EXPECT_TRUE(absl::IsUnavailable(Add(*watch_, kMissing, kWatchedByOther)));
  EXPECT_TRUE(absl::IsUnavailable(Add(*watch_, 0, kAll)));
  EXPECT_TRUE(absl::IsUnavailable(watch_->AddAll(child_->Dir(), features_)));
  watch_->End(child_->Dir(), features_);
  for (const AddressRange& range : let_go) {
    EXPECT_TRUE(range.end <= child_->Page(kMissing) || child_->Page(kAll) <= range.start);
  }
  EXPECT_TRUE(IsWatched(kWatchedByOther));
  kill(child_->pid(), SIGUSR1);
  for (uint64_t page = kMissing; page < kWatchedByOther; ++page) {
    ASSERT_EQ(Asked(), page) << "its handler is asked no more";
    ASSERT_TRUE(Deliver(page, 9));
  }
  EXPECT_EQ(Found(1), 9);
}

}  // namespace
}  // namespace dumpctl
