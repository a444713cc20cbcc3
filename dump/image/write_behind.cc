#include "dump/image/write_behind.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<std::unique_ptr<WriteBehind>> WriteBehind::Start(
    Outlet outlet, std::function<absl::Status()> may_go_on) {
  std::unique_ptr<WriteBehind> writer(new WriteBehind(std::move(outlet), std::move(may_go_on)));
  const int error = pthread_create(&writer->thread_, nullptr, Run, writer.get());
  if (error != 0) return absl::ErrnoToStatus(error, "starting the thread that writes");
  writer->started_ = true;
  return writer;
}

WriteBehind::~WriteBehind() {
  if (!started_) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  outlet_.Stop();
  pthread_join(thread_, nullptr);
}

void* WriteBehind::Run(void* self) {
  static_cast<WriteBehind*>(self)->WriteAll();
  return nullptr;
}

void WriteBehind::WriteAll() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !items_.empty(); });
    if (ending_) return;
    Item item = std::move(items_.front());
    items_.pop_front();
    writing_ = true;
    lock.unlock();
    const absl::Status status = Write(item);
    lock.lock();
    writing_ = false;
    status_.Update(status);
    held_ -= item.block.bytes ? Block::kSize : item.bytes.size();
    if (item.block.bytes) spare_.push_back(std::move(item.block));
    changed_.notify_all();
    if (!status.ok()) return;
  }
}

absl::Status WriteBehind::Write(const Item& item) {
  RETURN_IF_ERROR(outlet_.Write(item.bytes));
  if (!item.block.bytes) return absl::OkStatus();
  std::string_view rest(reinterpret_cast<const char*>(item.block.bytes.get()), item.block.used);
  for (const Part& part : item.parts) {
    RETURN_IF_ERROR(outlet_.Write(part.framed));
    RETURN_IF_ERROR(outlet_.Write(rest.substr(0, part.bytes)));
    rest.remove_prefix(part.bytes);
  }
  return outlet_.Write(rest);
}

absl::Status WriteBehind::Await(std::unique_lock<std::mutex>& lock,
                                const std::function<bool()>& ready) {
  constexpr std::chrono::milliseconds kBetweenQuestions(100);
  while (status_.ok() && !ready()) {
    changed_.wait_for(lock, kBetweenQuestions);
    if (may_go_on_) RETURN_IF_ERROR(may_go_on_());
  }
  return status_;
}

absl::StatusOr<Block> WriteBehind::Take() {
  std::unique_lock lock(mutex_);
  RETURN_IF_ERROR(Await(lock, [this] { return held_ + Block::kSize <= kMost; }));
  held_ += Block::kSize;
  if (spare_.empty()) {
    return Block{.bytes = std::make_unique_for_overwrite<std::byte[]>(Block::kSize)};
  }
  Block block = std::move(spare_.back());
  spare_.pop_back();
  block.used = 0;
  return block;
}

absl::Status WriteBehind::Put(Block block, std::vector<Part> parts) {
  const std::lock_guard lock(mutex_);
  items_.push_back({.block = std::move(block), .parts = std::move(parts)});
  changed_.notify_all();
  return status_;
}

absl::Status WriteBehind::Put(std::string bytes) {
  std::unique_lock lock(mutex_);
  // One alone may be larger: it is in memory already.
  RETURN_IF_ERROR(Await(lock, [&] { return held_ == 0 || held_ + bytes.size() <= kMost; }));
  held_ += bytes.size();
  items_.push_back({.bytes = std::move(bytes)});
  changed_.notify_all();
  return absl::OkStatus();
}

absl::Status WriteBehind::Finish() {
  {
    std::unique_lock lock(mutex_);
    RETURN_IF_ERROR(Await(lock, [this] { return items_.empty() && !writing_; }));
  }
  return outlet_.AwaitTaken(may_go_on_);
}

}  // namespace dumpctl
