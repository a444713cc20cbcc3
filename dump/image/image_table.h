#ifndef DUMP_IMAGE_IMAGE_TABLE_H_
#define DUMP_IMAGE_IMAGE_TABLE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dumpctl {

// The kinds of images a dump consists of.
enum class ImageKind {
  kInventory,
  kPstree,
  kCore,
  kIds,
  kMm,
  kPagemap,
  kPages,
  kFdinfo,
  kFiles,
  kFs,
  kPipesData,
  kFifoData,
  kSeccomp,
  kTimens,
  kStats,
};

// How an image begins.
enum class ImageHead {
  kTypeOnly,  // the type's magic
  kCommon,    // the common magic, then the type's
  kService,   // the service magic, then the type's
  kRaw,       // nothing: pages
};

struct ImageType {
  ImageKind kind;
  // The file's name; "%u" stands for the id, in names of kinds that have one image an id.
  std::string_view pattern;
  ImageHead head;
  uint32_t magic;           // 0 for raw images
  std::string_view symbol;  // the magic's name, as the field's tools print it
};

inline constexpr uint32_t kCommonMagic = 0x54564319;
inline constexpr uint32_t kServiceMagic = 0x55105940;

// Every kind, inventory first. Only this table spells names and magics.
std::span<const ImageType> ImageTypes();
const ImageType& ImageTypeOf(ImageKind kind);

// The name of an image: `id` fills the pattern's place, if it has one.
std::string ImageName(ImageKind kind, uint32_t id = 0);

// The kind a file name belongs to; none when it is no image of ours. "pages-2.img" is kPages.
std::optional<ImageKind> KindOfImageName(std::string_view name);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_TABLE_H_
