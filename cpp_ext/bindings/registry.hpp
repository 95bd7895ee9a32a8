// Every binding file registers one submodule; module.cpp stays as it is when one is added.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

namespace giljabi::bindings {

using Binder = void (*)(pybind11::module_&);

struct Entry {
  const char* name;
  const char* doc;
  Binder bind;
};

inline std::vector<Entry>& registry() {
  static std::vector<Entry> entries;
  return entries;
}

// File-scope object: `static const Registration solver{"solver", "one line", bind};`
struct Registration {
  Registration(const char* name, const char* doc, Binder bind) { registry().push_back({name, doc, bind}); }
};

}  // namespace giljabi::bindings
