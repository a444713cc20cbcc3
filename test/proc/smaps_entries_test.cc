#include "proc/smaps_entries.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "proc/smaps_parser.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;

// All entries of a text that comes in pieces of so many bytes.
absl::StatusOr<std::vector<MappingFlags>> Entries(std::string_view text, size_t piece) {
  std::vector<MappingFlags> found;
  SmapsEntries entries;
  const auto keep = [&found](std::string_view head, std::string_view codes) -> absl::Status {
    auto mapping = ParseMappingFlags(head, codes);
    if (!mapping.ok()) return mapping.status();
    found.push_back(*mapping);
    return absl::OkStatus();
  };
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    const absl::Status status = entries.Take(text.substr(0, piece), keep);
    if (!status.ok()) return status;
  }
  const absl::Status status = entries.Finish();
  if (!status.ok()) return status;
  return found;
}

constexpr char kText[] =
    "55d0c0a6e000-55d0c0a76000 r-xp 00000000 08:01 131091                     /usr/bin/cat\n"
    "Size:                 32 kB\n"
    "THPeligible:    0\n"
    "VmFlags: rd ex mr mw me sd \n"
    "7ffd0c0a6000-7ffd0c0c7000 rw-p 00000000 00:00 0                          [stack]\n"
    "Size:                132 kB\n"
    "VmFlags: rd wr mr mw me gd ac \n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
    "VmFlags: \n";

TEST(SmapsEntriesTest, AreTheSameInPiecesOfAnySize) {
  using F = VmFlag;
  for (const size_t piece : {1u, 2u, 3u, 7u, 31u, 100u, 10'000u}) {
    const auto found = Entries(kText, piece);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_THAT(*found, ElementsAre(MappingFlags{RemoteAddress(0x55d0c0a6e000),
                                                 RemoteAddress(0x55d0c0a76000),
                                                 {F::kRead, F::kExec, F::kMayRead, F::kMayWrite,
                                                  F::kMayExec, F::kSoftDirty}},
                                    MappingFlags{RemoteAddress(0x7ffd0c0a6000),
                                                 RemoteAddress(0x7ffd0c0c7000),
                                                 {F::kRead, F::kWrite, F::kMayRead, F::kMayWrite,
                                                  F::kMayExec, F::kGrowsDown, F::kAccount}},
                                    MappingFlags{RemoteAddress(0xffffffffff600000),
                                                 RemoteAddress(0xffffffffff601000),
                                                 {}}));
  }
  EXPECT_TRUE(Entries("", 1)->empty());
}

class BadSmapsEntriesTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadSmapsEntriesTest, QuoteTheLineAndNameTheField) {
  for (const size_t piece : {1u, 5u, 1000u}) {
    EXPECT_THAT(Entries(GetParam().text, piece).status(), Refuses(GetParam()));
  }
}

#define HEAD "1000-2000 rw-p 00000000 00:00 0 "
const BadText kBadSmapsEntriesTexts[] = {
    {"Rss:  4 kB\n", "VmFlags", "Rss:  4 kB"},
    {"VmFlags: rd \n", "VmFlags", "VmFlags: rd "},
    {HEAD "\nRss:  4 kB\n", "VmFlags", HEAD},
    {HEAD "\n2000-3000 rw-p 00000000 00:00 0 \nVmFlags: rd \n", "VmFlags", HEAD},
    {HEAD "\nVmFlags: rd \nRss:  4 kB\n", "VmFlags", "Rss:  4 kB"},
    {HEAD "\nVmFlags: rd \n\n", "VmFlags", ""},
    {HEAD "\n-\nVmFlags: rd \n", "name", "-"},
    {HEAD "\nVmFlags: rd wr", "end of the line", "VmFlags: rd wr"},
    {HEAD "\nVmFlags: rd w\n", "VmFlags", " rd w"},
    {"1000-x rw-p\nVmFlags: rd \n", "addresses", "1000-x rw-p"},
    {"2000-1000 rw-p\nVmFlags: rd \n", "addresses", "2000-1000 rw-p"},
};
#undef HEAD
INSTANTIATE_TEST_SUITE_P(Texts, BadSmapsEntriesTest, ::testing::ValuesIn(kBadSmapsEntriesTexts));

// Of this very kernel: what is picked is what the whole text says.
TEST(SmapsEntriesTest, AgreeWithTheParserOfAllFields) {
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  const auto text = ProcDir::OpenTask(child)->Read("smaps");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto all = ParseSmaps(*text);
  const auto picked = Entries(*text, 4096);
  ASSERT_TRUE(all.ok() && picked.ok()) << all.status() << picked.status();
  ASSERT_EQ(picked->size(), all->size());
  for (size_t i = 0; i < all->size(); ++i) {
    EXPECT_EQ((*picked)[i], (MappingFlags{(*all)[i].start, (*all)[i].end, *(*all)[i].flags}));
  }
}

}  // namespace
}  // namespace dumpctl
