// Kinematic bicycle, reference point on the rear axle.
#pragma once

#include <array>

#include "giljabi/models/keep_out.hpp"
#include "giljabi/solver/scalar.hpp"

namespace giljabi::models {

// x = (x [m], y [m], psi [rad], v [m/s], steering [rad], a [m/s^2]), u = (steering rate [rad/s], jerk
// [m/s^3]).
template <int discs, bool corridor>
struct Bicycle {
  using Place = KeepOut<discs, corridor>;
  static constexpr int nx = 6, nu = 2, np = Place::np, nh = Place::nh;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "psi", "v", "steering", "a"};
  static constexpr std::array<const char*, nu> input_names = {"steering_rate", "jerk"};

  double wheelbase = 2.7;  // m
  double centre_x =
      0.0;  // m ahead of the rear axle: the point that keeps out of discs and inside the corridor

  static auto constants() {
    return std::array<Constant<Bicycle>, 2>{
        {{"wheelbase", &Bicycle::wheelbase, true}, {"centre_x", &Bicycle::centre_x, false}}};
  }
  static auto parameters() { return Place::parameters(); }
  static auto constraint_names() { return Place::constraint_names(); }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    using std::cos, std::sin, std::tan;
    const T& psi = x[2];
    const T& v = x[3];
    f[0] = v * cos(psi);
    f[1] = v * sin(psi);
    f[2] = v * tan(x[4]) * (1.0 / wheelbase);
    f[3] = x[5];
    f[4] = u[0];
    f[5] = u[1];
  }

  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    if constexpr (corridor) {
      using std::cos, std::sin;
      Place::evaluate(x[0] + cos(x[2]) * centre_x, x[1] + sin(x[2]) * centre_x, p, h);
    } else {
      Place::evaluate(x[0], x[1], p, h);
    }
  }
};

}  // namespace giljabi::models
