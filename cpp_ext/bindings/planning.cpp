// giljabi._core.planning: local plans on an occupancy grid.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/planning/lattice.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace {

using namespace giljabi::planning;
using Grid = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;

constexpr struct {
  const char* name;
  double LatticeOptions::* member;
} kOptions[] = {
    {"clearance", &LatticeOptions::clearance}, {"hard_clearance", &LatticeOptions::hard_clearance},
    {"speed_max", &LatticeOptions::speed_max}, {"acceleration", &LatticeOptions::acceleration},
    {"braking", &LatticeOptions::braking},     {"piece", &LatticeOptions::piece},
    {"horizon", &LatticeOptions::horizon},     {"goal_radius", &LatticeOptions::goal_radius},
    {"greed", &LatticeOptions::greed},         {"wait", &LatticeOptions::wait},
};

void take_movers(LatticePlanner& p,
                 const py::array_t<double, py::array::c_style | py::array::forcecast>& rows) {
  if (rows.ndim() != 2 || rows.shape(1) != 6)
    throw std::invalid_argument("movers of shape (n, 6) are expected");
  std::array<Mover, LatticePlanner::kMovers> movers{};
  if (rows.shape(0) > LatticePlanner::kMovers) throw std::invalid_argument("at most 64 movers are expected");
  const auto r = rows.unchecked<2>();
  for (py::ssize_t i = 0; i < r.shape(0); ++i) {
    for (py::ssize_t k = 0; k < 6; ++k)
      if (!std::isfinite(r(i, k))) throw std::invalid_argument("finite movers are expected");
    movers[static_cast<std::size_t>(i)] = {{r(i, 0), r(i, 1)}, {r(i, 2), r(i, 3)}, r(i, 4), r(i, 5)};
  }
  p.set_movers(movers.data(), static_cast<int>(r.shape(0)));
}

LatticePlanner made(int width, int height, double resolution, const std::map<std::string, double>& options,
                    int expansions) {
  if (width < 4 || height < 4 || width > 2000 || height > 2000)
    throw std::invalid_argument("width and height of 4 to 2000 cells are expected");
  if (!(resolution > 0.0 && std::isfinite(resolution)))
    throw std::invalid_argument("resolution above 0 m is expected");
  if (expansions < 1 || expansions > 100000)
    throw std::invalid_argument("1 to 100000 expansions are expected");
  LatticeOptions o;
  o.expansions = expansions;
  for (const auto& [name, value] : options) {
    bool found = false;
    for (const auto& row : kOptions)
      if (name == row.name) o.*(row.member) = value, found = true;
    if (!found) throw std::invalid_argument("the planner has no option '" + name + "'");
    if (!(std::isfinite(value) && value > 0.0))
      throw std::invalid_argument("option '" + name + "': a number above 0 is expected");
  }
  if (o.horizon / o.piece > LatticePlanner::kPieces - 3)
    throw std::invalid_argument("the horizon has too many pieces; at most 60 are expected");
  return LatticePlanner(width, height, resolution, o);
}

void bind(py::module_& m) {
  py::class_<LatticePlanner>(m, "LatticePlanner",
                             "Plans at one height through an occupancy grid: pieces of constant "
                             "acceleration, time-optimal within limits\n"
                             "up to the lattice, and from each of them a straight stop in known free space.")
      .def(py::init(&made), py::arg("width"), py::arg("height"), py::arg("resolution"),
           py::arg("options") = std::map<std::string, double>{}, py::arg("expansions") = 3000,
           "Cells along x and y, their size [m], options by name, and how many states one plan may look at.")
      .def(
          "set_map",
          [](LatticePlanner& p, const Grid& cells, std::array<double, 2> corner, std::array<double, 2> goal) {
            if (cells.ndim() != 2 || cells.shape(0) != p.height() || cells.shape(1) != p.width())
              throw std::invalid_argument("cells of shape (height, width) are expected");
            for (const double v : {corner[0], corner[1], goal[0], goal[1]})
              if (!std::isfinite(v)) throw std::invalid_argument("finite corner and goal are expected");
            p.set_map(cells.data(), corner[0], corner[1], goal);
          },
          py::arg("cells"), py::arg("corner"), py::arg("goal"),
          "Takes in cells (height, width), rows along y: 0 free, 1 occupied, else unknown; corner (x, y) [m "
          "map]\n"
          "of the first one, goal (x, y) [m map], which may lie outside.")
      .def(
          "limit_speed",
          [](LatticePlanner& p, double speed) {
            if (!(speed > 0.0 && std::isfinite(speed)))
              throw std::invalid_argument("a speed above 0 is expected");
            p.limit_speed(speed);
          },
          py::arg("speed"), "Another speed_max [m/s] for the plans that follow.")
      .def("set_movers", &take_movers, py::arg("movers"),
           "What moves, (n, 6), from the begin of the next plan on: x y [m map], vx vy [m/s], the distance "
           "between\n"
           "centres that is kept [m], and by how much it grows [m/s]; at most 64.")
      .def("room", &LatticePlanner::room, py::arg("x"), py::arg("y"),
           "Distance [m] from a place to what is occupied; 0 outside the grid.")
      .def("clearance", &LatticePlanner::clearance, py::arg("x"), py::arg("y"),
           "Distance [m] from a place to what is not known to be free; 0 outside the grid.")
      .def("cost_to_go", py::overload_cast<double, double>(&LatticePlanner::cost_to_go, py::const_),
           py::arg("x"), py::arg("y"), "Length [m] of the way to the goal, narrow places counted longer.")
      .def(
          "plan",
          [](LatticePlanner& p, std::array<double, 2> position, std::array<double, 2> velocity) {
            for (const double v : {position[0], position[1], velocity[0], velocity[1]})
              if (!std::isfinite(v)) throw std::invalid_argument("finite position and velocity are expected");
            std::array<Piece, LatticePlanner::kPieces> pieces;
            const int n = p.plan({position, velocity}, pieces.data());
            py::array_t<double> out({n, 7});
            auto rows = out.mutable_unchecked<2>();
            for (int i = 0; i < n; ++i) {
              const Piece& q = pieces[static_cast<std::size_t>(i)];
              const double row[7] = {q.duration,   q.begin.p[0], q.begin.p[1], q.begin.v[0],
                                     q.begin.v[1], q.a[0],       q.a[1]};
              for (int k = 0; k < 7; ++k) rows(i, k) = row[k];
            }
            return out;
          },
          py::arg("position"), py::arg("velocity"),
          "Pieces (n, 7) from a state: duration [s], x y [m], vx vy [m/s] at its begin, ax ay [m/s^2]; the "
          "last one\n"
          "brakes to a stop. No rows: there is no plan.")
      .def_property_readonly("expanded", &LatticePlanner::expanded, "States that the last plan looked at.");
}

const giljabi::bindings::Registration registration{"planning", "local plans on an occupancy grid", bind};

}  // namespace
