// giljabi._core: one submodule per binding file, in the order of their names.
#include <algorithm>
#include <string>

#include "registry.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ core of giljabi: what runs every control tick";
  m.attr("__version__") = GILJABI_VERSION;
  auto entries = giljabi::bindings::registry();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return std::string(a.name) < std::string(b.name); });
  for (const auto& entry : entries) {
    auto sub = m.def_submodule(entry.name, entry.doc);
    entry.bind(sub);
    // `import giljabi._core.solver` works like `from giljabi._core import solver`.
    py::module_::import("sys").attr("modules")[py::str("giljabi._core." + std::string(entry.name))] = sub;
  }
}
