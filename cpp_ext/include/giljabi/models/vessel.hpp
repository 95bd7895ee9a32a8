// Surface vessel in the horizontal plane (3 degrees of freedom; Fossen 2011, Handbook of Marine Craft, 6.5
// and 7.1).
#pragma once

#include <array>

#include "giljabi/models/keep_out.hpp"
#include "giljabi/solver/scalar.hpp"

namespace giljabi::models {

// Hull: M nu' + C(nu) nu + D(nu) nu = tau, body frame x forward, y to port, z up.
// Default: CyberShip II at model scale (Skjetne 2005, The maneuvering problem, appendix).
struct Hull {
  double m11 = 25.8, m22 = 33.8, m23 = 1.0948, m33 = 2.76;     // kg, kg, kg m, kg m^2
  double d11 = 0.72253, d11_abs = 1.32742, d11_cub = 5.86643;  // surge
  double d22 = 0.88965, d22_abs = 36.47287, d22_r = 0.805;     // sway from sway speed
  double d23 = 7.25, d23_abs = 0.845, d23_r = 3.45;            // sway from yaw rate
  double d32 = -0.0313, d32_abs = -3.95645, d32_r = -0.13;     // yaw from sway speed
  double d33 = 1.9, d33_abs = -0.08, d33_r = 0.75;             // yaw from yaw rate
  static constexpr double rounding = 1e-2;                     // of |speed| [m/s] and |rate| [rad/s]

  // Accelerations (u', v', r') under the force (X, Y) [N] and the moment N [N m].
  template <class T>
  constexpr void accelerations(const T& u, const T& v, const T& r, const T& X, const T& Y, const T& N,
                               T* out) const {
    using solver::smooth_abs;
    const T abs_u = smooth_abs(u, rounding), abs_v = smooth_abs(v, rounding), abs_r = smooth_abs(r, rounding);
    const T c13 = -(v * m22 + r * m23), c23 = u * m11;
    const T bx = X - c13 * r - (abs_u * d11_abs + u * u * d11_cub + d11) * u;
    const T by = Y - c23 * r - (abs_v * d22_abs + abs_r * d22_r + d22) * v -
                 (abs_v * d23_abs + abs_r * d23_r + d23) * r;
    const T bn = N + c13 * u + c23 * v - (abs_v * d32_abs + abs_r * d32_r + d32) * v -
                 (abs_v * d33_abs + abs_r * d33_r + d33) * r;
    const double inverse = 1.0 / (m22 * m33 - m23 * m23);
    out[0] = bx * (1.0 / m11);
    out[1] = (by * m33 - bn * m23) * inverse;
    out[2] = (bn * m22 - by * m23) * inverse;
  }

  // Velocity in the map of the hull's origin.
  template <class T>
  static constexpr void kinematics(const T& psi, const T& u, const T& v, const T& r, T* f) {
    using std::cos, std::sin;
    const T c = cos(psi), s = sin(psi);
    f[0] = u * c - v * s;
    f[1] = u * s + v * c;
    f[2] = r;
  }

  // (name, member, must be > 0) of every constant, for a model that derives from Hull.
  template <class Model>
  static constexpr std::array<Constant<Model>, 19> constants_of() {
    return {{{"m11", &Model::m11, true},
             {"m22", &Model::m22, true},
             {"m23", &Model::m23, false},
             {"m33", &Model::m33, true},
             {"d11", &Model::d11, false},
             {"d11_abs", &Model::d11_abs, false},
             {"d11_cub", &Model::d11_cub, false},
             {"d22", &Model::d22, false},
             {"d22_abs", &Model::d22_abs, false},
             {"d22_r", &Model::d22_r, false},
             {"d23", &Model::d23, false},
             {"d23_abs", &Model::d23_abs, false},
             {"d23_r", &Model::d23_r, false},
             {"d32", &Model::d32, false},
             {"d32_abs", &Model::d32_abs, false},
             {"d32_r", &Model::d32_r, false},
             {"d33", &Model::d33, false},
             {"d33_abs", &Model::d33_abs, false},
             {"d33_r", &Model::d33_r, false}}};
  }
};

// Fully actuated in surge and yaw: x = (x, y [m], psi [rad], u, v [m/s], r [rad/s], X [N], N [N m]), u = (X',
// N').
template <int discs, bool corridor>
struct Vessel : Hull {
  using Place = KeepOut<discs, corridor>;
  static constexpr int nx = 8, nu = 2, np = Place::np, nh = Place::nh;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "psi", "u", "v", "r", "X", "N"};
  static constexpr std::array<const char*, nu> input_names = {"X_rate", "N_rate"};

  static auto constants() { return constants_of<Vessel>(); }
  static auto parameters() { return Place::parameters(); }
  static auto constraint_names() { return Place::constraint_names(); }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    kinematics(x[2], x[3], x[4], x[5], f);
    accelerations(x[3], x[4], x[5], x[6], T(0.0), x[7], f + 3);
    f[6] = u[0];
    f[7] = u[1];
  }

  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    Place::evaluate(x[0], x[1], p, h);
  }
};

}  // namespace giljabi::models
