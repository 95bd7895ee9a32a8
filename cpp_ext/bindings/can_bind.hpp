// Parts of giljabi._core.can.
#pragma once

#include <pybind11/pybind11.h>

namespace giljabi::bindings {

void bind_can_watch(pybind11::module_& m);
void bind_can_receive(pybind11::module_& m);

}  // namespace giljabi::bindings
