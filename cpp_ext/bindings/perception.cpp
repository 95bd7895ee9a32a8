// giljabi._core.perception: a rolling occupancy grid of scans.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>

#include "giljabi/perception/scan_grid.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace {

using namespace giljabi::perception;
using Rows = py::array_t<double, py::array::c_style | py::array::forcecast>;

constexpr struct {
  const char* name;
  double ScanGridOptions::* member;
} kOptions[] = {
    {"hit", &ScanGridOptions::hit},   {"miss", &ScanGridOptions::miss},
    {"most", &ScanGridOptions::most}, {"least", &ScanGridOptions::least},
    {"free", &ScanGridOptions::free}, {"occupied", &ScanGridOptions::occupied},
    {"band", &ScanGridOptions::band},
};

ScanGrid made(int size, double resolution, const std::map<std::string, double>& options) {
  if (size < 8 || size > 2000) throw std::invalid_argument("size of 8 to 2000 cells is expected");
  if (!(resolution > 0.0 && std::isfinite(resolution)))
    throw std::invalid_argument("resolution above 0 m is expected");
  ScanGridOptions o;
  for (const auto& [name, value] : options) {
    bool found = false;
    for (const auto& row : kOptions)
      if (name == row.name) o.*(row.member) = value, found = true;
    if (!found) throw std::invalid_argument("the grid has no option '" + name + "'");
    if (!std::isfinite(value))
      throw std::invalid_argument("option '" + name + "': a finite number is expected");
  }
  return ScanGrid(size, resolution, o);
}

bool usable(double v) { return std::abs(v) < 1e7; }  // also refuses NaN

void insert(ScanGrid& g, const Rows& from, const Rows& to,
            const py::array_t<bool, py::array::forcecast>& hit) {
  if (from.ndim() != 2 || from.shape(1) != 3 || to.ndim() != 2 || to.shape(1) != 3 || hit.ndim() != 1 ||
      from.shape(0) != to.shape(0) || hit.shape(0) != to.shape(0))
    throw std::invalid_argument("from (n, 3), to (n, 3) and hit (n,) are expected");
  const auto a = from.unchecked<2>(), b = to.unchecked<2>();
  const auto h = hit.unchecked<1>();
  const auto good = [&](py::ssize_t i) {
    for (py::ssize_t k = 0; k < 3; ++k)
      if (!usable(a(i, k)) || !usable(b(i, k))) return false;
    return true;
  };
  g.next_scan();
  for (py::ssize_t i = 0; i < h.shape(0); ++i)
    if (h(i) && good(i)) g.hit(b(i, 0), b(i, 1), b(i, 2));
  for (py::ssize_t i = 0; i < h.shape(0); ++i)
    if (good(i)) g.pass(a(i, 0), a(i, 1), a(i, 2), b(i, 0), b(i, 1), b(i, 2));
}

void bind(py::module_& m) {
  py::class_<ScanGrid>(m, "ScanGrid",
                       "A rolling grid of what a scanner has seen at about the vehicle's height: log-odds by "
                       "rays.")
      .def(py::init(&made), py::arg("size"), py::arg("resolution"),
           py::arg("options") = std::map<std::string, double>{},
           "Cells along each side, their size [m], options by name.")
      .def(
          "move_to",
          [](ScanGrid& g, double x, double y, double z) {
            if (!usable(x) || !usable(y) || !usable(z))
              throw std::invalid_argument("a finite place is expected");
            g.move_to(x, y, z);
          },
          py::arg("x"), py::arg("y"), py::arg("z"),
          "The window has its middle at (x, y) [m map] and its layer at height z; what falls out is "
          "forgotten.")
      .def("insert", &insert, py::arg("from_"), py::arg("to"), py::arg("hit"),
           "One scan: rays (n, 3) from and to places [m map], and whether each ended in something. Rays that "
           "are not\n"
           "finite are left out.")
      .def(
          "cells",
          [](const ScanGrid& g) {
            py::array_t<std::uint8_t> out({g.size(), g.size()});
            g.cells(out.mutable_data());
            return out;
          },
          "Cells (size, size), rows along y: 0 free, 1 occupied, 2 unknown.")
      .def_property_readonly(
          "corner", [](const ScanGrid& g) { return std::array<double, 2>{g.corner_x(), g.corner_y()}; },
          "x, y [m map] of the first cell's corner.")
      .def_property_readonly("resolution", &ScanGrid::resolution, "Side of a cell [m].");
}

const giljabi::bindings::Registration registration{"perception", "a rolling occupancy grid of scans", bind};

}  // namespace
