#include <CLI/CLI.hpp>

#include "dumpctl/failure.h"

int main(int argc, char** argv) {
  CLI::App app("dumpctl: checkpoint a live process tree into CRIU-compatible images", "dumpctl");
  app.set_version_flag("-V,--version", DUMPCTL_VERSION);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(dumpctl::Failure::kUsage);
  }
  return 0;
}
