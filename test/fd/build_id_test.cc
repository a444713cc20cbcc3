#include "dump/fd/build_id.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

// The id that the loader has mapped for this very program, if the linker gave it one.
std::string OwnBuildId() {
  std::string id;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_NOTE) continue;
          const auto* at = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
          const char* const end = at + segment.p_memsz;
          while (at + sizeof(ElfW(Nhdr)) <= end) {
            const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
            const char* desc = at + sizeof *note + (note->n_namesz + 3) / 4 * 4;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4) {
              static_cast<std::string*>(out)->assign(desc, note->n_descsz);
              return 1;
            }
            at = desc + (note->n_descsz + 3) / 4 * 4;
          }
        }
        return 1;  // the program itself comes first
      },
      &id);
  return id;
}

UniqueFd FileOf(const std::string& bytes) {
  UniqueFd file(memfd_create("build_id_test", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return file;
}

TEST(BuildIdTest, IsWhatTheLoaderMapped) {
  const UniqueFd self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const std::vector<uint32_t> words = ReadBuildId(self.get());
  const std::string expected = OwnBuildId();
  ASSERT_EQ(words.size() * 4, expected.size());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(words.data()), expected.size()), expected);
}

TEST(BuildIdTest, OtherFilesHaveNone) {
  EXPECT_TRUE(ReadBuildId(FileOf("").get()).empty());
  EXPECT_TRUE(ReadBuildId(FileOf("#!/bin/sh\n").get()).empty());
  EXPECT_TRUE(ReadBuildId(FileOf(std::string(ELFMAG) + std::string(8, '\0')).get()).empty());
}

// Each prefix of a program, and a program whose every byte near the front is wrong in turn.
TEST(BuildIdTest, BrokenProgramsHaveNoneOrTheSame) {
  const UniqueFd self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::string bytes(8192, '\0');
  ASSERT_EQ(pread(self.get(), bytes.data(), bytes.size(), 0), 8192);
  const std::vector<uint32_t> whole = ReadBuildId(FileOf(bytes).get());
  ASSERT_FALSE(whole.empty());
  for (size_t size = 0; size < 1024; size += 7) {
    const auto cut = ReadBuildId(FileOf(bytes.substr(0, size)).get());
    EXPECT_TRUE(cut.empty() || cut == whole) << "cut at " << size;
  }
  for (size_t at = 0; at < 1024; ++at) {
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(~wrong[at]);
    EXPECT_LE(ReadBuildId(FileOf(wrong).get()).size(), 16u) << "wrong at " << at;
  }
}

}  // namespace
}  // namespace dumpctl
