#include "proc/mountinfo_parser.h"

#include <sys/sysmacros.h>

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Not;

struct MountinfoLineCase {
  const char* line;
  Mount mount;
};
void PrintTo(const MountinfoLineCase& c, std::ostream* out) { *out << c.line; }

class MountinfoLineTest : public ::testing::TestWithParam<MountinfoLineCase> {};

TEST_P(MountinfoLineTest, ReadsEveryField) {
  const auto mounts = ParseMountinfo(absl::StrCat(GetParam().line, "\n"));
  ASSERT_TRUE(mounts.ok()) << mounts.status();
  ASSERT_EQ(mounts->size(), 1u);
  const Mount& mount = mounts->front();
  EXPECT_EQ(mount.id, GetParam().mount.id);
  EXPECT_EQ(mount.parent, GetParam().mount.parent);
  EXPECT_EQ(mount.dev, GetParam().mount.dev);
  EXPECT_EQ(mount.root, GetParam().mount.root);
  EXPECT_EQ(mount.mount_point, GetParam().mount.mount_point);
  EXPECT_EQ(mount.options, GetParam().mount.options);
  EXPECT_EQ(mount.optional_fields, GetParam().mount.optional_fields);
  EXPECT_EQ(mount.fs_type, GetParam().mount.fs_type);
  EXPECT_EQ(mount.source, GetParam().mount.source);
  EXPECT_EQ(mount.super_options, GetParam().mount.super_options);
}

const MountinfoLineCase kMountinfoLines[] = {
    // Linux 6.18.
    {"26 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resuid=65534",
     {.id = 26,
      .parent = 1,
      .dev = makedev(254, 0),
      .root = "/",
      .mount_point = "/",
      .options = "rw,relatime",
      .fs_type = "ext4",
      .source = "/dev/vda",
      .super_options = "rw,discard,resuid=65534"}},
    {R"(63 62 0:38 /d//deleted /tmp/mi\040a#b\134c/e rw shared:1 - tmpfs so\040ur\043ce\134x rw)",
     {.id = 63,
      .parent = 62,
      .dev = makedev(0, 38),
      .root = "/d//deleted",
      .mount_point = "/tmp/mi a#b\\c/e",
      .options = "rw",
      .optional_fields = {"shared:1"},
      .fs_type = "tmpfs",
      .source = "so ur#ce\\x",
      .super_options = "rw"}},
    {R"(64 62 0:39 / /a\011b\012c rw,relatime shared:2 - tmpfs  rw)",
     {.id = 64,
      .parent = 62,
      .dev = makedev(0, 39),
      .root = "/",
      .mount_point = "/a\tb\nc",
      .options = "rw,relatime",
      .optional_fields = {"shared:2"},
      .fs_type = "tmpfs",
      .source = "",
      .super_options = "rw"}},
    {"65 62 0:4 net:[4026531833] /run/netns/k rw shared:3 - nsfs nsfs rw",
     {.id = 65,
      .parent = 62,
      .dev = makedev(0, 4),
      .root = "net:[4026531833]",
      .mount_point = "/run/netns/k",
      .options = "rw",
      .optional_fields = {"shared:3"},
      .fs_type = "nsfs",
      .source = "nsfs",
      .super_options = "rw"}},
    // An option's own comma stays escaped.
    {R"(68 64 0:40 / /n rw - overlay o ro,lowerdir=/usr:/a\054b,redirect_dir=on)",
     {.id = 68,
      .parent = 64,
      .dev = makedev(0, 40),
      .root = "/",
      .mount_point = "/n",
      .options = "rw",
      .fs_type = "overlay",
      .source = "o",
      .super_options = R"(ro,lowerdir=/usr:/a\054b,redirect_dir=on)"}},
    // The example of proc_pid_mountinfo(5) and of the kernel's documentation since 2.6.26.
    {"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
     {.id = 36,
      .parent = 35,
      .dev = makedev(98, 0),
      .root = "/mnt1",
      .mount_point = "/mnt2",
      .options = "rw,noatime",
      .optional_fields = {"master:1"},
      .fs_type = "ext3",
      .source = "/dev/root",
      .super_options = "rw,errors=continue"}},
    // Linux 5.10: several optional fields, a subtype, a device number beyond eight bits.
    {"1200 900 259:1048575 / /home/u/x ro shared:9 master:7 propagate_from:2 unbindable - "
     "fuse.sshfs host:/srv rw,user_id=1000",
     {.id = 1200,
      .parent = 900,
      .dev = makedev(259, 1048575),
      .root = "/",
      .mount_point = "/home/u/x",
      .options = "ro",
      .optional_fields = {"shared:9", "master:7", "propagate_from:2", "unbindable"},
      .fs_type = "fuse.sshfs",
      .source = "host:/srv",
      .super_options = "rw,user_id=1000"}},
};
INSTANTIATE_TEST_SUITE_P(Kernels, MountinfoLineTest, ::testing::ValuesIn(kMountinfoLines));

class BadMountinfoTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadMountinfoTest, QuotesTheLineAndNamesTheField) {
  // The line after a good one is the one that is quoted.
  const std::string text =
      absl::StrCat("1 1 0:2 / / rw - rootfs rootfs rw\n", GetParam().text, "\n");
  EXPECT_THAT(ParseMountinfo(text).status(), Refuses(GetParam()));
}

const BadText kBadMountinfoLines[] = {
    {"", "mount ID", ""},
    {"x 1 0:2 / / rw - a b rw", "mount ID", "x 1 0:2 / / rw - a b rw"},
    {"-1 1 0:2 / / rw - a b rw", "mount ID", "-1 1 0:2 / / rw - a b rw"},
    {"2147483648 1 0:2 / / rw - a b rw", "mount ID", "2147483648 1 0:2 / / rw - a b rw"},
    {"2", "parent ID", "2"},
    {"2  1 0:2 / / rw - a b rw", "parent ID", "2  1 0:2 / / rw - a b rw"},
    {"2 1", "major:minor", "2 1"},
    {"2 1 0 / / rw - a b rw", "major:minor", "2 1 0 / / rw - a b rw"},
    {"2 1 0: / / rw - a b rw", "major:minor", "2 1 0: / / rw - a b rw"},
    {"2 1 0:2:3 / / rw - a b rw", "major:minor", "2 1 0:2:3 / / rw - a b rw"},
    {"2 1 0:2", "root", "2 1 0:2"},
    {"2 1 0:2  / rw - a b rw", "root", "2 1 0:2  / rw - a b rw"},
    {"2 1 0:2 /", "mount point", "2 1 0:2 /"},
    {"2 1 0:2 / x rw - a b rw", "mount point", "2 1 0:2 / x rw - a b rw"},
    {"2 1 0:2 / /", "mount options", "2 1 0:2 / /"},
    {"2 1 0:2 / / rw", "separator", "2 1 0:2 / / rw"},
    {"2 1 0:2 / / rw shared:1", "separator", "2 1 0:2 / / rw shared:1"},
    {"2 1 0:2 / / rw  - a b rw", "separator", "2 1 0:2 / / rw  - a b rw"},
    {"2 1 0:2 / / rw -", "filesystem type", "2 1 0:2 / / rw -"},
    {"2 1 0:2 / / rw -  b rw", "filesystem type", "2 1 0:2 / / rw -  b rw"},
    {"2 1 0:2 / / rw - a", "mount source", "2 1 0:2 / / rw - a"},
    {"2 1 0:2 / / rw - a b", "super options", "2 1 0:2 / / rw - a b"},
    {"2 1 0:2 / / rw - a b ", "super options", "2 1 0:2 / / rw - a b "},
};
INSTANTIATE_TEST_SUITE_P(Fields, BadMountinfoTest, ::testing::ValuesIn(kBadMountinfoLines));

TEST(MountinfoTest, KeepsTheOrder) {
  const auto mounts =
      ParseMountinfo("7 1 0:2 / / rw - a b rw\n3 7 0:3 / /x rw - a b rw\n5 7 0:3 / /x rw - a b rw");
  ASSERT_TRUE(mounts.ok()) << mounts.status();
  EXPECT_THAT(*mounts,
              ElementsAre(Field(&Mount::id, 7), Field(&Mount::id, 3), Field(&Mount::id, 5)));
  EXPECT_THAT(*ParseMountinfo(""), IsEmpty());
}

TEST(MountinfoTest, UndoesOctalEscapesAlone) {
  EXPECT_EQ(UndoOctalEscapes(R"(a\040\011\012\134\043b)"), "a \t\n\\#b");
  EXPECT_EQ(UndoOctalEscapes(R"(\1341)"), "\\1");
  EXPECT_EQ(UndoOctalEscapes(R"(\134040)"), "\\040");
  EXPECT_EQ(UndoOctalEscapes(R"(\377)"), "\xff");
  EXPECT_EQ(UndoOctalEscapes(R"(\400 \8 \04 \)"), R"(\400 \8 \04 \)");
  EXPECT_EQ(UndoOctalEscapes(""), "");
}

TEST(MountinfoTest, ReadsThisTasksOwn) {
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok()) << task.status();
  const auto text = task->Read("mountinfo");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto mounts = ParseMountinfo(*text);
  ASSERT_TRUE(mounts.ok()) << mounts.status();
  EXPECT_THAT(*mounts,
              Contains(AllOf(Field(&Mount::fs_type, "proc"), Field(&Mount::mount_point, "/proc"),
                             Field(&Mount::super_options, Not(IsEmpty())))));
}

}  // namespace
}  // namespace dumpctl
