#include "dump/image/image_table.h"

#include <algorithm>

namespace dumpctl {
namespace {

constexpr ImageType kTypes[] = {
    {ImageKind::kInventory, "inventory.img", ImageHead::kTypeOnly, 0x58313116, "INVENTORY"},
    {ImageKind::kPstree, "pstree.img", ImageHead::kCommon, 0x50273030, "PSTREE"},
    {ImageKind::kCore, "core-%u.img", ImageHead::kCommon, 0x55053847, "CORE"},
    {ImageKind::kIds, "ids-%u.img", ImageHead::kCommon, 0x54432030, "IDS"},
    {ImageKind::kMm, "mm-%u.img", ImageHead::kCommon, 0x57492820, "MM"},
    {ImageKind::kPagemap, "pagemap-%u.img", ImageHead::kCommon, 0x56084025, "PAGEMAP"},
    {ImageKind::kPages, "pages-%u.img", ImageHead::kRaw, 0, ""},
    {ImageKind::kFdinfo, "fdinfo-%u.img", ImageHead::kCommon, 0x56213732, "FDINFO"},
    {ImageKind::kFiles, "files.img", ImageHead::kCommon, 0x56303138, "FILES"},
    {ImageKind::kFs, "fs-%u.img", ImageHead::kCommon, 0x51403912, "FS"},
    {ImageKind::kPipesData, "pipes-data.img", ImageHead::kCommon, 0x56453709, "PIPES_DATA"},
    {ImageKind::kFifoData, "fifo-data.img", ImageHead::kCommon, 0x59333054, "FIFO_DATA"},
    {ImageKind::kSeccomp, "seccomp.img", ImageHead::kCommon, 0x64413049, "SECCOMP"},
    {ImageKind::kTimens, "timens-0.img", ImageHead::kCommon, 0x43114433, "TIMENS"},
    {ImageKind::kStats, "stats-dump", ImageHead::kService, 0x57093306, "STATS"},
};

constexpr std::string_view kIdPlace = "%u";

}  // namespace

std::span<const ImageType> ImageTypes() { return kTypes; }

const ImageType& ImageTypeOf(ImageKind kind) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes),
                       [kind](const ImageType& type) { return type.kind == kind; });
}

std::string ImageName(ImageKind kind, uint32_t id) {
  std::string name(ImageTypeOf(kind).pattern);
  const size_t place = name.find(kIdPlace);
  if (place != std::string::npos) name.replace(place, kIdPlace.size(), std::to_string(id));
  return name;
}

std::optional<ImageKind> KindOfImageName(std::string_view name) {
  for (const ImageType& type : kTypes) {
    const size_t place = type.pattern.find(kIdPlace);
    if (place == std::string_view::npos) {
      if (name == type.pattern) return type.kind;
      continue;
    }
    const std::string_view before = type.pattern.substr(0, place);
    const std::string_view after = type.pattern.substr(place + kIdPlace.size());
    if (name.size() <= before.size() + after.size() || !name.starts_with(before) ||
        !name.ends_with(after)) {
      continue;
    }
    const std::string_view id =
        name.substr(before.size(), name.size() - before.size() - after.size());
    if (id.find_first_not_of("0123456789") == std::string_view::npos) return type.kind;
  }
  return std::nullopt;
}

}  // namespace dumpctl
