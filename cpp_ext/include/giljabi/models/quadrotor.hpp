// Multirotor with four rotors as a rigid body; attitude as a quaternion, so that every attitude can be flown.
#pragma once

#include <array>
#include <string>
#include <type_traits>
#include <vector>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/scalar.hpp"

namespace giljabi::models {

// x = (x, y, z [m], qw, qx, qy, qz (body to map, scalar first), vx, vy, vz [m/s, map], wx, wy, wz [rad/s,
// body]), u = (thrust_1 .. thrust_4 [N]); body x forward, y to port, z up.
// drag: force -R diag(drag) R' v, as of rotors that fly edgewise (Faessler 2018); and what an observer found:
// push [m/s^2, map] and turn [rad/s^2, body].
// lag: the thrusts are four more states of first order, and u is what is commanded.
template <bool drag, bool lag>
struct Quadrotor {
  static constexpr int nx = lag ? 17 : 13, nu = 4, np = 0, nh = 0;
  static constexpr auto state_names = [] {
    std::array<const char*, nx> names{};
    const char* all[17] = {"x",  "y",  "z",  "qw", "qx",       "qy",       "qz",       "vx",      "vy",
                           "vz", "wx", "wy", "wz", "thrust_1", "thrust_2", "thrust_3", "thrust_4"};
    for (int i = 0; i < nx; ++i) names[static_cast<std::size_t>(i)] = all[i];
    return names;
  }();
  static constexpr auto input_names = [] {
    return lag ? std::array<const char*, 4>{"command_1", "command_2", "command_3", "command_4"}
               : std::array<const char*, 4>{"thrust_1", "thrust_2", "thrust_3", "thrust_4"};
  }();

  double mass = 0.752;                                                // kg
  double inertia_x = 0.0025, inertia_y = 0.0021, inertia_z = 0.0043;  // kg m^2
  double gravity = 9.81;                                              // m/s^2
  double torque_ratio = 0.022;                                        // m: yaw torque by thrust
  double x_1 = 0.075, x_2 = -0.075, x_3 = -0.075, x_4 = 0.075;        // m, rotor places
  double y_1 = -0.1, y_2 = 0.1, y_3 = -0.1, y_4 = 0.1;                // m
  double spin_1 = -1.0, spin_2 = -1.0, spin_3 = 1.0, spin_4 = 1.0;    // sign of each rotor's yaw torque
  double drag_x = 0.0, drag_y = 0.0, drag_z = 0.0;                    // N s/m
  double push_x = 0.0, push_y = 0.0, push_z = 0.0;                    // m/s^2
  double turn_x = 0.0, turn_y = 0.0, turn_z = 0.0;                    // rad/s^2
  double motor_lag = 0.04;                                            // s

