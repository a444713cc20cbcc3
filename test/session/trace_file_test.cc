#include "dump/session/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "dumpctl/failure.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr pid_t kDumper = 10;
const TraceSubject kSubject = {20, "target"};

std::vector<std::string> NamesOf(const TraceBuffer& trace) {
  std::vector<std::string> names;
  for (const TraceEvent& event : trace.Events()) names.emplace_back(event.name);
  return names;
}

nlohmann::json Parsed(const TraceBuffer& trace, const TraceSubject& subject = kSubject,
                      const absl::Status& outcome = absl::OkStatus()) {
  return nlohmann::json::parse(TraceText(trace, kDumper, subject, outcome));
}

// The one event whose `key` is `value`.
nlohmann::json EventWith(const nlohmann::json& trace, const char* key, const std::string& value) {
  nlohmann::json found;
  for (const nlohmann::json& event : trace["traceEvents"]) {
    if (event.value(key, nlohmann::json()) != value) continue;
    EXPECT_TRUE(found.is_null()) << "two events have " << value;
    found = event;
  }
  return found;
}

TEST(TraceSpan, IsKeptNowhereWithoutABuffer) {
  TraceBuffer trace(10);
  { const TraceSpan span(TraceKind::kWork, "before"); }
  {
    const TraceScope scope(trace);
    const TraceSpan span(TraceKind::kWork, "inside");
  }
  { const TraceSpan span(TraceKind::kWork, "after"); }
  EXPECT_THAT(NamesOf(trace), ElementsAre("inside"));
}

