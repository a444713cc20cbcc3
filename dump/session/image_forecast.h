#ifndef DUMP_SESSION_IMAGE_FORECAST_H_
#define DUMP_SESSION_IMAGE_FORECAST_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/mm/shared_pages.h"
#include "dump/session/dump_options.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"

namespace dumpctl {

// The names of the images that a dump would write of a tree that runs, as it stands.
absl::StatusOr<std::vector<std::string>> ForecastImages(const DumpOptions& options,
                                                        std::span<const Target> targets,
                                                        const Preflight& preflight);

// Those of pages that are shared, by names relative to the images directory.
std::vector<std::string> ForecastFamilies(std::span<const Target> targets,
                                          const SharedPages& shared);

}  // namespace dumpctl

#endif  // DUMP_SESSION_IMAGE_FORECAST_H_
