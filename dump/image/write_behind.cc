#include "dump/image/write_behind.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<std::unique_ptr<WriteBehind>> WriteBehind::Start(
    Outlet outlet, std::function<absl::Status()> may_go_on, std::shared_ptr<WaitingRoom> room) {
  std::unique_ptr<WriteBehind> writer(
      new WriteBehind(std::move(outlet), std::move(may_go_on), std::move(room)));
  const int error = pthread_create(&writer->thread_, nullptr, Run, writer.get());
  if (error != 0) return absl::ErrnoToStatus(error, "starting the thread that writes");
  writer->started_ = true;
  return writer;
}

WriteBehind::~WriteBehind() {
  if (!started_) return;
  {
    const std::lock_guard lock(room_->mutex);
    ending_ = true;
  }
  room_->changed.notify_all();
  outlet_.Stop();
  pthread_join(thread_, nullptr);
  const std::lock_guard lock(room_->mutex);
  for (Item& item : items_) Leave(std::move(item));
  room_->changed.notify_all();
}

void* WriteBehind::Run(void* self) {
  static_cast<WriteBehind*>(self)->WriteAll();
  return nullptr;
}

void WriteBehind::WriteAll() {
  std::unique_lock lock(room_->mutex);
  for (;;) {
    room_->changed.wait(lock, [this] { return ending_ || !items_.empty(); });
    if (ending_) return;
    Item item = std::move(items_.front());
    items_.pop_front();
    writing_ = true;
    lock.unlock();
    const absl::Status status = Write(item);
    lock.lock();
    writing_ = false;
    status_.Update(status);
    Leave(std::move(item));
    if (!status.ok()) GiveUp();
    room_->changed.notify_all();
    if (!status.ok()) return;
  }
}

// Who shares the room needs it.
void WriteBehind::GiveUp() {
  for (Item& item : items_) Leave(std::move(item));
  items_.clear();
}

void WriteBehind::Leave(Item item) {
  if (item.block.bytes) {
    room_->GiveBack(std::move(item.block));
  } else {
    room_->Leave(item.bytes.size());
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
    room_->changed.wait_for(lock, kBetweenQuestions);
    if (may_go_on_) RETURN_IF_ERROR(may_go_on_());
  }
  return status_;
}

absl::StatusOr<Block> WriteBehind::Take() {
  std::unique_lock lock(room_->mutex);
  RETURN_IF_ERROR(Await(lock, [this] { return room_->HasRoomFor(Block::kSize); }));
  return room_->TakeBlock();
}

absl::Status WriteBehind::Put(Block block, std::vector<Part> parts) {
  const std::lock_guard lock(room_->mutex);
  items_.push_back({.block = std::move(block), .parts = std::move(parts)});
  if (!status_.ok()) GiveUp();
  room_->changed.notify_all();
  return status_;
}

absl::Status WriteBehind::Put(std::string bytes) {
  std::unique_lock lock(room_->mutex);
  RETURN_IF_ERROR(Await(lock, [&] { return room_->HasRoomFor(bytes.size()); }));
  room_->Enter(bytes.size());
  items_.push_back({.bytes = std::move(bytes)});
  room_->changed.notify_all();
  return absl::OkStatus();
}

absl::Status WriteBehind::Finish() {
  {
    std::unique_lock lock(room_->mutex);
    RETURN_IF_ERROR(Await(lock, [this] { return items_.empty() && !writing_; }));
  }
  return outlet_.AwaitTaken(may_go_on_);
}

}  // namespace dumpctl
