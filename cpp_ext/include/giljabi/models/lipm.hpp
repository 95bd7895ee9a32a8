// Linear inverted pendulum: a walker's centre of mass at constant height, and its zero-moment point.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/scalar.hpp"

namespace giljabi::models {

// x = (x, y [m, centre of mass], vx, vy [m/s], zmp_x, zmp_y [m]), u = (jerk_x, jerk_y [m/s^3]) of the centre
// of mass (Kajita 2003; Wieber 2006). The acceleration is gravity/height (centre of mass - zero-moment
// point), so the integration step is exact. The zero-moment point stays in a polygon of up to `edges` edges:
// offset - normal . zmp >= 0, normals point outwards; an edge whose normal is 0 is none.
template <int edges>
struct Lipm {
  static constexpr int nx = 6, nu = 2, np = 3 * edges, nh = edges;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "vx", "vy", "zmp_x", "zmp_y"};
  static constexpr std::array<const char*, nu> input_names = {"jerk_x", "jerk_y"};

  double height = 0.8;    // m
  double gravity = 9.81;  // m/s^2

  static auto constants() {
    return std::array<Constant<Lipm>, 2>{
        {{"height", &Lipm::height, true}, {"gravity", &Lipm::gravity, true}}};
  }
  static std::vector<Parameter> parameters() {
    std::vector<Parameter> out;
    for (int i = 0; i < edges; ++i) {
      const std::string edge = "edge_" + std::to_string(i + 1);
      out.push_back({edge + "_normal_x", 0.0, false});
      out.push_back({edge + "_normal_y", 0.0, false});
      out.push_back({edge + "_offset", 1.0e3, false});
    }
    return out;
  }
  static std::vector<std::string> constraint_names() {
    std::vector<std::string> names;
    for (int i = 0; i < edges; ++i) names.push_back("edge_" + std::to_string(i + 1));
    return names;
  }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    const double stiffness = gravity / height;
    for (int i = 0; i < 2; ++i) {
      f[i] = x[2 + i];
      f[2 + i] = (x[i] - x[4 + i]) * stiffness;
      f[4 + i] = x[2 + i] - u[i] * (1.0 / stiffness);
    }
  }

  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    for (int i = 0; i < edges; ++i) h[i] = p[3 * i + 2] - x[4] * p[3 * i] - x[5] * p[3 * i + 1];
  }
};

}  // namespace giljabi::models
