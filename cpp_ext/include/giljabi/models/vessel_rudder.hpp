// Surface vessel with one propeller and one rudder.
#pragma once

#include <array>

#include "giljabi/models/vessel.hpp"

namespace giljabi::models {

// x = (x, y [m], psi [rad], u, v [m/s], r [rad/s], thrust [N], rudder [rad]), u = (thrust rate, rudder rate).
// A positive rudder turns the bow to port. The flow at the rudder is the speed squared plus the propeller's
// wash.
template <int discs, bool corridor>
struct VesselRudder : Hull {
  using Place = KeepOut<discs, corridor>;
  static constexpr int nx = 8, nu = 2, np = Place::np, nh = Place::nh;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "psi",    "u",
                                                              "v", "r", "thrust", "rudder"};
  static constexpr std::array<const char*, nu> input_names = {"thrust_rate", "rudder_rate"};

  double centre_x = 0.0;    // m ahead of midships: the point that keeps out of discs and inside the corridor
  double rudder_yaw = 5.2;  // N m per rad and (m/s)^2 of flow
  double rudder_sway = -9.0;     // N per rad and (m/s)^2
  double propeller_wash = 0.04;  // (m/s)^2 of flow per N of thrust
  static constexpr double wash_rounding =
      1e-2;  // (m/s)^2, width in which the wash of max(thrust, 0) is rounded off

  static auto constants() {
    constexpr auto hull = constants_of<VesselRudder>();
    std::array<Constant<VesselRudder>, hull.size() + 4> all{};
    for (std::size_t i = 0; i < hull.size(); ++i) all[i] = hull[i];
    all[hull.size()] = {"rudder_yaw", &VesselRudder::rudder_yaw, false};
    all[hull.size() + 1] = {"rudder_sway", &VesselRudder::rudder_sway, false};
    all[hull.size() + 2] = {"propeller_wash", &VesselRudder::propeller_wash, false};
    all[hull.size() + 3] = {"centre_x", &VesselRudder::centre_x, false};
    return all;
  }
  static auto parameters() { return Place::parameters(); }
  static auto constraint_names() { return Place::constraint_names(); }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    const T& speed = x[3];
    const T& rudder = x[7];
    const T wash = x[6] * propeller_wash;
    const T flow = speed * solver::smooth_abs(speed, rounding) + solver::smooth_positive(wash, wash_rounding);
    kinematics(x[2], speed, x[4], x[5], f);
    accelerations(speed, x[4], x[5], x[6], flow * rudder * rudder_sway, flow * rudder * rudder_yaw, f + 3);
    f[6] = u[0];
    f[7] = u[1];
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
