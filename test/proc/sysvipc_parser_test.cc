#include "proc/sysvipc_parser.h"

#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kShmHead[] =
    "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid  "
    "    "
    "atime      dtime      ctime                   rss                  swap\n";
constexpr char kSemHead[] =
    "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
constexpr char kMsgHead[] =
    "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      "
    "stime      rtime      ctime\n";

TEST(SysvIpcTest, ReadsSegments) {
  // Linux 6.18 and 5.10: the same columns. Of the second, the key's highest bit is set.
  const auto segments = ParseSysvSegments(absl::StrCat(
      kShmHead,
      "  19090108         61  1600                  8192 16605 16607      2    12    34     0     "
      "0 "
      "1795597741 1795597742 1795597740                  8192                     0\n"
      "-559038737          0   640                     1     3     0      0     0     0     0     "
      "0  "
      "        0          0 1795597740                     0                     0\n"));
  ASSERT_TRUE(segments.ok()) << segments.status();
  EXPECT_THAT(
      *segments,
      ElementsAre(
          SysvSegment{
              .object = {.key = 0x1234abc + 0, .id = 61, .mode = 01600, .uid = 12, .gid = 34},
              .size = 8192,
              .creator = 16605,
              .last = 16607,
              .attached = 2},
          SysvSegment{.object = {.key = -559038737, .mode = 0640}, .size = 1, .creator = 3}));
}

TEST(SysvIpcTest, ReadsSemaphores) {
  const auto sets = ParseSysvSemaphores(absl::StrCat(
      kSemHead,
      "       257          2   600          3  1000  1001  1002  1003 1795597741 1795597740\n"));
  ASSERT_TRUE(sets.ok()) << sets.status();
  EXPECT_THAT(*sets, ElementsAre(SysvSemaphores{.object = {.key = 257,
                                                           .id = 2,
                                                           .mode = 0600,
                                                           .uid = 1000,
                                                           .gid = 1001,
                                                           .creator_uid = 1002,
                                                           .creator_gid = 1003},
                                                .count = 3}));
}

TEST(SysvIpcTest, ReadsQueues) {
  const auto queues = ParseSysvQueues(absl::StrCat(
      kMsgHead,
      "         0          5   666         120          2    71    72     0     0     0     0 "
      "1795597741          0 1795597740\n"));
  ASSERT_TRUE(queues.ok()) << queues.status();
  EXPECT_THAT(*queues, ElementsAre(SysvQueue{.object = {.id = 5, .mode = 0666},
                                             .bytes = 120,
                                             .messages = 2,
                                             .last_sender = 71,
                                             .last_receiver = 72}));
}

TEST(SysvIpcTest, ReadsANamespaceWithoutAny) {
  EXPECT_THAT(*ParseSysvSegments(kShmHead), IsEmpty());
  EXPECT_THAT(*ParseSysvSemaphores(""), IsEmpty());
}

TEST(SysvIpcTest, QuotesTheLineAndNamesTheField) {
  const BadText kBad[] = {
      {"", "key", ""},
      {"x 1 600 1 1 1 1 0 0 0 0", "key", "x 1 600 1 1 1 1 0 0 0 0"},
      {"1 1 800 1 1 1 1 0 0 0 0", "perms", "1 1 800 1 1 1 1 0 0 0 0"},
      {"1 1 600 -1", "size", "1 1 600 -1"},
      {"1 1 600 1 1 1 1 0 0 0", "cgid", "1 1 600 1 1 1 1 0 0 0"},
  };
  for (const BadText& bad : kBad) {
    EXPECT_THAT(ParseSysvSegments(absl::StrCat(kShmHead, bad.text, "\n")).status(), Refuses(bad));
  }
}

TEST(SysvIpcTest, ReadsWhatThisKernelSays) {
  const int id = shmget(IPC_PRIVATE, 4711, 0604);
  ASSERT_GE(id, 0);
  const auto root = ProcDir::OpenRoot();
  ASSERT_TRUE(root.ok()) << root.status();
  const auto text = root->Read("sysvipc/shm");
  shmctl(id, IPC_RMID, nullptr);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto segments = ParseSysvSegments(*text);
  ASSERT_TRUE(segments.ok()) << segments.status();
  const auto ours = std::find_if(segments->begin(), segments->end(),
                                 [id](const SysvSegment& s) { return s.object.id == id; });
  ASSERT_NE(ours, segments->end()) << *text;
  EXPECT_EQ(ours->size, 4711u);
  EXPECT_EQ(ours->object.mode, 0604u);
  EXPECT_EQ(ours->creator, getpid());
  EXPECT_EQ(ours->attached, 0u);
}

}  // namespace
}  // namespace dumpctl
