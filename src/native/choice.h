// The choice among instruction sets for an exact kernel: the one that is fastest here.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"
#include "size.h"

namespace voltween {

// Runs an exact kernel of one set, with one thread, on the first planes (or points) of its
// arguments.
using Trial = std::function<void(const InstructionSet&)>;

// The seconds that a kernel takes with each set: the shortest of several turns. The first
// turn is not timed; it brings the arguments into the caches. Quick kernels get more turns.
// Their number follows from the shortest times, so that it does not shrink when other
// processes interrupt the trial.
inline std::map<std::string, double> measure(const std::vector<const InstructionSet*>& sets,
                                             const Trial& trial) {
  using Clock = std::chrono::steady_clock;
  constexpr int fewest = 3, most = 10;
  constexpr double enough = 5e-3;  // seconds
  std::map<std::string, double> shortest;
  double turn_seconds = 0;
  for (int turn = 0; turn <= fewest || (turn <= most && turn * turn_seconds < enough); ++turn) {
    for (const auto* set : sets) {
      const auto begin = Clock::now();
      trial(*set);
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      const auto [place, is_new] = shortest.emplace(set->name, seconds);
      if (!is_new) place->second = turn == 1 ? seconds : std::min(place->second, seconds);
    }
    turn_seconds = 0;
    for (const auto& [name, seconds] : shortest) turn_seconds += seconds;
  }
  return shortest;
}

// The sets that one kernel uses, one per class of sizes. They are asked of Python, which
// keeps them in a file, when they are needed for the first time.
class Choice {
 public:
  explicit Choice(std::string name) : name_(std::move(name)) {}

  // The set for arrays of a size. Called with the interpreter's lock.
  template <class KernelSize, class Run>
  const InstructionSet& of(const std::vector<const InstructionSet*>& sets,
                           const KernelSize& size, const Run& run) {
    const int64_t work = work_of(size);
    if (work < kFewest || sets.size() == 1) return *sets.front();
    auto& place = sets_[work < kLarge ? 0 : 1];
    const InstructionSet* set = place.load();
    if (set == nullptr) {
      const auto part = part_of(size);
      set = &ask(sets, name_ + (work < kLarge ? ", small" : ", large"),
                 [&](const InstructionSet& tried) { run(tried, part); });
      place.store(set);
    }
    return *set;
  }

 private:
  static constexpr int64_t kFewest = 1 << 12;  // voxels that make a trial worth its time
  static constexpr int64_t kLarge = 1 << 17;
  static constexpr int64_t kPoints = 512;    // of a trial of all pairs of points
  static constexpr int64_t kPart = 1 << 16;  // voxels of a trial, of all channels

  static int64_t work_of(const Size& size) { return size.batch * voxels_of(size); }
  static int64_t work_of(const PointsSize& size) { return size.count * size.count; }

  // One item of fewer planes. A kernel reads and writes only places that the whole has.
  static Size part_of(const Size& size) {
    const int64_t plane = size.channels * size.j * size.k;
    return {1, size.channels, std::min(size.i, std::max<int64_t>(2, kPart / plane)), size.j,
            size.k};
  }
  static PointsSize part_of(const PointsSize& size) {
    return {size.dimensions, std::min<int64_t>(size.count, kPoints)};
  }

  // The sets are copied: another thread may change them during the trials.
  static const InstructionSet& ask(const std::vector<const InstructionSet*> sets,
                                   const std::string& name, const Trial& trial) {
    namespace nb = nanobind;
    const std::function<std::map<std::string, double>()> trials = [&] {
      nb::gil_scoped_release release;
      return measure(sets, trial);
    };
    const auto decide = nb::module_::import_("voltween.ops.kernel_choice").attr("decide");
    const auto fastest = nb::cast<std::string>(decide(name, trials));
    for (const auto* set : sets)
      if (fastest == set->name) return *set;
    throw std::runtime_error("there is no instruction set '" + fastest + "'");
  }

  std::string name_;
  std::atomic<const InstructionSet*> sets_[2]{};
};

}  // namespace voltween
