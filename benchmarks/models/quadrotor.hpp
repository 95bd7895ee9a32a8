// Problem C's quadrotor as a user writes it: benchmarks/ocp.py --problem C20 --own
// benchmarks/models/quadrotor.hpp
#pragma once

#include <array>
#include <vector>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/scalar.hpp"

// x = (place [m, map], quaternion w x y z (body to map), velocity [m/s, map], rates [rad/s, body]),
// u = thrusts [N]; body x forward, y to port, z up.
struct Quad : giljabi::models::Defaults<Quad> {
  static constexpr int nx = 13, nu = 4;
  static constexpr std::array<const char*, nx> state_names = {"x",  "y",  "z",  "qw", "qx", "qy", "qz",
                                                              "vx", "vy", "vz", "wx", "wy", "wz"};
  static constexpr std::array<const char*, nu> input_names = {"thrust_1", "thrust_2", "thrust_3", "thrust_4"};

  double mass = 0.752, inertia_x = 0.0025, inertia_y = 0.0021, inertia_z = 0.0043;  // kg, kg m^2
  double gravity = 9.81, torque_ratio = 0.022;                                      // m/s^2, m
  double x1 = 0.075, x2 = -0.075, x3 = -0.075, x4 = 0.075;                          // m
  double y1 = -0.1, y2 = 0.1, y3 = -0.1, y4 = 0.1;                                  // m
  double spin1 = -1.0, spin2 = -1.0, spin3 = 1.0, spin4 = 1.0;

  static std::vector<giljabi::models::Constant<Quad>> constants() {
    return {{"mass", &Quad::mass, true},           {"inertia_x", &Quad::inertia_x, true},
            {"inertia_y", &Quad::inertia_y, true}, {"inertia_z", &Quad::inertia_z, true},
            {"gravity", &Quad::gravity, false},    {"torque_ratio", &Quad::torque_ratio, false},
            {"rotor_1_x", &Quad::x1, false},       {"rotor_2_x", &Quad::x2, false},
            {"rotor_3_x", &Quad::x3, false},       {"rotor_4_x", &Quad::x4, false},
            {"rotor_1_y", &Quad::y1, false},       {"rotor_2_y", &Quad::y2, false},
            {"rotor_3_y", &Quad::y3, false},       {"rotor_4_y", &Quad::y4, false},
            {"rotor_1_spin", &Quad::spin1, false}, {"rotor_2_spin", &Quad::spin2, false},
            {"rotor_3_spin", &Quad::spin3, false}, {"rotor_4_spin", &Quad::spin4, false}};
  }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    const T w = x[3], i = x[4], j = x[5], k = x[6];  // attitude
    const T p = x[10], q = x[11], r = x[12];         // rates
    f[0] = x[7];
    f[1] = x[8];
    f[2] = x[9];
    f[3] = (i * p + j * q + k * r) * -0.5;
    f[4] = (w * p + j * r - k * q) * 0.5;
    f[5] = (w * q + k * p - i * r) * 0.5;
    f[6] = (w * r + i * q - j * p) * 0.5;
    const T lift = (u[0] + u[1] + u[2] + u[3]) / mass;
    f[7] = (i * k + w * j) * lift * 2.0;
    f[8] = (j * k - w * i) * lift * 2.0;
    f[9] = (1.0 - (i * i + j * j) * 2.0) * lift - gravity;
    const T roll = u[0] * y1 + u[1] * y2 + u[2] * y3 + u[3] * y4;
    const T pitch = u[0] * x1 + u[1] * x2 + u[2] * x3 + u[3] * x4;
    const T yaw = (u[0] * spin1 + u[1] * spin2 + u[2] * spin3 + u[3] * spin4) * torque_ratio;
    f[10] = (roll + q * r * (inertia_y - inertia_z)) / inertia_x;
    f[11] = (p * r * (inertia_z - inertia_x) - pitch) / inertia_y;
    f[12] = (yaw + p * q * (inertia_x - inertia_y)) / inertia_z;
  }
};
