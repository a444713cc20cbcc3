#include "dump/image/image_table.h"

#include <algorithm>
#include <charconv>

#include "proto/core.pb.h"
#include "proto/events.pb.h"
#include "proto/files.pb.h"
#include "proto/inventory.pb.h"
#include "proto/ipc.pb.h"
#include "proto/mm.pb.h"
#include "proto/seccomp.pb.h"
#include "proto/sockets.pb.h"
#include "proto/special_files.pb.h"

namespace dumpctl {
namespace {

using google::protobuf::Message;
using Payloads = std::vector<ImagePayload>;
using enum ImageHead;

template <typename Entry>
const Message* Of() {
  return &Entry::default_instance();
}

template <typename Entry>
const Entry& As(const Message& entry) {
  return static_cast<const Entry&>(entry);
}

Payloads PipePayload(const Message& entry) {
  return {{"", As<image::pipe_data_entry>(entry).bytes()}};
}

Payloads QueuePayload(const Message& entry) {
  return {{"", As<image::sk_packet_entry>(entry).length()}};
}

Payloads StreamPayload(const Message& entry) {
  const auto& stream = As<image::tcp_stream_entry>(entry);
  return {{"inq", stream.inq_len()}, {"outq", stream.outq_len()}};
}

Payloads BpfMapPayload(const Message& entry) {
  const auto& data = As<image::bpfmap_data_entry>(entry);
  return {{"", uint64_t{data.keys_bytes()} + data.values_bytes()}};
}

uint64_t RoundUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

Payloads SegmentPayload(const Message& entry) {
  const auto& segment = As<image::ipc_shm_entry>(entry);
  if (segment.in_pagemaps()) return {};
  return {{"", RoundUp(segment.size(), 4)}};
}

Payloads SemaphoresPayload(const Message& entry) {
  return {{"", RoundUp(uint64_t{2} * As<image::ipc_sem_entry>(entry).nsems(), 8)}};
}

Payloads MessagePayload(const Message& entry) {
  if (entry.GetDescriptor() != image::ipc_msg::descriptor()) return {};
  const uint64_t size = As<image::ipc_msg>(entry).msize();
  return {{"", size, RoundUp(size, 8) - size}};
}

uint64_t MessagesOf(const Message& entry) { return As<image::ipc_msg_entry>(entry).qnum(); }

// A ghost file's contents follow whole, or as chunks with holes between them.
Payloads GhostPayload(const Message& entry) {
  if (entry.GetDescriptor() == image::ghost_chunk_entry::descriptor()) {
    return {{"", As<image::ghost_chunk_entry>(entry).len()}};
  }
  if (As<image::ghost_file_entry>(entry).chunks()) return {};
  return {{"", std::nullopt}};
}

constexpr ImageType kTypes[] = {
    {ImageKind::kInventory, "inventory.img", kTypeOnly, 0x58313116, "INVENTORY",
     Of<image::inventory_entry>},
    {ImageKind::kPstree, "pstree.img", kCommon, 0x50273030, "PSTREE", Of<image::pstree_entry>},
    {ImageKind::kCore, "core-%u.img", kCommon, 0x55053847, "CORE", Of<image::core_entry>},
    {ImageKind::kIds, "ids-%u.img", kCommon, 0x54432030, "IDS", Of<image::task_kobj_ids_entry>},
    {ImageKind::kMm, "mm-%u.img", kCommon, 0x57492820, "MM", Of<image::mm_entry>},
    {ImageKind::kPagemap, "pagemap-%u.img", kCommon, 0x56084025, "PAGEMAP",
     Of<image::pagemap_entry>, Of<image::pagemap_head>},
    {ImageKind::kPages, "pages-%u.img", kRaw, 0, ""},
    {ImageKind::kFdinfo, "fdinfo-%u.img", kCommon, 0x56213732, "FDINFO", Of<image::fdinfo_entry>},
    {ImageKind::kFiles, "files.img", kCommon, 0x56303138, "FILES", Of<image::file_entry>},
    {ImageKind::kFs, "fs-%u.img", kCommon, 0x51403912, "FS", Of<image::fs_entry>},
    {ImageKind::kPipesData, "pipes-data.img", kCommon, 0x56453709, "PIPES_DATA",
     Of<image::pipe_data_entry>, nullptr, PipePayload},
    {ImageKind::kFifoData, "fifo-data.img", kCommon, 0x59333054, "FIFO_DATA",
     Of<image::pipe_data_entry>, nullptr, PipePayload},
    {ImageKind::kSocketQueues, "sk-queues.img", kCommon, 0x56264026, "SK_QUEUES",
     Of<image::sk_packet_entry>, nullptr, QueuePayload},
    {ImageKind::kTtyInfo, "tty-info.img", kCommon, 0x59453036, "TTY_INFO",
     Of<image::tty_info_entry>},
    {ImageKind::kTtyData, "tty-data.img", kCommon, 0x59413026, "TTY_DATA",
     Of<image::tty_data_entry>},
    {ImageKind::kSeccomp, "seccomp.img", kCommon, 0x64413049, "SECCOMP", Of<image::seccomp_entry>},
    {ImageKind::kTimens, "timens-%u.img", kCommon, 0x43114433, "TIMENS", Of<image::timens_entry>},
    {ImageKind::kStats, "stats-dump", kService, 0x57093306, "STATS", Of<image::stats_entry>},
    {ImageKind::kGhostFile, "ghost-file-%x.img", kCommon, 0x52583605, "GHOST_FILE",
     Of<image::ghost_chunk_entry>, Of<image::ghost_file_entry>, GhostPayload},
    {ImageKind::kRemaps, "remap-fpath.img", kCommon, 0x59133954, "REMAP_FPATH",
     Of<image::remap_file_path_entry>},
    {ImageKind::kFileLocks, "filelocks.img", kCommon, 0x54323616, "FILE_LOCKS",
     Of<image::file_lock_entry>},

    {ImageKind::kSharedPagemap, "pagemap-shmem-%u.img", kCommon, 0x56084025, "PAGEMAP",
     Of<image::pagemap_entry>, Of<image::pagemap_head>},
    {ImageKind::kCgroup, "cgroup.img", kCommon, 0x59383330, "CGROUP", Of<image::cgroup_entry>},
    {ImageKind::kTcpStream, "tcp-stream-%x.img", kCommon, 0x51465506, "TCP_STREAM",
     Of<image::tcp_stream_entry>, nullptr, StreamPayload},
    {ImageKind::kMemfd, "memfd.img", kCommon, 0x48453499, "MEMFD_INODE",
     Of<image::memfd_inode_entry>},
    {ImageKind::kBpfMapData, "bpfmap-data.img", kCommon, 0x64324033, "BPFMAP_DATA",
     Of<image::bpfmap_data_entry>, nullptr, BpfMapPayload},
    {ImageKind::kIrmapCache, "irmap-cache", kService, 0x57004059, "IRMAP_CACHE",
     Of<image::irmap_cache_entry>},
    {ImageKind::kRestoreStats, "stats-restore", kService, 0x57093306, "STATS",
     Of<image::stats_entry>},

    {ImageKind::kCpuInfo, "cpuinfo.img", kCommon, 0x61404013, "CPUINFO"},
    {ImageKind::kAppArmor, "apparmor.img", kCommon, 0x59423047, "APPARMOR"},
    {ImageKind::kUtsNamespace, "utsns-%u.img", kCommon, 0x54473203, "UTSNS"},
    {ImageKind::kIpcVariables, "ipcns-var-%u.img", kCommon, 0x53115007, "IPC_VAR",
     Of<image::ipc_var_entry>},
    {ImageKind::kIpcSharedMemory, "ipcns-shm-%u.img", kCommon, 0x46283044, "IPCNS_SHM",
     Of<image::ipc_shm_entry>, nullptr, SegmentPayload},
    {ImageKind::kIpcMessages, "ipcns-msg-%u.img", kCommon, 0x55453737, "IPCNS_MSG",
     Of<image::ipc_msg_entry>, nullptr, MessagePayload, Of<image::ipc_msg>, MessagesOf},
    {ImageKind::kIpcSemaphores, "ipcns-sem-%u.img", kCommon, 0x59573019, "IPCNS_SEM",
     Of<image::ipc_sem_entry>, nullptr, SemaphoresPayload},
    {ImageKind::kMountpoints, "mountpoints-%u.img", kCommon, 0x55563928, "MNTS"},
    {ImageKind::kPidNamespace, "pidns-%u.img", kCommon, 0x61157326, "PIDNS"},
    {ImageKind::kUserNamespace, "userns-%u.img", kCommon, 0x55474906, "USERNS"},
    {ImageKind::kNetNamespace, "netns-%u.img", kCommon, 0x55933752, "NETNS"},
    {ImageKind::kNetDevices, "netdev-%u.img", kCommon, 0x57373951, "NETDEV"},
    {ImageKind::kNetAddresses, "ifaddr-%u.img", kRaw, 0, ""},
    {ImageKind::kNetRoutes, "route-%u.img", kRaw, 0, ""},
    {ImageKind::kNetRoutes6, "route6-%u.img", kRaw, 0, ""},
    {ImageKind::kNetRules, "rule-%u.img", kRaw, 0, ""},
    {ImageKind::kNetIptables, "iptables-%u.img", kRaw, 0, ""},
    {ImageKind::kNetIp6tables, "ip6tables-%u.img", kRaw, 0, ""},
    {ImageKind::kNetNftables, "nftables-%u.img", kRaw, 0, ""},
    {ImageKind::kTmpfs, "tmpfs-%u.tar.gz.img", kRaw, 0, ""},
    {ImageKind::kTmpfsDev, "tmpfs-dev-%u.tar.gz.img", kRaw, 0, ""},
};

// A pattern, cut at the place of its id.
struct Pattern {
  std::string_view before;
  std::string_view after;
  int base = 0;  // of the id's digits; 0 when the pattern has no id
};

Pattern Cut(std::string_view pattern) {
  const size_t place = pattern.find('%');
  if (place == std::string_view::npos) return {.before = pattern};
  return {pattern.substr(0, place), pattern.substr(place + 2), pattern[place + 1] == 'x' ? 16 : 10};
}

bool IsNumber(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool Matches(const Pattern& pattern, std::string_view name) {
  if (pattern.base == 0) return name == pattern.before;
  if (!name.starts_with(pattern.before) || !name.ends_with(pattern.after)) return false;
  const size_t fixed = pattern.before.size() + pattern.after.size();
  if (name.size() <= fixed) return false;
  return IsNumber(name.substr(pattern.before.size(), name.size() - fixed), pattern.base);
}

}  // namespace

std::span<const ImageType> ImageTypes() { return kTypes; }

const ImageType& ImageTypeOf(ImageKind kind) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes),
                       [kind](const ImageType& type) { return type.kind == kind; });
}

const ImageType* ImageTypeOfMagic(ImageHead head, uint32_t magic) {
  for (const ImageType& type : kTypes) {
    if (type.head == head && type.magic == magic && head != kRaw) return &type;
  }
  return nullptr;
}

std::string ImageName(ImageKind kind, uint32_t id) {
  const Pattern pattern = Cut(ImageTypeOf(kind).pattern);
  std::string name(pattern.before);
  if (pattern.base != 0) {
    char digits[16];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), id, pattern.base).ptr;
    name.append(digits, end);
  }
  return name.append(pattern.after);
}

std::optional<ImageKind> KindOfImageName(std::string_view name) {
  for (const ImageType& type : kTypes) {
    if (Matches(Cut(type.pattern), name)) return type.kind;
  }
  return std::nullopt;
}

}  // namespace dumpctl
