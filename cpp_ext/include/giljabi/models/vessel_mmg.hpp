// Displacement ship by the MMG standard method (Yasukawa, Yoshimura 2015): hull, propeller and rudder apart.
#pragma once

#include <array>

#include "giljabi/models/vessel.hpp"

namespace giljabi::models {

// x = (x, y [m, midships], psi [rad], u, v [m/s], r [rad/s], shaft [1/s], rudder [rad]), u = (shaft rate
// [1/s^2], rudder rate [rad/s]). Body x forward, y to port, z up: the mirror image of the method's axes, so
// its derivatives keep their values. A positive rudder turns the bow to port. For a shaft that turns ahead.
// Default: the tanker KVLCC2 as a 7 m model in fresh water.
template <int discs, bool corridor>
struct VesselMmg {
  using Place = KeepOut<discs, corridor>;
  static constexpr int nx = 8, nu = 2, np = Place::np, nh = Place::nh;
  static constexpr std::array<const char*, nx> state_names = {"x", "y", "psi",   "u",
                                                              "v", "r", "shaft", "rudder"};
  static constexpr std::array<const char*, nu> input_names = {"shaft_rate", "rudder_rate"};
  static constexpr double rounding = 1e-2;      // m/s, of speeds under a root
  static constexpr double jet_rounding = 1e-3;  // (m/s)^2, of the propeller's jet where thrust turns round
  static constexpr double pi = 3.14159265358979323846;

  double density = 1000.0;                             // kg/m^3
  double length = 7.0, draught = 0.46, volume = 3.27;  // m, m, m^3
  double x_g = 0.25, gyration = 0.25;                  // m ahead of midships; radius over length
  double added_surge = 0.022, added_sway = 0.223, added_yaw = 0.011;  // m_x', m_y', J_z'
  double resistance = 0.022;                                          // R_0'
  double x_vv = -0.040, x_vr = 0.002, x_rr = 0.011, x_vvvv = 0.771;
  double y_v = -0.315, y_r = 0.083, y_vvv = -1.607, y_vvr = 0.379, y_vrr = -0.391, y_rrr = 0.008;
  double n_v = -0.137, n_r = -0.049, n_vvv = -0.030, n_vvr = -0.294, n_vrr = 0.055, n_rrr = -0.013;
  double propeller_diameter = 0.216;                  // m
  double k_0 = 0.2931, k_1 = -0.2753, k_2 = -0.1385;  // thrust coefficient over advance ratio
  double thrust_deduction = 0.220, wake = 0.40;
  double rudder_area = 0.0539, rudder_height = 0.345;           // m^2, m
  double rudder_lift = 2.747;                                   // slope of the normal force
  double rudder_deduction = 0.387;                              // t_R
  double hull_share = 0.312, hull_share_x = -0.464;             // a_H, x_H'
  double straightening = 0.5175, straightening_skew = -0.1225;  // mean of gamma_R, half its difference
  double straightening_x = -0.710;                              // l_R'
  double wake_ratio = 1.09, jet = 0.50;                         // epsilon, kappa
  double centre_x = 0.0;  // m ahead of midships: the point that keeps out of discs and in the corridor

  static auto constants() {
    using V = VesselMmg;
    return std::array<Constant<V>, 44>{{{"density", &V::density, true},
                                        {"length", &V::length, true},
                                        {"draught", &V::draught, true},
                                        {"volume", &V::volume, true},
                                        {"x_g", &V::x_g, false},
                                        {"gyration", &V::gyration, true},
                                        {"added_surge", &V::added_surge, false},
                                        {"added_sway", &V::added_sway, false},
                                        {"added_yaw", &V::added_yaw, false},
                                        {"resistance", &V::resistance, false},
                                        {"x_vv", &V::x_vv, false},
                                        {"x_vr", &V::x_vr, false},
                                        {"x_rr", &V::x_rr, false},
                                        {"x_vvvv", &V::x_vvvv, false},
                                        {"y_v", &V::y_v, false},
                                        {"y_r", &V::y_r, false},
                                        {"y_vvv", &V::y_vvv, false},
                                        {"y_vvr", &V::y_vvr, false},
                                        {"y_vrr", &V::y_vrr, false},
                                        {"y_rrr", &V::y_rrr, false},
                                        {"n_v", &V::n_v, false},
                                        {"n_r", &V::n_r, false},
                                        {"n_vvv", &V::n_vvv, false},
                                        {"n_vvr", &V::n_vvr, false},
                                        {"n_vrr", &V::n_vrr, false},
                                        {"n_rrr", &V::n_rrr, false},
                                        {"propeller_diameter", &V::propeller_diameter, true},
                                        {"k_0", &V::k_0, false},
                                        {"k_1", &V::k_1, false},
                                        {"k_2", &V::k_2, false},
                                        {"thrust_deduction", &V::thrust_deduction, false},
                                        {"wake", &V::wake, false},
                                        {"rudder_area", &V::rudder_area, true},
                                        {"rudder_height", &V::rudder_height, true},
                                        {"rudder_lift", &V::rudder_lift, true},
                                        {"rudder_deduction", &V::rudder_deduction, false},
                                        {"hull_share", &V::hull_share, false},
                                        {"hull_share_x", &V::hull_share_x, false},
                                        {"straightening", &V::straightening, false},
                                        {"straightening_skew", &V::straightening_skew, false},
                                        {"straightening_x", &V::straightening_x, false},
                                        {"wake_ratio", &V::wake_ratio, true},
                                        {"jet", &V::jet, false},
                                        {"centre_x", &V::centre_x, false}}};
  }
  static auto parameters() { return Place::parameters(); }
  static auto constraint_names() { return Place::constraint_names(); }

