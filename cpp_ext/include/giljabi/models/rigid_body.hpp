// A legged robot as one rigid body, driven by the contact forces of its feet.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/scalar.hpp"

namespace giljabi::models {

// x = (roll, pitch, yaw [rad], x, y, z [m], wx, wy, wz [rad/s], vx, vy, vz [m/s]; velocities in the map),
// u = (force_1_x, force_1_y, force_1_z, ... [N, map], of the ground on each foot).
// Small roll and pitch, gyroscopic torque left out, heading and feet given for each stage: linear in x and u
// (Di Carlo 2018). A foot whose contact is 0 is in the air: its input does nothing.
// Friction pyramid of each foot on the ground: |force_x|, |force_y| <= friction * force_z.
template <int feet>
struct RigidBody {
  static constexpr int nx = 12, nu = 3 * feet, np = 1 + 4 * feet, nh = 0, nm = 4 * feet;
  static constexpr std::array<const char*, nx> state_names = {"roll", "pitch", "yaw", "x",  "y",  "z",
                                                              "wx",   "wy",    "wz",  "vx", "vy", "vz"};

  double mass = 43.0;                                         // kg
  double inertia_x = 0.41, inertia_y = 2.1, inertia_z = 2.1;  // kg m^2, about the body's axes
  double gravity = 9.81;                                      // m/s^2
  double friction = 0.6;

  static auto constants() {
    using B = RigidBody;
    return std::array<Constant<B>, 6>{{{"mass", &B::mass, true},
                                       {"inertia_x", &B::inertia_x, true},
                                       {"inertia_y", &B::inertia_y, true},
                                       {"inertia_z", &B::inertia_z, true},
                                       {"gravity", &B::gravity, false},
                                       {"friction", &B::friction, true}}};
  }
  // heading [rad]; each foot's place from the centre of mass [m, axes of the map]; contact 0 or 1.
  static std::vector<Parameter> parameters() {
    std::vector<Parameter> out = {{"heading", 0.0, false}};
    for (int i = 0; i < feet; ++i)
      for (const char* axis : {"x", "y", "z"}) out.push_back({foot(i) + "_" + axis, 0.0, false});
    for (int i = 0; i < feet; ++i) out.push_back({"contact_" + std::to_string(i + 1), 1.0, true});
    return out;
  }
  static std::vector<std::string> constraint_names() {
    std::vector<std::string> names;
    for (int i = 0; i < feet; ++i)
      for (const char* side : {"_slip_forward", "_slip_back", "_slip_port", "_slip_starboard"})
        names.push_back(foot(i) + side);
    return names;
  }
  static std::string foot(int i) { return "foot_" + std::to_string(i + 1); }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double* p, T* f) const {
    double c = 1.0, s = 1.0;  // a tracer only asks what depends on what
    if constexpr (!std::is_same_v<T, solver::Pattern>) c = std::cos(p[0]), s = std::sin(p[0]);
    f[0] = x[6] * c + x[7] * s;
    f[1] = x[7] * c - x[6] * s;
    f[2] = x[8];
    for (int i = 0; i < 3; ++i) f[3 + i] = x[9 + i];
    T force[3] = {T(0.0), T(0.0), T(-gravity * mass)}, torque[3] = {T(0.0), T(0.0), T(0.0)};
    for (int i = 0; i < feet; ++i) {
      const double *at = p + 1 + 3 * i, on = p[1 + 3 * feet + i];
      const T &fx = u[3 * i], &fy = u[3 * i + 1], &fz = u[3 * i + 2];
      force[0] = force[0] + fx * on;
      force[1] = force[1] + fy * on;
      force[2] = force[2] + fz * on;
      torque[0] = torque[0] + fz * (at[1] * on) - fy * (at[2] * on);
      torque[1] = torque[1] + fx * (at[2] * on) - fz * (at[0] * on);
      torque[2] = torque[2] + fy * (at[0] * on) - fx * (at[1] * on);
    }
    // R diag(1/inertia) R' torque with R a turn by the heading
    const double jx = 1.0 / inertia_x, jy = 1.0 / inertia_y;
    f[6] = torque[0] * (c * c * jx + s * s * jy) + torque[1] * (c * s * (jx - jy));
    f[7] = torque[0] * (c * s * (jx - jy)) + torque[1] * (s * s * jx + c * c * jy);
    f[8] = torque[2] * (1.0 / inertia_z);
    for (int i = 0; i < 3; ++i) f[9 + i] = force[i] * (1.0 / mass);
  }

  template <class T>
  constexpr void mixed_constraints(const T*, const T* u, const double* p, T* h) const {
    for (int i = 0; i < feet; ++i) {
      const T &fx = u[3 * i], &fy = u[3 * i + 1];
      const double in_the_air = (1.0 - p[1 + 3 * feet + i]) * 1.0e3;  // N
      const T most = u[3 * i + 2] * friction + in_the_air;
      h[4 * i] = most - fx;
      h[4 * i + 1] = most + fx;
      h[4 * i + 2] = most - fy;
      h[4 * i + 3] = most + fy;
    }
  }
  template <class T>
  constexpr void constraints(const T*, const double*, T*) const {}

  static constexpr auto input_names = [] {
    std::array<const char*, nu> names{};
    const char* all[] = {"force_1_x", "force_1_y", "force_1_z", "force_2_x", "force_2_y", "force_2_z",
                         "force_3_x", "force_3_y", "force_3_z", "force_4_x", "force_4_y", "force_4_z"};
    for (int i = 0; i < nu; ++i) names[static_cast<std::size_t>(i)] = all[i];
    return names;
  }();
};

}  // namespace giljabi::models
