#include "proc/bpf_aio_contexts.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

class BpfAioContextsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskVma)) GTEST_SKIP() << "no BPF";
    ASSERT_EQ(syscall(SYS_io_setup, 100, &context_), 0);
    ASSERT_EQ(pipe(ends_), 0);
  }
  void TearDown() override {
    syscall(SYS_io_destroy, context_);
    close(ends_[0]);
    close(ends_[1]);
  }

  // Requests that end when something is written.
  void Wait(size_t count) {
    std::vector<iocb> requests(count);
    for (iocb& request : requests) {
      request.aio_lio_opcode = IOCB_CMD_POLL;
      request.aio_fildes = static_cast<uint32_t>(ends_[0]);
      request.aio_buf = POLLIN;
      iocb* one = &request;
      ASSERT_EQ(syscall(SYS_io_submit, context_, 1, &one), 1);
    }
  }

  size_t Take(size_t count) {
    std::vector<io_event> events(count);
    return static_cast<size_t>(
        syscall(SYS_io_getevents, context_, count, count, events.data(), nullptr));
  }

  uint32_t UnderWay() {
    const auto loaded = BpfAioContexts::Load();
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    const auto contexts = loaded->Read(getpid());
    EXPECT_TRUE(contexts.ok()) << contexts.status();
    const auto context = contexts->find(context_);
    if (context == contexts->end()) return UINT32_MAX;
    EXPECT_GE(context->second.capacity, 200u);
    return context->second.under_way;
  }

  aio_context_t context_ = 0;
  int ends_[2] = {};
};

TEST_F(BpfAioContextsTest, CountsWhatIsUnderWay) {
  EXPECT_EQ(UnderWay(), 0u);
  Wait(3);
  EXPECT_EQ(UnderWay(), 3u);
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  ASSERT_EQ(Take(2), 2u);
  EXPECT_EQ(UnderWay(), 0u);
  ASSERT_EQ(Take(1), 1u);
}

TEST_F(BpfAioContextsTest, WhateverTheRingHasSeen) {
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  for (int i = 0; i < 500; ++i) {
    Wait(1);
    ASSERT_EQ(Take(1), 1u);
  }
  EXPECT_EQ(UnderWay(), 0u);
  char byte = 0;
  ASSERT_EQ(read(ends_[0], &byte, 1), 1);
  Wait(100);
  EXPECT_EQ(UnderWay(), 100u);
}

TEST_F(BpfAioContextsTest, ProcessesWithoutContexts) {
  const auto loaded = BpfAioContexts::Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto contexts = loaded->Read(getppid());
  ASSERT_TRUE(contexts.ok()) << contexts.status();
  EXPECT_TRUE(contexts->empty());
}

}  // namespace
}  // namespace dumpctl
