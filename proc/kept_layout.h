#ifndef PROC_KEPT_LAYOUT_H_
#define PROC_KEPT_LAYOUT_H_

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/bpf_program.h"

namespace dumpctl {

// What was found in the kernel's BTF, for which 60,000 names and 130,000 types are passed over (1
// to 2 ms): kept for the next dump, in a file of some hundred bytes for each. It is of use to the
// very program that wrote it alone, on the very kernel, and is trusted only where nobody else can
// write to it.
//
// Nothing comes of a failure but another walk: whoever may not write there, or has no GNU build id
// (ld(1) --build-id; Linux 5.8 tells its own in /sys/kernel/notes), keeps nothing.
class LayoutStore {
 public:
  // /run/dumpctl
  static const LayoutStore& OfThisMachine();

  // Made when something is kept there.
  explicit LayoutStore(std::string directory);

  std::optional<std::string> Find(std::string_view name, size_t size) const;
  void Keep(std::string_view name, std::string_view layout) const;
  // The same of a value without a pointer in it.
  template <typename Value>
  std::optional<Value> FindValue(std::string_view name) const;
  template <typename Value>
  void KeepValue(std::string_view name, const Value& value) const;
  // Whether what is kept will be found again. Makes the directory.
  bool Keeps() const;

 private:
  // Invalid where nothing is kept, or others could write there.
  UniqueFd Open() const;
  // The same, made where there is none.
  UniqueFd Make() const;
  std::string HeadOf(std::string_view name) const;

  std::string directory_;
  std::string key_;  // empty: nothing is kept
};

template <typename Value>
std::optional<Value> LayoutStore::FindValue(std::string_view name) const {
  static_assert(std::is_trivially_copyable_v<Value> &&
                std::has_unique_object_representations_v<Value>);
  const std::optional<std::string> kept = Find(name, sizeof(Value));
  if (!kept) return std::nullopt;
  Value value;
  std::memcpy(&value, kept->data(), sizeof value);
  return value;
}

template <typename Value>
void LayoutStore::KeepValue(std::string_view name, const Value& value) const {
  Keep(name, {reinterpret_cast<const char*>(&value), sizeof value});
}

// `find` has to be the same for a name at all times, and no Layout may have a pointer in it.
// Errors: its own, and KernelBtf::Open's.
template <typename Layout>
absl::StatusOr<Layout> KeptLayout(std::string_view name,
                                  absl::StatusOr<Layout> (*find)(std::string_view btf),
                                  const LayoutStore& store = LayoutStore::OfThisMachine()) {
  if (const std::optional<Layout> kept = store.FindValue<Layout>(name)) return *kept;
  ASSIGN_OR_RETURN(const KernelBtf btf, KernelBtf::Open());
  ASSIGN_OR_RETURN(const Layout layout, find(btf.bytes()));
  store.KeepValue(name, layout);
  return layout;
}

}  // namespace dumpctl

#endif  // PROC_KEPT_LAYOUT_H_
