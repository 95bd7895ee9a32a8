// What the two binding files of the guard share.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "giljabi/guard/guard.hpp"
#include "guard_convert.hpp"

namespace giljabi::bindings {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<double, 3> kNoVelocity{kNone, kNone, kNone};

using CounterList = std::vector<std::pair<std::string, std::uint64_t>>;

Outputs output(const guard::Guard& g);
StateTuple state(const guard::Guard& g);
EventTuple events(const guard::Guard& g, std::uint64_t since);
CounterList count(const guard::Guard& g);
Counters counters(const CounterList& counted);
PoseTuple last_pose(const guard::Guard& g);
FeedbackDict last_feedback(const guard::Guard& g);
void bind_guard_thread(pybind11::module_& m);

}  // namespace giljabi::bindings
