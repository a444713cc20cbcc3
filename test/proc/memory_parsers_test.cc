#include "proc/memory_parsers.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

TEST(MemoryParsersTest, ReadsWhatIsAvailable) {
  EXPECT_EQ(*ParseMemAvailable("MemTotal:  100 kB\nMemFree:  5 kB\nMemAvailable:   70 kB\n"),
            71680u);
  const auto proc = ProcDir::OpenRoot();
  ASSERT_TRUE(proc.ok());
  const auto here = ParseMemAvailable(*proc->Read("meminfo"));
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_GT(*here, 1u << 20);
}

TEST(MemoryParsersTest, RefusesAnAvailableThatIsNone) {
  for (const std::string text :
       {"", "MemTotal: 100 kB\n", "MemAvailable: 70\n", "MemAvailable: kB\n",
        "MemAvailable: 70 MB\n", "MemAvailable: -1 kB\n",
        "MemAvailable: 18446744073709551615 kB\n"}) {
    const auto parsed = ParseMemAvailable(text);
    EXPECT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("MemAvailable"));
  }
}

TEST(MemoryParsersTest, ReadsAmountsOfBothVersions) {
  EXPECT_EQ(*ParseMemoryAmount("4096\n"), 4096u);
  EXPECT_EQ(*ParseMemoryAmount("max\n"), UINT64_MAX);
  EXPECT_EQ(*ParseMemoryAmount("9223372036854771712\n"), UINT64_MAX);
  for (const std::string text : {"", "\n", "maximum", "-1", "1 2"}) {
    EXPECT_FALSE(ParseMemoryAmount(text).ok()) << text;
  }
}

TEST(MemoryParsersTest, FindsWhatWouldBeGivenBack) {
  EXPECT_EQ(*ParseReclaimable("anon 5\ninactive_file 4096\nactive_file 3\n"), 4096u);
  EXPECT_EQ(*ParseReclaimable("inactive_file 1\ntotal_inactive_file 7\n"), 7u);
  EXPECT_EQ(*ParseReclaimable("anon 5\n"), 0u);
  EXPECT_FALSE(ParseReclaimable("inactive_file much\n").ok());
}

}  // namespace
}  // namespace dumpctl
