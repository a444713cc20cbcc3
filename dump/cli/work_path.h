#ifndef DUMP_CLI_WORK_PATH_H_
#define DUMP_CLI_WORK_PATH_H_

#include <string>

namespace dumpctl {

// Logs, pid files and traces are relative to the work directory, as criu(8) has it, and that is the
// images directory where none was given. No file stays none.
inline std::string WorkPath(const std::string& work_dir, const std::string& images_dir,
                            const std::string& file) {
  const std::string& directory = work_dir.empty() ? images_dir : work_dir;
  // An archive has no directory.
  if (file.empty() || file.starts_with('/') || directory.empty()) return file;
  return directory + "/" + file;
}

}  // namespace dumpctl

#endif  // DUMP_CLI_WORK_PATH_H_