TEST(TraceSpan, TellsWhenWhereAndWhat) {
  TraceBuffer trace(10);
  const TraceScope scope(trace);
  {
    TraceSpan span(TraceKind::kTask, "ask", {{"pid", 7}});
    span.Tell({"calls", size_t{75}});
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    span.End();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_THAT(trace.Events(), SizeIs(1));
  const TraceEvent event = trace.Events().front();
  EXPECT_EQ(event.kind, TraceKind::kTask);
  EXPECT_EQ(event.tid, gettid());
  EXPECT_GE(event.duration, 2'000'000);
  EXPECT_STREQ(event.arguments[0].name, "pid");
  EXPECT_EQ(event.arguments[0].value, 7);
  EXPECT_STREQ(event.arguments[1].name, "calls");
  EXPECT_EQ(event.arguments[1].value, 75);
  EXPECT_EQ(event.arguments[2].name, nullptr);
}

TEST(TraceBuffer, OrdersSpansByTheirBeginning) {
  TraceBuffer trace(10);
  const TraceScope scope(trace);
  {
    const TraceSpan outer(TraceKind::kPhase, "outer");
    { const TraceSpan inner(TraceKind::kTask, "first inner"); }
    { const TraceSpan inner(TraceKind::kWork, "second inner"); }
  }
  EXPECT_THAT(NamesOf(trace), ElementsAre("outer", "first inner", "second inner"));
}

TEST(TraceBuffer, DropsWhatIsTooMuchButNoPhase) {
  TraceBuffer trace(2);
  const TraceScope scope(trace);
  for (int i = 0; i < 5; ++i) const TraceSpan span(TraceKind::kPages, "read");
  { const TraceSpan span(TraceKind::kPhase, "commit"); }
  EXPECT_THAT(NamesOf(trace), ElementsAre("read", "read", "commit"));
  EXPECT_EQ(trace.dropped(), 3);
  EXPECT_EQ(Parsed(trace)["otherData"]["dropped"], 3);
}

TEST(TraceBuffer, TakesSpansOfManyThreadsAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kSpans = 2000;
  TraceBuffer trace(kThreads * kSpans - 100);
  {
    const TraceScope scope(trace);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        for (int j = 0; j < kSpans; ++j) const TraceSpan span(TraceKind::kPages, "read");
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(trace.dropped(), 100);
  EXPECT_THAT(trace.Events(), SizeIs(kThreads * kSpans - 100));
  for (const TraceEvent& event : trace.Events()) ASSERT_STREQ(event.name, "read");
}

TEST(TraceText, IsOfChromesEvents) {
  TraceBuffer trace(10);
  trace.Add({"frozen", TraceKind::kFrozen, 10, 5'000'000, 4'000'000});
  trace.Add({"ask", TraceKind::kTask, 10, 6'000'500, 1'000, {{{"pid", 20}, {"calls", 3}}}});
  const nlohmann::json text = Parsed(trace);
  EXPECT_EQ(text["otherData"]["outcome"], "ok");
  const nlohmann::json ask = EventWith(text, "name", "ask");
  EXPECT_EQ(ask, nlohmann::json::parse(R"({"ph": "X", "name": "ask", "cat": "task", "pid": 10,
      "tid": 10, "ts": 1000.5, "dur": 1.0, "args": {"pid": 20, "calls": 3}})"));
  // The target's own, on its track.
  const nlohmann::json frozen = EventWith(text, "name", "frozen");
  EXPECT_EQ(frozen, nlohmann::json::parse(R"({"ph": "X", "name": "frozen", "cat": "frozen",
      "pid": 20, "tid": 20, "ts": 0.0, "dur": 4000.0, "args": {}})"));
  int processes = 0;
  for (const nlohmann::json& event : text["traceEvents"]) {
    if (event["name"] != "process_name") continue;
    EXPECT_EQ(event["ph"], "M");
    EXPECT_EQ(event["args"]["name"], event["pid"] == kDumper ? "dumpctl" : "target");
    ++processes;
  }
  EXPECT_EQ(processes, 2);
}

TEST(TraceText, NamesTheTracksOfHelpers) {
  TraceBuffer trace(10);
  trace.Add({"memory", TraceKind::kPhase, 10, 0, 100});
  trace.Add({"copy pages", TraceKind::kThread, 11, 10, 50});
  trace.Add({"copy pages", TraceKind::kThread, 11, 70, 10});
  const nlohmann::json text = Parsed(trace);
  int named = 0;
  for (const nlohmann::json& event : text["traceEvents"]) {
    if (event["name"] != "thread_name" || event["tid"] != 11) continue;
    EXPECT_EQ(event["args"]["name"], "copy pages");
    ++named;
  }
  EXPECT_EQ(named, 1);
}

TEST(TraceText, EscapesWhatOthersHaveNamed) {
  const std::string comm = "a\"b\\\n\x01\xff";
  TraceBuffer trace(10);
  trace.Add({"frozen", TraceKind::kFrozen, 10, 0, 100});
  const nlohmann::json text =
      Parsed(trace, {20, comm}, absl::InternalError("made to \"fail\"\nat once"));
  EXPECT_EQ(text["otherData"]["outcome"], "made to \"fail\"\nat once");
  bool found = false;
  for (const nlohmann::json& event : text["traceEvents"]) {
    found = found || event["args"].value("name", "") == "a\"b\\\n\x01\xef\xbf\xbd";
  }
  EXPECT_TRUE(found);
}

TEST(TraceText, OfNothingIsATrace) {
  EXPECT_THAT(Parsed(TraceBuffer(1))["traceEvents"], SizeIs(4));
}

class TraceFileTest : public ::testing::Test {
 protected:
  const TemporaryDirectory place_;
  const std::filesystem::path directory_ = place_.path();
};

TEST_F(TraceFileTest, IsRefusedWhereItCannotBe) {
  std::filesystem::create_directory(directory_ / "sub");
  std::filesystem::create_symlink("sub", directory_ / "link");
  EXPECT_TRUE(CheckTraceFile(directory_ / "trace").ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ / "trace"));
  for (const std::string name : {"sub", "link", "sub/", "nowhere/trace"}) {
    const absl::Status status = CheckTraceFile(directory_ / name);
    EXPECT_EQ(FailureOf(status), Failure::kImagesDir) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("trace file")) << name;
  }
  EXPECT_TRUE(CheckTraceFile(directory_ / std::string(250, 'x')).ok());
  EXPECT_FALSE(CheckTraceFile(directory_ / std::string(251, 'x')).ok());
}

TEST_F(TraceFileTest, ReplacesWhatStandsThere) {
  // The longest name that is not refused.
  const std::filesystem::path path = directory_ / std::string(250, 'x');
  std::ofstream(path) << std::string(10'000, '-');
  const DumpTrace trace;
  { const TraceSpan span(TraceKind::kPhase, "commit"); }
  ASSERT_TRUE(trace.Write(path, kSubject, absl::OkStatus()).ok());
  std::ifstream file(path);
  const auto text = nlohmann::json::parse(file);
  EXPECT_EQ(EventWith(text, "name", "commit")["cat"], "phase");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

}  // namespace
}  // namespace dumpctl
