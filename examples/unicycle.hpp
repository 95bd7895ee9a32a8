// A model of one's own for giljabi.solver: a robot on two wheels that keeps clear of a round obstacle.
// Build and use it:  giljabi build-model examples/unicycle.hpp  &&  python examples/own_model_cpp.py
#pragma once

#include <array>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/scalar.hpp"

// x = (x, y [m], heading [rad], v [m/s], w [rad/s]), u = (acceleration [m/s^2], turn [rad/s^2]).
struct Unicycle : giljabi::models::Defaults<Unicycle> {
  static constexpr int nx = 5, nu = 2, np = 3, nh = 1;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "heading", "v", "w"};
  static constexpr std::array<const char*, nu> input_names = {"acceleration", "turn"};

  double drag = 0.1;  // 1/s

  // Numbers that are the same at every stage: name, member, must it be above 0.
  static auto constants() {
    return std::array<giljabi::models::Constant<Unicycle>, 1>{{{"drag", &Unicycle::drag, false}}};
  }
  // Numbers of each stage: name, default, must it be 0 or more.
  static std::vector<giljabi::models::Parameter> parameters() {
    return {{"disc_x", 1e3, false}, {"disc_y", 0.0, false}, {"disc_radius", 1.0, true}};
  }
  static std::vector<std::string> constraint_names() { return {"disc"}; }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    using std::cos, std::sin;
    f[0] = x[3] * cos(x[2]);
    f[1] = x[3] * sin(x[2]);
    f[2] = x[4];
    f[3] = u[0] - x[3] * drag;
    f[4] = u[1];
  }

  // h >= 0
  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    const T dx = x[0] - p[0], dy = x[1] - p[1];
    h[0] = dx * dx + dy * dy - p[2] * p[2];
  }
};
