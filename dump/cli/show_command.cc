#include "dump/cli/show_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/cli/answer.h"
#include "dump/cli/image_text.h"
#include "dump/image/image_json.h"
#include "dump/image/image_reader.h"
#include "dump/image/image_table.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

using nlohmann::ordered_json;

struct ShowOptions {
  std::string path;
  bool json = false;
};

absl::Status BadImage(absl::StatusCode code, const std::string& message) {
  return MakeFailure(Failure::kBadImage, code, message);
}

absl::StatusOr<std::string> ReadImage(const std::string& path) {
  auto bytes = ReadImageFile(path);
  if (bytes.ok()) return bytes;
  return BadImage(bytes.status().code(), std::string(bytes.status().message()));
}

// What is told of an image that has no entries to show; nothing of one that has.
struct Opaque {
  std::string symbol;  // empty for raw images
};

std::optional<Opaque> OpaqueImage(const std::string& name) {
  const auto kind = KindOfImageName(name);
  if (!kind.has_value()) return std::nullopt;
  const ImageType& type = ImageTypeOf(*kind);
  if (type.head != ImageHead::kRaw && type.entry != nullptr) return std::nullopt;
  return Opaque{std::string(type.symbol)};
}

ordered_json OpaqueJson(const Opaque& opaque, size_t bytes) {
  ordered_json json;
  if (!opaque.symbol.empty()) json["magic"] = opaque.symbol;
  json["bytes"] = bytes;
  return json;
}

std::string OpaqueText(const std::string& name, const Opaque& opaque, size_t bytes) {
  return absl::StrCat(name, ": ",
                      opaque.symbol.empty() ? "raw" : absl::StrCat(opaque.symbol, ", not decoded"),
                      ", ", bytes, bytes == 1 ? " byte\n" : " bytes\n");
}

// The names of the images in a directory, sorted, so that they are always shown in one order.
absl::StatusOr<std::vector<std::string>> ImagesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename();
    if (KindOfImageName(name).has_value()) names.push_back(std::move(name));
  }
  if (error) {
    return BadImage(absl::ErrnoToStatusCode(error.value()),
                    absl::StrCat(directory, ": ", error.message()));
  }
  if (names.empty()) {
    return BadImage(absl::StatusCode::kNotFound,
                    absl::StrCat(directory, ": no images are in this directory"));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::string> ShowDirectory(const ShowOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ImagesIn(options.path));
  ordered_json images = ordered_json::object();
  std::string text;
  for (const std::string& name : names) {
    const std::string path = (std::filesystem::path(options.path) / name).string();
    if (!text.empty()) text += "\n";
    if (const auto opaque = OpaqueImage(name)) {
      // Pages may be many gigabytes: their size is asked, they are not read.
      std::error_code error;
      const auto bytes = std::filesystem::file_size(path, error);
      if (error) {
        return BadImage(absl::ErrnoToStatusCode(error.value()),
                        absl::StrCat(path, ": ", error.message()));
      }
      if (options.json) {
        images[name] = OpaqueJson(*opaque, bytes);
      } else {
        text += OpaqueText(path, *opaque, bytes);
      }
      continue;
    }
    ASSIGN_OR_RETURN(const std::string bytes, ReadImage(path));
    if (options.json) {
      ASSIGN_OR_RETURN(images[name], ImageJson(path, bytes));
    } else {
      ASSIGN_OR_RETURN(const std::string image, ImageText(path, bytes));
      text += image;
    }
  }
  return options.json ? absl::StrCat(JsonText(images), "\n") : text;
}

absl::StatusOr<std::string> ShowImage(const ShowOptions& options) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadImage(options.path));
  if (!options.json) return ImageText(options.path, bytes);
  ASSIGN_OR_RETURN(const ordered_json image, ImageJson(options.path, bytes));
  return absl::StrCat(JsonText(image), "\n");
}

absl::Status Show(const ShowOptions& options) {
  std::error_code error;
  const bool directory = std::filesystem::is_directory(options.path, error);
  ASSIGN_OR_RETURN(const std::string text, directory ? ShowDirectory(options) : ShowImage(options));
  return WriteAnswer(text);
}

}  // namespace

void AddShowCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("show", "print an image, or all images of a directory");
  auto options = std::make_shared<ShowOptions>();
  command->add_option("path", options->path, "an image, or a directory of images")
      ->required()
      ->type_name("IMAGE|DIR");
  command->add_flag("--json", options->json, "as crit(1) decodes them: one JSON object");
  command->callback([options, &action] { action = [options] { return Show(*options); }; });
}

}  // namespace dumpctl