  // Thrust [N] of the open-water curve at the speed of the flow through the propeller.
  template <class T>
  constexpr T thrust(const T& shaft, const T& flow) const {
    const double d = propeller_diameter;
    return (shaft * shaft * (k_0 * d * d) + shaft * flow * (k_1 * d) + flow * flow * k_2) * (density * d * d);
  }

  template <class T>
  constexpr void dynamics(const T* x, const T* u_in, const double*, T* f) const {
    using std::cos, std::sin, std::sqrt;
    const T &u = x[3], &v = x[4], &r = x[5], &shaft = x[6], &rudder = x[7];
    const T speed_squared = u * u + v * v, speed = sqrt(speed_squared + rounding * rounding);
    const T turn = r * length;  // m/s
    // Hull: the method's v' and r' times the speed, so that standing still is no special case.
    const double pressure = 0.5 * density * length * draught;
    const T vv = v * v, tt = turn * turn, per_speed = 1.0 / speed;
    const T surge = (vv * x_vv + v * turn * x_vr + tt * x_rr + vv * vv * per_speed * per_speed * x_vvvv -
                     u * solver::smooth_abs(u, rounding) * resistance - vv * resistance) *
                    pressure;
    const T sway = ((v * y_v + turn * y_r) * speed +
                    (vv * v * y_vvv + vv * turn * y_vvr + v * tt * y_vrr + tt * turn * y_rrr) * per_speed) *
                   pressure;
    const T yaw = ((v * n_v + turn * n_r) * speed +
                   (vv * v * n_vvv + vv * turn * n_vvr + v * tt * n_vrr + tt * turn * n_rrr) * per_speed) *
                  (pressure * length);
    // Propeller and its jet at the rudder.
    const double disc = propeller_diameter * propeller_diameter, share = propeller_diameter / rudder_height;
    const T flow = u * (1.0 - wake);
    const T push = thrust(shaft, flow);
    const T gain = solver::smooth_positive(push * (8.0 / (pi * density * disc)), jet_rounding);
    const T far = sqrt(flow * flow + gain + rounding * rounding);
    const T in_jet = flow + (far - flow) * jet;
    const T u_r =
        sqrt(in_jet * in_jet * share + flow * flow * (1.0 - share) + rounding * rounding) * wake_ratio;
    const T across = -v - turn * straightening_x;
    const T v_r = across * straightening + solver::smooth_abs(across, rounding) * straightening_skew;
    const T at_rudder = sqrt(u_r * u_r + v_r * v_r);
    const T cr = cos(rudder), sr = sin(rudder);
    const T normal = at_rudder * (u_r * sr - v_r * cr) * (0.5 * density * rudder_area * rudder_lift);
    const T force_x = surge + push * (1.0 - thrust_deduction) - normal * sr * (1.0 - rudder_deduction);
    const T force_y = sway - normal * cr * (1.0 + hull_share);
    const T moment = yaw + normal * cr * ((0.5 - hull_share * hull_share_x) * length);
    // Newton and Euler about midships.
    const double m = density * volume, scale = pressure * length;  // scale: of the added masses
    const double mx = m + added_surge * scale, my = m + added_sway * scale, offset = x_g * m;
    const double inertia =
        m * (gyration * gyration * length * length + x_g * x_g) + added_yaw * scale * length * length;
    const T by = force_y - u * r * mx, bn = moment - u * r * offset;
    const double inverse = 1.0 / (my * inertia - offset * offset);
    Hull::kinematics(x[2], u, v, r, f);
    f[3] = (force_x + v * r * my + r * r * offset) * (1.0 / mx);
    f[4] = (by * inertia - bn * offset) * inverse;
    f[5] = (bn * my - by * offset) * inverse;
    f[6] = u_in[0];
    f[7] = u_in[1];
  }

  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    using std::cos, std::sin;
    Place::evaluate(x[0] + cos(x[2]) * centre_x, x[1] + sin(x[2]) * centre_x, p, h);
  }
};

}  // namespace giljabi::models
