#include "dump/session/helper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace dumpctl {
namespace {

TEST(Helper, DoesOneThingAfterTheOtherInAnotherThread) {
  Helper helper;
  std::vector<int> done;  // by one thread
  std::vector<std::future<pid_t>> found;
  for (int i = 0; i < 100; ++i) {
    found.push_back(helper.Do([&done, i] {
      done.push_back(i);
      return gettid();
    }));
  }
  const pid_t first = found.front().get();
  EXPECT_NE(first, gettid());
  for (size_t i = 1; i < found.size(); ++i) EXPECT_EQ(found[i].get(), first);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
}

TEST(Helper, IsNobodyElseWhereItIsNotWorthAThread) {
  Helper helper(false);
  auto found = helper.Do([] { return gettid(); });
  EXPECT_EQ(found.get(), gettid());
}

TEST(Helper, HasDoneAllWhenItHasFinished) {
  int done = 0;
  Helper helper;
  for (int i = 0; i < 10; ++i) {
    helper.Do([&done] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return ++done;
    });
  }
  helper.Finish();
  EXPECT_EQ(done, 10);
  // And then it is done at once.
  EXPECT_EQ(helper.Do([] { return gettid(); }).get(), gettid());
}

TEST(Helper, LeavesSignalsToOthers) {
  const Helper helper;
  sigset_t child;
  sigset_t before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &child, &before);
  for (int i = 0; i < 100; ++i) {
    kill(getpid(), SIGCHLD);
    const timespec patience = {.tv_sec = 5};
    ASSERT_EQ(sigtimedwait(&child, nullptr, &patience), SIGCHLD);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace dumpctl
