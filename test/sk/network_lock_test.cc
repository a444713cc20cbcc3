#include "dump/sk/network_lock.h"

#include <arpa/inet.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

InetEndpoint V4(const char* text, uint16_t port) {
  in_addr address;
  EXPECT_EQ(inet_pton(AF_INET, text, &address), 1);
  return {.address = {address.s_addr}, .port = port};
}

InetEndpoint V6(const char* text, uint16_t port) {
  InetEndpoint end{.address = std::vector<uint32_t>(4), .port = port};
  EXPECT_EQ(inet_pton(AF_INET6, text, end.address.data()), 1);
  return end;
}

const Connection kOfV4 = {V4("10.0.0.1", 5001), V4("10.0.0.2", 80)};
const Connection kOfV6 = {V6("::1", 5002), V6("fe80::2", 81)};
const Connection kMapped = {V6("::ffff:10.0.0.3", 5003), V6("::ffff:10.0.0.4", 82)};
constexpr char kRunId[] = "61199d9f-b374-45b0-8808-25966d7b5b36";

TEST(NetworkLockTest, IptablesDropsBothWays) {
  const LockCommands commands =
      CommandsFor(NetworkLock::kIptables, std::vector{kOfV4, kMapped}, kRunId);
  ASSERT_THAT(commands.lock, SizeIs(1));
  EXPECT_THAT(commands.lock[0].arguments, ElementsAre("iptables-restore", "-w", "5", "--noflush"));
  EXPECT_EQ(commands.lock[0].input,
            "*filter\n"
            "-I INPUT --protocol tcp -m mark ! --mark 0xC114 --source 10.0.0.2 --sport 80"
            " --destination 10.0.0.1 --dport 5001 -j DROP\n"
            "-I OUTPUT --protocol tcp -m mark ! --mark 0xC114 --source 10.0.0.1 --sport 5001"
            " --destination 10.0.0.2 --dport 80 -j DROP\n"
            "-I INPUT --protocol tcp -m mark ! --mark 0xC114 --source 10.0.0.4 --sport 82"
            " --destination 10.0.0.3 --dport 5003 -j DROP\n"
            "-I OUTPUT --protocol tcp -m mark ! --mark 0xC114 --source 10.0.0.3 --sport 5003"
            " --destination 10.0.0.4 --dport 82 -j DROP\n"
            "COMMIT\n");
  ASSERT_THAT(commands.unlock, SizeIs(1));
  EXPECT_THAT(commands.unlock[0].input, HasSubstr("-D INPUT --protocol tcp"));
  EXPECT_THAT(commands.unlock[0].input, Not(HasSubstr("-I ")));
}

TEST(NetworkLockTest, IptablesHasAProgramForEachFamily) {
  const LockCommands commands =
      CommandsFor(NetworkLock::kIptables, std::vector{kOfV4, kOfV6}, kRunId);
  ASSERT_THAT(commands.lock, SizeIs(2));
  EXPECT_EQ(commands.lock[0].arguments.front(), "ip6tables-restore");
  EXPECT_EQ(commands.lock[1].arguments.front(), "iptables-restore");
  EXPECT_THAT(commands.lock[0].input, HasSubstr("--source fe80::2 --sport 81 --destination ::1"));
  EXPECT_THAT(commands.lock[0].input, Not(HasSubstr("10.0.0.1")));
}

TEST(NetworkLockTest, NftablesHasATableOfItsOwn) {
  const LockCommands commands =
      CommandsFor(NetworkLock::kNftables, std::vector{kOfV4, kOfV6}, kRunId);
  ASSERT_THAT(commands.lock, SizeIs(1));
  const std::string& input = commands.lock[0].input;
  EXPECT_THAT(input, HasSubstr("create table inet CRIU-61199d9f-b374-45b0-88\n"));
  EXPECT_THAT(input, HasSubstr("conns4 { 10.0.0.1 . 5001 . 10.0.0.2 . 80 }\n"));
  EXPECT_THAT(input, HasSubstr("conns4 { 10.0.0.2 . 80 . 10.0.0.1 . 5001 }\n"));
  EXPECT_THAT(input, HasSubstr("conns6 { ::1 . 5002 . fe80::2 . 81 }\n"));
  EXPECT_THAT(input, HasSubstr("meta mark 0xC114 accept\n"));
  ASSERT_THAT(commands.unlock, SizeIs(1));
  EXPECT_EQ(commands.unlock[0].input, "delete table inet CRIU-61199d9f-b374-45b0-88\n");
}

TEST(NetworkLockTest, NothingHasNoCommands) {
  EXPECT_THAT(CommandsFor(NetworkLock::kSkip, std::vector{kOfV4}, kRunId).lock, IsEmpty());
  EXPECT_THAT(CommandsFor(NetworkLock::kNftables, {}, kRunId).lock, IsEmpty());
  EXPECT_THAT(CommandsFor(NetworkLock::kIptables, {}, kRunId).unlock, IsEmpty());
}

}  // namespace
}  // namespace dumpctl
