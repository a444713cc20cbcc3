#include "dump/session/dump_ending.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dumpctl/log.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KeptWarnings : public Log {
 public:
  void Write(LogLevel level, const std::string& text) override {
    if (level == LogLevel::kWarning) texts.push_back(text);
  }
  std::vector<std::string> texts;
};

class LeaveTraceTest : public ::testing::Test {
 protected:
  // What is warned of, when the trace of so many spans is left.
  std::vector<std::string> WarningsOf(size_t spans, const std::string& name = "trace") {
    const DumpTrace trace(kMost);
    for (size_t i = 0; i < spans; ++i) const TraceSpan span(TraceKind::kPages, "read");
    KeptWarnings log;
    LeaveTrace(trace, place_.Path(name), {20, "target"}, absl::OkStatus(), log);
    return log.texts;
  }

  static constexpr size_t kMost = 1000;
  const TemporaryDirectory place_;
};

TEST_F(LeaveTraceTest, TellsHowManySpansFoundNoRoom) {
  EXPECT_THAT(WarningsOf(kMost), IsEmpty());
  EXPECT_THAT(WarningsOf(kMost + 3),
              ElementsAre(AllOf(HasSubstr(" 3 spans"), HasSubstr(" 1000 "))));
  std::ifstream file(place_.Path("trace"));
  EXPECT_EQ(nlohmann::json::parse(file)["otherData"]["dropped"], 3);
}

TEST_F(LeaveTraceTest, TellsThatThereIsNone) {
  EXPECT_THAT(WarningsOf(1, "nowhere/trace"), ElementsAre(HasSubstr("No trace: ")));
}

}  // namespace
}  // namespace dumpctl
