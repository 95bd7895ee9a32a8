// Problem A's car as a user writes it: benchmarks/ocp.py --problem A --own benchmarks/models/car.hpp
#pragma once

#include <array>
#include <string>
#include <vector>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/scalar.hpp"

// x = (x, y [m], heading [rad], speed [m/s], steering [rad], acceleration [m/s^2]),
// u = (steering rate [rad/s], jerk [m/s^3]); rear axle of a kinematic bicycle that keeps out of a disc.
struct Car : giljabi::models::Defaults<Car> {
  static constexpr int nx = 6, nu = 2, np = 3, nh = 1;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "psi", "v", "steering", "a"};
  static constexpr std::array<const char*, nu> input_names = {"steering_rate", "jerk"};

  double wheelbase = 2.7;  // m

  static auto constants() {
    return std::array<giljabi::models::Constant<Car>, 1>{{{"wheelbase", &Car::wheelbase, true}}};
  }
  static std::vector<giljabi::models::Parameter> parameters() {
    return {{"disc_1_x", 0.0, false}, {"disc_1_y", 0.0, false}, {"disc_1_radius", 1.0, true}};
  }
  static std::vector<std::string> constraint_names() { return {"disc_1"}; }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    using std::cos, std::sin, std::tan;
    f[0] = x[3] * cos(x[2]);
    f[1] = x[3] * sin(x[2]);
    f[2] = x[3] * tan(x[4]) / wheelbase;
    f[3] = x[5];
    f[4] = u[0];
    f[5] = u[1];
  }

  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    const T dx = (x[0] - p[0]) / p[2], dy = (x[1] - p[1]) / p[2];
    h[0] = dx * dx + dy * dy - 1.0;
  }
};
