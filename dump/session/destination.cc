#include "dump/session/destination.h"

#include <cstdint>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "dump/image/image_archive.h"
#include "dump/image/image_directory.h"
#include "dump/image/image_streamer.h"
#include "dump/image/run_mark.h"
#include "dump/session/action_scripts.h"
#include "dump/session/trace_file.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

absl::StatusOr<std::unique_ptr<ImageSink>> OpenImages(const DumpOptions& options,
                                                      const ParentImages* parent) {
  if (!options.output.empty()) {
    return ImageArchive::Open(options.output, options.timeout, options.may_go_on);
  }
  if (options.stream) {
    return ImageStreamer::Open(options.images_dir, options.timeout, options.may_go_on);
  }
  // Scripts look at the images, whole, before they are committed.
  ASSIGN_OR_RETURN(ImageDirectory directory, ActionScripts(options).empty()
                                                 ? ImageDirectory::OpenInPlace(options.images_dir)
                                                 : ImageDirectory::Open(options.images_dir));
  if (options.page_server) RETURN_IF_ERROR(directory.LeavePages());
  if (parent != nullptr) RETURN_IF_ERROR(directory.LinkParent(parent->path()));
  return std::make_unique<ImageDirectory>(std::move(directory));
}

PagesOwner OwnerOfTask(pid_t pid) { return {ImageKind::kPagemap, static_cast<uint32_t>(pid)}; }

// What is written there comes last, when the process may be dead: so it is looked at first.
absl::Status CheckLastWrites(const DumpRun& run, const ImageDirectory* images) {
  const std::string& work_directory = run.WorkDirectory();
  // Where the images are to stand something has just been made.
  const bool is_images = images != nullptr && work_directory == run.options.images_dir;
  if (!work_directory.empty() && !is_images) {
    RETURN_IF_ERROR(CheckWritable(kWorkDirectory, work_directory));
  }
  if (!run.options.pidfile.empty()) {
    const auto parent = std::filesystem::path(run.options.pidfile).parent_path();
    RETURN_IF_ERROR(CheckWritable({"pid file's directory", "--pidfile"},
                                  parent.empty() ? "." : parent.string()));
  }
  return run.options.trace.empty() ? absl::OkStatus() : CheckTraceFile(run.options.trace);
}

}  // namespace

absl::StatusOr<Destination> Destination::Open(DumpRun& run, const ParentImages* parent,
                                              std::span<const pid_t> pids) {
  const TraceSpan span(TraceKind::kPhase, "images");
  RETURN_IF_ERROR(run.Begin("images"));
  const DumpOptions& options = run.options;
  ASSIGN_OR_RETURN(std::unique_ptr<ImageSink> images, OpenImages(options, parent));
  std::unique_ptr<PageServerClient> page_server;
  if (options.page_server) {
    ParentQuestion question;
    if (parent != nullptr) {
      question.run_mark = RunMark(parent->run_id());
      for (const pid_t pid : pids) question.owners.push_back(OwnerOfTask(pid));
    }
    ASSIGN_OR_RETURN(page_server,
                     PageServerClient::Connect(*options.page_server, OwnerOfTask(pids.front()),
                                               question, options.timeout, options.may_go_on));
  }
  RETURN_IF_ERROR(CheckLastWrites(run, images->directory()));
  return Destination(run, std::move(images), std::move(page_server));
}

std::optional<std::set<pid_t>> Destination::KnownToServer(std::span<const pid_t> pids) const {
  if (page_server_ == nullptr) return std::nullopt;
  std::set<pid_t> known;
  for (const pid_t pid : pids) {
    if (page_server_->HasInParent(OwnerOfTask(pid))) known.insert(pid);
  }
  return known;
}

absl::Status Destination::OpenSinks(size_t tasks) {
  if (sinks_.size() >= tasks) return absl::OkStatus();
  const TraceSpan span(TraceKind::kWork, "open sinks", {{"sinks", tasks - sinks_.size()}});
  while (sinks_.size() < tasks) {
    const auto number = static_cast<uint32_t>(sinks_.size()) + 1;
    if (page_server_ != nullptr) {
      sinks_.push_back(PageSink::ToStream(*page_server_, number));
      continue;
    }
    ASSIGN_OR_RETURN(PageSink sink, images_->CreatePages(number));
    if (run_.options.direct && !sink.WriteDirectly() && sinks_.empty()) {
      run_.log.Warn("The file system takes no O_DIRECT: pages go through its cache");
    }
    sinks_.push_back(std::move(sink));
  }
  return absl::OkStatus();
}

absl::Status Destination::OpenSinks(const TreeFacts& facts) {
  const size_t own = facts.tasks.size() + facts.shared_memory.size();
  RETURN_IF_ERROR(OpenSinks(own));
  if (families_ == 0) {
    sinks_.erase(sinks_.begin() + static_cast<std::ptrdiff_t>(own), sinks_.end());
  }
  while (families_ < facts.shared_pages.families.size()) {
    ASSIGN_OR_RETURN(PageSink sink, OpenInParent());
    sinks_.push_back(std::move(sink));
    ++families_;
  }
  return absl::OkStatus();
}

absl::StatusOr<PageSink> Destination::OpenInParent() {
  const TraceSpan span(TraceKind::kWork, "open a sink in parent");
  ASSIGN_OR_RETURN(PageSink sink, images_->CreatePagesInParent(++in_parent_));
  if (run_.options.direct) sink.WriteDirectly();
  return sink;
}

void Destination::AccountInParent(const TreeFacts& facts) {
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    for (const PageRun& run : facts.tasks[i].pages.in_parent) {
      sinks_[i].AccountInParent(run.start, run.pages);
    }
  }
}

absl::Status Destination::Write(const TreeImages& images) {
  uint64_t& bytes = run_.report.bytes_written;
  for (const PageSink& sink : sinks_) bytes += sink.offset();
  for (const ImageWriter& image : images.images) {
    RETURN_IF_ERROR(images_->Write(image));
    bytes += image.bytes().size();
    run_.log.Debug(absl::StrCat("Wrote ", image.name(), " (", image.bytes().size(), " bytes)"));
  }
  for (const FamilyPagemap& pagemap : images.family_pagemaps) {
    RETURN_IF_ERROR(pagemap.levels == 0
                        ? images_->WriteInParent(pagemap.image, pagemap.also)
                        : images_->directory()->WriteInAncestor(pagemap.levels, pagemap.image));
    bytes += pagemap.image.bytes().size();
  }
  return absl::OkStatus();
}

absl::Status Destination::Commit(std::string_view run_id) {
  const TraceSpan span(TraceKind::kPhase, "commit");
  if (page_server_ != nullptr) RETURN_IF_ERROR(page_server_->Finish(RunMark(run_id)));
  const ActionScripts scripts(run_.options);
  if (ImageDirectory* const directory = images_->directory();
      directory != nullptr && !scripts.empty()) {
    RETURN_IF_ERROR(scripts.AfterDump(directory->staging()));
    RETURN_IF_ERROR(directory->AdoptOthers());
  }
  RETURN_IF_ERROR(run_.Begin("commit"));
  RETURN_IF_ERROR(images_->Commit(run_.options.sync));
  run_.log.Info(absl::StrCat("Committed ", run_.report.bytes_written, " bytes of images to ",
                             run_.Destination()));
  return absl::OkStatus();
}

}  // namespace dumpctl
