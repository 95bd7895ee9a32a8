// What the two binding files of the guard share.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <cstdint>

#include "giljabi/guard/guard.hpp"
#include "guard_convert.hpp"

namespace giljabi::bindings {

Outputs output(const guard::Guard& g);
StateTuple state(const guard::Guard& g);
EventTuple events(const guard::Guard& g, std::uint64_t since);
Counters counters(const guard::Guard& g);
PoseTuple last_pose(const guard::Guard& g);
FeedbackDict last_feedback(const guard::Guard& g);

}  // namespace giljabi::bindings
