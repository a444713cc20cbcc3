#include "dump/session/aio_rings.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "proc/map_file_opener.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

class AioRingsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskVma)) GTEST_SKIP() << "no BPF";
    auto contexts = BpfAioContexts::Load();
    ASSERT_TRUE(contexts.ok()) << contexts.status();
    contexts_.emplace(*std::move(contexts));
    ASSERT_EQ(syscall(SYS_io_setup, 8, &context_), 0);
    for (Pipe& pipe : pipes_) {
      int ends[2];
      ASSERT_EQ(::pipe(ends), 0);
      pipe.read.Reset(ends[0]);
      pipe.write.Reset(ends[1]);
    }
  }
  void TearDown() override {
    if (context_ != 0) syscall(SYS_io_destroy, context_);
  }

  // A request that ends when something is written.
  void Wait(size_t pipe) {
    iocb request = {};
    request.aio_lio_opcode = IOCB_CMD_POLL;
    request.aio_fildes = static_cast<uint32_t>(pipes_[pipe].read.get());
    request.aio_buf = POLLIN;
    iocb* one = &request;
    EXPECT_EQ(syscall(SYS_io_submit, context_, 1, &one), 1);
  }
  void End(size_t pipe) {
    EXPECT_EQ(write(pipes_[pipe].write.get(), "x", 1), 1);
    io_event event;
    EXPECT_EQ(syscall(SYS_io_getevents, context_, 1, 1, &event, nullptr), 1);
    char byte;
    EXPECT_EQ(read(pipes_[pipe].read.get(), &byte, 1), 1);
  }

  VmaList Mappings() {
    auto self = ProcDir::OpenTask(getpid());
    EXPECT_TRUE(self.ok());
    auto mappings = ParseMaps(*self->Read("maps"));
    EXPECT_TRUE(mappings.ok());
    ProcMapFileOpener opener(*self, 0);
    auto vmas = VmaList::Build(*std::move(mappings), opener);
    EXPECT_TRUE(vmas.ok()) << vmas.status();
    return *std::move(vmas);
  }

  ResourceRefusals Refusals(const VmaList& vmas) {
    auto self = ProcDir::OpenTask(getpid());
    EXPECT_TRUE(self.ok());
    auto refusals = RefuseStuckRings(*self, getpid(), vmas, *contexts_);
    EXPECT_TRUE(refusals.ok()) << refusals.status();
    return *std::move(refusals);
  }

  void Destroy() { EXPECT_EQ(syscall(SYS_io_destroy, std::exchange(context_, 0)), 0); }

 private:
  std::optional<BpfAioContexts> contexts_;
  aio_context_t context_ = 0;
  struct Pipe {
    UniqueFd read;
    UniqueFd write;
  };
  Pipe pipes_[2];
};

TEST_F(AioRingsTest, ARingWithoutRequestsIsNotStuck) { EXPECT_TRUE(Refusals(Mappings()).empty()); }

TEST_F(AioRingsTest, ARequestThatDoesNotEndIsRefused) {
  Wait(0);
  const ResourceRefusals refusals = Refusals(Mappings());
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0].why.find("1 request is still under way"), std::string::npos)
      << refusals[0].why;
}

// There always is one under way, but not for ever the same.
TEST_F(AioRingsTest, RequestsThatComeAndGoAreNotStuck) {
  Wait(0);
  Wait(1);
  std::atomic<bool> done = false;
  std::thread program([&] {
    for (size_t i = 0; !done; i = 1 - i) {
      End(i);
      Wait(i);
    }
  });
  EXPECT_TRUE(Refusals(Mappings()).empty());
  done = true;
  program.join();
}

TEST_F(AioRingsTest, ARingThatHasGoneMeanwhileIsNotRefused) {
  const VmaList vmas = Mappings();
  Destroy();
  EXPECT_TRUE(Refusals(vmas).empty());
}

}  // namespace
}  // namespace dumpctl
