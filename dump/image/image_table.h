#ifndef DUMP_IMAGE_IMAGE_TABLE_H_
#define DUMP_IMAGE_IMAGE_TABLE_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dumpctl {

// The kinds of images a directory of a dump may hold. Those that this build writes come first, then
// those that other dumpers write beside them: known so that an earlier dump can be shown, and
// replaced without leaving a mixture.
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
  kSocketQueues,
  kTtyInfo,
  kTtyData,
  kSeccomp,
  kTimens,
  kStats,
  kGhostFile,
  kRemaps,
  kFileLocks,

  kSharedPagemap,
  kCgroup,
  kTcpStream,
  kMemfd,
  kBpfMapData,
  kIrmapCache,
  kRestoreStats,
  kCpuInfo,
  kAppArmor,
  kUtsNamespace,
  kIpcVariables,
  kIpcSharedMemory,
  kIpcMessages,
  kIpcSemaphores,
  kMountpoints,
  kPidNamespace,
  kUserNamespace,
  kNetNamespace,
  kNetDevices,
  kNetAddresses,
  kNetRoutes,
  kNetRoutes6,
  kNetRules,
  kNetIptables,
  kNetIp6tables,
  kNetNftables,
  kTmpfs,
  kTmpfsDev,
};

// How an image begins.
enum class ImageHead {
  kTypeOnly,  // the type's magic
  kCommon,    // the common magic, then the type's
  kService,   // the service magic, then the type's
  kRaw,       // nothing: pages, archives, netlink dumps
};

// Raw bytes that follow an entry.
struct ImagePayload {
  std::string_view name;          // empty unless an entry has several
  std::optional<uint64_t> bytes;  // none when they reach to the end of the image
  uint64_t padding = 0;           // bytes behind them that say nothing
};

struct ImageType {
  ImageKind kind;
  // The file's name; "%u" (decimal) or "%x" stands for the id, in kinds with one image an id.
  std::string_view pattern;
  ImageHead head;
  uint32_t magic;           // 0 for raw images
  std::string_view symbol;  // the magic's name, as the field's tools print it

  // The default instance of its entries' message; null where our schema has none.
  const google::protobuf::Message* (*entry)() = nullptr;
  // Of the first entry's, where that is of another type; null otherwise.
  const google::protobuf::Message* (*first_entry)() = nullptr;
  // The payloads that follow `entry`, or a part of one, in the file; null where none ever does.
  std::vector<ImagePayload> (*payloads)(const google::protobuf::Message& entry) = nullptr;
  // The default instance of what follows an entry as its parts, and how many of them do; null where
  // none ever does.
  const google::protobuf::Message* (*part)() = nullptr;
  uint64_t (*parts)(const google::protobuf::Message& entry) = nullptr;
};

// The symbolic link in a directory that leads to the images that these build upon (criu(8),
// --prev-images-dir).
inline constexpr char kParentLink[] = "parent";

inline constexpr uint32_t kCommonMagic = 0x54564319;
inline constexpr uint32_t kServiceMagic = 0x55105940;

// Every kind, inventory first. Only this table spells names and magics.
std::span<const ImageType> ImageTypes();
const ImageType& ImageTypeOf(ImageKind kind);

// The type that a magic stands for; null when no kind has it.
const ImageType* ImageTypeOfMagic(ImageHead head, uint32_t magic);

// The name of an image: `id` fills the pattern's place, if it has one.
std::string ImageName(ImageKind kind, uint32_t id = 0);

// The kind a file name belongs to; none when it is no image. "pages-2.img" is kPages.
std::optional<ImageKind> KindOfImageName(std::string_view name);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_TABLE_H_
