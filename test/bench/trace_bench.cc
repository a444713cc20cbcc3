// What a span costs whoever is measured (`dumpctl dump --trace`), and where nobody wants it.

#include <benchmark/benchmark.h>

#include <cstdint>

#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

void Measure(benchmark::State& state) {
  for (auto _ : state) {
    const TraceSpan span(TraceKind::kCalls, "calls", {{"pid", 1}, {"count", 12}});
    benchmark::ClobberMemory();
  }
}

void BM_Span(benchmark::State& state) {
  // As many as are measured at once, so that each finds room, as in a dump.
  TraceBuffer buffer(static_cast<size_t>(state.max_iterations));
  const TraceScope scope(buffer);
  Measure(state);
}
BENCHMARK(BM_Span)->Iterations(100'000)->Repetitions(5)->ReportAggregatesOnly();

void BM_SpanThatNobodyWants(benchmark::State& state) { Measure(state); }
BENCHMARK(BM_SpanThatNobodyWants);

}  // namespace
}  // namespace dumpctl
