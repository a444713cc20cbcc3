// Runs a fuzz target over the files of its corpus, for compilers without libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), {});
      const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
      // Whole, and cut short at every place.
      for (size_t size = 0; size <= bytes.size(); ++size) LLVMFuzzerTestOneInput(data, size);
      ++files;
    }
  }
  printf("replayed %zu files\n", files);
  return files > 0 ? 0 : 1;
}
