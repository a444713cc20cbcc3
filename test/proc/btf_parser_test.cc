#include "proc/btf_parser.h"

#include <linux/btf.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/bpf_vma_iterator.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

// Puts BTF together, type by type.
class BtfBuilder {
 public:
  struct Member {
    std::string name;
    uint32_t type;
    uint32_t offset;  // as the record holds it
  };

  // Returns the id.
  uint32_t Add(uint32_t kind, const std::string& name, uint32_t parts = 0,
               uint32_t size_or_type = 0, const std::vector<uint32_t>& tail = {},
               bool kind_flag = false) {
    Put(NameOf(name));
    Put(kind << 24 | parts | (kind_flag ? 1u << 31 : 0));
    Put(size_or_type);
    for (const uint32_t word : tail) Put(word);
    return ++last_id_;
  }
  uint32_t AddStruct(const std::string& name, const std::vector<Member>& members,
                     uint32_t kind = BTF_KIND_STRUCT, bool kind_flag = false) {
    std::vector<uint32_t> tail;
    for (const Member& member : members) {
      tail.insert(tail.end(), {NameOf(member.name), member.type, member.offset});
    }
    return Add(kind, name, static_cast<uint32_t>(members.size()), 64, tail, kind_flag);
  }

  std::string Bytes() const {
    btf_header head = {.magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof head};
    head.type_len = static_cast<uint32_t>(types_.size());
    head.str_off = head.type_len;
    head.str_len = static_cast<uint32_t>(strings_.size());
    return std::string(reinterpret_cast<const char*>(&head), sizeof head) + types_ + strings_;
  }

 private:
  void Put(uint32_t word) { types_.append(reinterpret_cast<const char*>(&word), sizeof word); }
  uint32_t NameOf(const std::string& name) {
    if (name.empty()) return 0;
    const std::string whole = '\0' + name + '\0';
    size_t at = strings_.find(whole);
    if (at == std::string::npos) {
      at = strings_.size() - 1;
      strings_ += name + '\0';
    }
    return static_cast<uint32_t>(at + 1);
  }

  std::string types_;
  std::string strings_ = std::string(1, '\0');
  uint32_t last_id_ = 0;
};

// One of each kind, so that each one's length has to be known.
std::string EveryKind() {
  BtfBuilder btf;
  const uint32_t number = btf.Add(BTF_KIND_INT, "unsigned long", 0, 8, {64});
  btf.Add(BTF_KIND_PTR, "", 0, number);
  btf.Add(BTF_KIND_ARRAY, "", 0, 0, {number, number, 4});
  btf.Add(BTF_KIND_ENUM, "color", 2, 4, {0, 1, 0, 2});
  btf.Add(BTF_KIND_FWD, "later");
  for (const uint32_t kind : {BTF_KIND_TYPEDEF, BTF_KIND_VOLATILE, BTF_KIND_CONST,
                              BTF_KIND_RESTRICT, BTF_KIND_TYPE_TAG}) {
    btf.Add(kind, kind == BTF_KIND_TYPEDEF ? "word" : "", 0, number);
  }
  const uint32_t prototype = btf.Add(BTF_KIND_FUNC_PROTO, "", 2, number, {0, 1, 0, 1});
  btf.Add(BTF_KIND_VAR, "jiffies", 0, number, {1});
  btf.Add(BTF_KIND_DATASEC, ".data", 1, 8, {12, 0, 8});
  btf.Add(BTF_KIND_FLOAT, "double", 0, 8);
  btf.Add(BTF_KIND_DECL_TAG, "tag", 0, number, {0});
  btf.Add(BTF_KIND_ENUM64, "wide", 1, 8, {0, 1, 0});
  // Names are those of a kind.
  btf.Add(BTF_KIND_TYPEDEF, "area", 0, number);
  const uint32_t inner =
      btf.AddStruct("", {{"end", number, 0}, {"flags", number, 64}}, BTF_KIND_UNION);
  btf.AddStruct("area", {{"start", number, 0}, {"", inner, 128}, {"last", number, 256}});
  btf.Add(BTF_KIND_FUNC, "area", 0, prototype);
  return btf.Bytes();
}

