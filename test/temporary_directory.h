#ifndef TEST_TEMPORARY_DIRECTORY_H_
#define TEST_TEMPORARY_DIRECTORY_H_

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace dumpctl {

// A directory of one test's own, which goes with the object, and all that is in it. Its name has
// nothing in it that would have to be escaped in /proc.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/dumpctl-test-XXXXXX";
    if (mkdtemp(name) == nullptr) {
      std::perror(name);
      std::abort();
    }
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // What is in it, in any order.
  std::vector<std::string> Names() const { return NamesIn(path_); }
  static std::vector<std::string> NamesIn(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  // Empty where there is no such file.
  std::string Contents(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Gives its path.
  std::string Write(const std::string& name, std::string_view bytes) const {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  }

 private:
  std::string path_;
};

}  // namespace dumpctl

#endif  // TEST_TEMPORARY_DIRECTORY_H_