  static auto constants() {
    using Q = Quadrotor;
    std::vector<Constant<Q>> all = {{"mass", &Q::mass, true},
                                    {"inertia_x", &Q::inertia_x, true},
                                    {"inertia_y", &Q::inertia_y, true},
                                    {"inertia_z", &Q::inertia_z, true},
                                    {"gravity", &Q::gravity, false},
                                    {"torque_ratio", &Q::torque_ratio, false},
                                    {"rotor_1_x", &Q::x_1, false},
                                    {"rotor_1_y", &Q::y_1, false},
                                    {"rotor_2_x", &Q::x_2, false},
                                    {"rotor_2_y", &Q::y_2, false},
                                    {"rotor_3_x", &Q::x_3, false},
                                    {"rotor_3_y", &Q::y_3, false},
                                    {"rotor_4_x", &Q::x_4, false},
                                    {"rotor_4_y", &Q::y_4, false},
                                    {"rotor_1_spin", &Q::spin_1, false},
                                    {"rotor_2_spin", &Q::spin_2, false},
                                    {"rotor_3_spin", &Q::spin_3, false},
                                    {"rotor_4_spin", &Q::spin_4, false}};
    if (drag) {
      all.push_back({"drag_x", &Q::drag_x, false});
      all.push_back({"drag_y", &Q::drag_y, false});
      all.push_back({"drag_z", &Q::drag_z, false});
      all.push_back({"push_x", &Q::push_x, false});
      all.push_back({"push_y", &Q::push_y, false});
      all.push_back({"push_z", &Q::push_z, false});
      all.push_back({"turn_x", &Q::turn_x, false});
      all.push_back({"turn_y", &Q::turn_y, false});
      all.push_back({"turn_z", &Q::turn_z, false});
    }
    if (lag) all.push_back({"motor_lag", &Q::motor_lag, true});
    return all;
  }
  static std::vector<Parameter> parameters() { return {}; }
  static std::vector<std::string> constraint_names() { return {}; }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    const T &qw = x[3], &qx = x[4], &qy = x[5], &qz = x[6];
    const T *v = x + 7, *w = x + 10;
    const T* t = u;
    if constexpr (lag) t = x + 13;
    for (int i = 0; i < 3; ++i) f[i] = v[i];
    f[3] = (qx * w[0] + qy * w[1] + qz * w[2]) * -0.5;
    f[4] = (qw * w[0] + qy * w[2] - qz * w[1]) * 0.5;
    f[5] = (qw * w[1] - qx * w[2] + qz * w[0]) * 0.5;
    f[6] = (qw * w[2] + qx * w[1] - qy * w[0]) * 0.5;
    const T push = (t[0] + t[1] + t[2] + t[3]) * (1.0 / mass);  // m/s^2 along body z
    const T zx = (qw * qy + qx * qz) * 2.0, zy = (qy * qz - qw * qx) * 2.0;
    const T zz = 1.0 - (qx * qx + qy * qy) * 2.0;
    f[7] = zx * push;
    f[8] = zy * push;
    f[9] = zz * push - gravity;
    if constexpr (drag) {
      const T xx = 1.0 - (qy * qy + qz * qz) * 2.0, xy = (qx * qy + qw * qz) * 2.0,
              xz = (qx * qz - qw * qy) * 2.0;
      const T yx = (qx * qy - qw * qz) * 2.0, yy = 1.0 - (qx * qx + qz * qz) * 2.0,
              yz = (qy * qz + qw * qx) * 2.0;
      const T along_x = (xx * v[0] + xy * v[1] + xz * v[2]) * (drag_x / mass);
      const T along_y = (yx * v[0] + yy * v[1] + yz * v[2]) * (drag_y / mass);
      const T along_z = (zx * v[0] + zy * v[1] + zz * v[2]) * (drag_z / mass);
      f[7] = f[7] - xx * along_x - yx * along_y - zx * along_z;
      f[8] = f[8] - xy * along_x - yy * along_y - zy * along_z;
      f[9] = f[9] - xz * along_x - yz * along_y - zz * along_z;
      f[7] = f[7] + push_x;
      f[8] = f[8] + push_y;
      f[9] = f[9] + push_z;
    }
    const T torque_x = t[0] * y_1 + t[1] * y_2 + t[2] * y_3 + t[3] * y_4;
    const T torque_y = t[0] * -x_1 - t[1] * x_2 - t[2] * x_3 - t[3] * x_4;
    const T torque_z = (t[0] * spin_1 + t[1] * spin_2 + t[2] * spin_3 + t[3] * spin_4) * torque_ratio;
    f[10] = (torque_x + w[1] * w[2] * (inertia_y - inertia_z)) * (1.0 / inertia_x);
    f[11] = (torque_y + w[2] * w[0] * (inertia_z - inertia_x)) * (1.0 / inertia_y);
    f[12] = (torque_z + w[0] * w[1] * (inertia_x - inertia_y)) * (1.0 / inertia_z);
    if constexpr (drag) {
      f[10] = f[10] + turn_x;
      f[11] = f[11] + turn_y;
      f[12] = f[12] + turn_z;
    }
    if constexpr (lag)
      for (int i = 0; i < 4; ++i) f[13 + i] = (u[i] - t[i]) * (1.0 / motor_lag);
  }

  template <class T>
  constexpr void constraints(const T*, const double*, T*) const {}
};

}  // namespace giljabi::models