TEST(BtfTest, FindsTypesBehindEveryKind) {
  const std::string bytes = EveryKind();
  auto btf = Btf::Parse(bytes);
  ASSERT_TRUE(btf.ok()) << btf.status();
  constexpr BtfName kNames[] = {{BtfKind::kFunction, "area"}, {BtfKind::kStruct, "area"}};
  const auto found = btf->Find(kNames);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)[0].id, 20u);
  EXPECT_EQ((*found)[1].id, 19u);
  EXPECT_EQ(*btf->OffsetOf((*found)[1], "start"), 0u);
  EXPECT_EQ(*btf->OffsetOf((*found)[1], "last"), 32u);
  // Of the anonymous union that lies within.
  EXPECT_EQ(*btf->OffsetOf((*found)[1], "end"), 16u);
  EXPECT_EQ(*btf->OffsetOf((*found)[1], "flags"), 24u);
}

TEST(BtfTest, FindsTheTypesOfPartsAmongMany) {
  BtfBuilder builder;
  const uint32_t number = builder.Add(BTF_KIND_INT, "int", 0, 4, {32});
  const uint32_t far = builder.AddStruct("", {{"far", number, 32}});
  for (int i = 0; i < 1000; ++i) builder.Add(BTF_KIND_PTR, "", 0, number);
  const uint32_t near = builder.AddStruct("", {{"near", number, 64}}, BTF_KIND_UNION);
  builder.AddStruct("whole", {{"", near, 0}, {"", far, 128}, {"", near + 1002, 256}});
  for (int i = 0; i < 1000; ++i) builder.Add(BTF_KIND_PTR, "", 0, number);
  builder.AddStruct("", {{"behind", number, 0}});
  const std::string bytes = builder.Bytes();
  auto btf = Btf::Parse(bytes);
  constexpr BtfName kWhole[] = {{BtfKind::kStruct, "whole"}};
  const BtfType whole = btf->Find(kWhole)->front();
  EXPECT_EQ(*btf->OffsetOf(whole, "near"), 8u);
  EXPECT_EQ(*btf->OffsetOf(whole, "far"), 20u);
  EXPECT_EQ(*btf->OffsetOf(whole, "behind"), 32u);
}

TEST(BtfTest, SaysWhatIsNotThere) {
  const std::string bytes = EveryKind();
  auto btf = Btf::Parse(bytes);
  ASSERT_TRUE(btf.ok()) << btf.status();
  for (const BtfName& name : {BtfName{BtfKind::kStruct, "no_such"},
                              {BtfKind::kFunction, "jiffies"},
                              // Part of a name is none.
                              {BtfKind::kStruct, "are"},
                              {BtfKind::kStruct, "rea"}}) {
    const absl::Status status = btf->Find(std::span(&name, 1)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << name.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(name.name)));
  }
  constexpr BtfName kArea[] = {{BtfKind::kStruct, "area"}};
  const BtfType area = btf->Find(kArea)->front();
  EXPECT_EQ(btf->OffsetOf(area, "no_such").status().code(), absl::StatusCode::kNotFound);
}

TEST(BtfTest, KnowsBitFieldsFromMembers) {
  BtfBuilder builder;
  const uint32_t number = builder.Add(BTF_KIND_INT, "int", 0, 4, {32});
  builder.AddStruct("flags", {{"bits", number, 3u << 24 | 8}, {"whole", number, 32}},
                    BTF_KIND_STRUCT, true);
  const std::string bytes = builder.Bytes();
  auto btf = Btf::Parse(bytes);
  constexpr BtfName kFlags[] = {{BtfKind::kStruct, "flags"}};
  const BtfType flags = btf->Find(kFlags)->front();
  EXPECT_EQ(*btf->OffsetOf(flags, "whole"), 4u);
  EXPECT_EQ(btf->OffsetOf(flags, "bits").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*btf->ByteOf(flags, "bits"), 1u);
}

TEST(BtfTest, RefusesWhatIsMalformed) {
  const std::string good = EveryKind();
  constexpr BtfName kLast[] = {{BtfKind::kFunction, "area"}};
  // Cut short at any place, there is less than the header says.
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(Btf::Parse(std::string_view(good).substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss);
  }
  std::string bad = good;
  bad[0] = 0;
  EXPECT_THAT(std::string(Btf::Parse(bad).status().message()), HasSubstr("unknown form"));
  bad = good;
  bad.back() = 'x';
  EXPECT_THAT(std::string(Btf::Parse(bad).status().message()), HasSubstr("strings"));
  // A kind of the future has an unknown length, so that nothing behind it can be found.
  BtfBuilder builder;
  builder.Add(30, "future");
  builder.Add(BTF_KIND_FUNC, "area");
  bad = builder.Bytes();
  const absl::Status status = Btf::Parse(bad)->Find(kLast).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown kind 30"));
}

TEST(BtfTest, KnowsTheStructsOfMembers) {
  BtfBuilder builder;
  const uint32_t number = builder.Add(BTF_KIND_INT, "int", 0, 4, {32});
  const uint32_t part = builder.AddStruct("part", {{"number", number, 0}});
  const uint32_t name = builder.Add(BTF_KIND_TYPEDEF, "part_t", 0, part);
  const uint32_t constant = builder.Add(BTF_KIND_CONST, "", 0, name);
  const uint32_t pointer = builder.Add(BTF_KIND_PTR, "", 0, constant);
  const uint32_t twice = builder.Add(BTF_KIND_PTR, "", 0, pointer);
  const uint32_t anything = builder.Add(BTF_KIND_PTR, "", 0, 0);
  const uint32_t later = builder.Add(BTF_KIND_FWD, "later");
  const uint32_t unknown = builder.Add(BTF_KIND_PTR, "", 0, later);
  const uint32_t circle = builder.Add(BTF_KIND_VOLATILE, "", 0, unknown + 1);
  const uint32_t within =
      builder.AddStruct("", {{"is", constant, 0}, {"points", pointer, 0}}, BTF_KIND_UNION);
  builder.AddStruct("whole", {{"", within, 0},
                              {"number", number, 64},
                              {"twice", twice, 128},
                              {"anything", anything, 192},
                              {"unknown", unknown, 256},
                              {"circle", circle, 320},
                              {"none", 1000, 384}});
  const std::string bytes = builder.Bytes();
  auto btf = Btf::Parse(bytes);
  constexpr BtfName kNames[] = {{BtfKind::kStruct, "whole"}, {BtfKind::kStruct, "part"}};
  const auto found = *btf->Find(kNames);
  EXPECT_EQ(*btf->StructOf(found[0], "is"), found[1]);
  EXPECT_EQ(*btf->StructOf(found[0], "points"), found[1]);
  for (const char* const member : {"number", "twice", "anything", "unknown", "no_such"}) {
    EXPECT_EQ(btf->StructOf(found[0], member).status().code(), absl::StatusCode::kNotFound)
        << member;
  }
  for (const char* const member : {"circle", "none"}) {
    EXPECT_EQ(btf->StructOf(found[0], member).status().code(), absl::StatusCode::kDataLoss)
        << member;
  }
}

TEST(BtfTest, KnowsTheSizesOfMembers) {
  BtfBuilder builder;
  const uint32_t number = builder.Add(BTF_KIND_INT, "unsigned short", 0, 2, {16});
  const uint32_t name = builder.Add(BTF_KIND_TYPEDEF, "u16", 0, number);
  const uint32_t pointer = builder.Add(BTF_KIND_PTR, "", 0, number);
  const uint32_t color = builder.Add(BTF_KIND_ENUM, "color", 1, 4, {0, 1});
  const uint32_t part = builder.AddStruct("part", {{"number", number, 0}});
  builder.AddStruct("whole",
                    {{"named", name, 0},
                     {"points", pointer, 64},
                     {"color", color, 128},
                     {"part", part, 192},
                     {"bits", number, 3u << 24 | 256}},
                    BTF_KIND_STRUCT, true);
  const std::string bytes = builder.Bytes();
  auto btf = Btf::Parse(bytes);
  constexpr BtfName kWhole[] = {{BtfKind::kStruct, "whole"}};
  const BtfType whole = btf->Find(kWhole)->front();
  EXPECT_EQ(*btf->SizeOf(whole, "named"), 2u);
  EXPECT_EQ(*btf->SizeOf(whole, "points"), 8u);
  EXPECT_EQ(*btf->SizeOf(whole, "color"), 4u);
  EXPECT_EQ(*btf->SizeOf(whole, "bits"), 1u);
  for (const char* const member : {"part", "no_such"}) {
    EXPECT_EQ(btf->SizeOf(whole, member).status().code(), absl::StatusCode::kNotFound) << member;
  }
}

TEST(BtfTest, DoesNotGoInCircles) {
  BtfBuilder builder;
  builder.AddStruct("area", {{"", 1, 0}, {"", 1, 64}});
  const std::string bytes = builder.Bytes();
  auto btf = Btf::Parse(bytes);
  constexpr BtfName kArea[] = {{BtfKind::kStruct, "area"}};
  const absl::Status status = btf->OffsetOf(btf->Find(kArea)->front(), "end").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("within itself"));
}

// What the iterator needs, as a kernel before Linux 6.3 (with plain vm_flags) and a later one (in
// anonymous unions) have it; without `of_one`, as before Linux 6.1.
std::string KernelLike(bool unions, bool with_flags = true, bool of_one = true) {
  BtfBuilder btf;
  const uint32_t number = btf.Add(BTF_KIND_INT, "unsigned long", 0, 8, {64});
  btf.AddStruct("bpf_iter_meta", {{"seq", number, 0}, {"session_id", number, 64}});
  btf.AddStruct("bpf_iter__task_vma",
                {{"meta", number, 0}, {"task", number, 64}, {"vma", number, 128}});
  btf.AddStruct("bpf_iter_aux_info", {{"map", number, 0}, {of_one ? "task" : "prog", number, 64}});
  const std::string flags = with_flags ? "vm_flags" : "flags";
  if (unions) {
    const uint32_t range = btf.AddStruct("", {{"vm_start", number, 0}, {"vm_end", number, 64}});
    const uint32_t outer = btf.AddStruct("", {{"", range, 0}}, BTF_KIND_UNION);
    const uint32_t both = btf.AddStruct("", {{flags, number, 0}}, BTF_KIND_UNION);
    btf.AddStruct("vm_area_struct", {{"", outer, 0},
                                     {"vm_mm", number, 128},
                                     {"", both, 256},
                                     {"vm_ops", number, 320},
                                     {"vm_pgoff", number, 384},
                                     {"vm_file", number, 448},
                                     {"anon_vma", number, 512},
                                     {"anon_name", number, 576}});
  } else {
    btf.AddStruct("vm_area_struct", {{"vm_start", number, 0},
                                     {"vm_end", number, 64},
                                     {flags, number, 640},
                                     {"vm_ops", number, 704},
                                     {"vm_pgoff", number, 768},
                                     {"vm_file", number, 832},
                                     {"vm_mm", number, 896},
                                     {"anon_vma", number, 960}});
  }
  btf.AddStruct("mm_struct", {{"map_count", number, 64},
                              {"start_brk", number, 128},
                              {"brk", number, 192},
                              {"start_stack", number, 256}});
  const uint32_t path = btf.AddStruct("path", {{"mnt", number, 0}, {"dentry", number, 64}});
  btf.AddStruct("file", {{"f_mode", number, 0}, {"f_inode", number, 64}, {"f_path", path, 128}});
  btf.AddStruct("inode", {{"i_sb", number, 64}, {"i_ino", number, 128}});
  btf.AddStruct("super_block", {{"s_list", number, 0}, {"s_dev", number, 128}});
  btf.Add(BTF_KIND_FUNC, "bpf_iter_task_vma");
  return btf.Bytes();
}

TEST(VmaIteratorLayoutTest, IsFoundInKernelsOldAndNew) {
  const auto older = FindVmaIteratorLayout(KernelLike(false));
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->function, 11u);
  EXPECT_EQ(older->context_vma, 16u);
  EXPECT_EQ(older->vma_end, 8u);
  EXPECT_EQ(older->vma_flags, 80u);
  EXPECT_EQ(older->vma_operations, 88u);
  EXPECT_EQ(older->vma_page, 96u);
  EXPECT_EQ(older->vma_file, 104u);
  EXPECT_EQ(older->vma_memory, 112u);
  EXPECT_EQ(older->vma_anon_memory, 120u);
  EXPECT_EQ(older->vma_anon_name, 0u) << "it has none";
  EXPECT_EQ(older->mappings, 8u);
  EXPECT_EQ(older->heap_start, 16u);
  EXPECT_EQ(older->heap_end, 24u);
  EXPECT_EQ(older->stack, 32u);
  EXPECT_EQ(older->file_path, 16u);
  EXPECT_EQ(older->path_dentry, 8u);
  EXPECT_EQ(older->path_mount, 0u);
  EXPECT_EQ(older->file_inode, 8u);
  EXPECT_EQ(older->inode_number, 16u);
  EXPECT_EQ(older->inode_super, 8u);
  EXPECT_EQ(older->super_device, 16u);
  const auto newer = FindVmaIteratorLayout(KernelLike(true));
  ASSERT_TRUE(newer.ok()) << newer.status();
  EXPECT_EQ(newer->vma_start, 0u);
  EXPECT_EQ(newer->vma_end, 8u);
  EXPECT_EQ(newer->vma_flags, 32u);
  EXPECT_EQ(newer->vma_anon_name, 72u);
  EXPECT_EQ(FindVmaIteratorLayout(KernelLike(true, false)).status().code(),
            absl::StatusCode::kNotFound);
  const absl::Status of_all = FindVmaIteratorLayout(KernelLike(true, true, false)).status();
  EXPECT_EQ(of_all.code(), absl::StatusCode::kNotFound) << "it would tell of all tasks";
}

}  // namespace
}  // namespace dumpctl
