// Single-track car whose tyres slip; below `blend_speed` it rolls without slip, so that it can stand.
#pragma once

#include <array>

#include "giljabi/models/keep_out.hpp"
#include "giljabi/solver/scalar.hpp"

namespace giljabi::models {

// x = (x, y [m, rear axle], psi [rad], v, vy [m/s, centre of gravity, along and to port of the body], r
// [rad/s], steering [rad], a [m/s^2, given by the tyres along the body]), u = (steering rate [rad/s], jerk
// [m/s^3]).
// Lateral tyre force: friction * load * sin(C atan(B slip)), lessened by what the longitudinal force takes
// (Pacejka 2012, ch. 4; brakes and drive in proportion to the load). Loads shift with a.
template <int discs, bool corridor>
struct BicycleDynamic {
  using Place = KeepOut<discs, corridor>;
  static constexpr int nx = 8, nu = 2, np = Place::np, nh = Place::nh;
  static constexpr std::array<const char*, nx> state_names = {"x",  "y", "psi",      "v",
                                                              "vy", "r", "steering", "a"};
  static constexpr std::array<const char*, nu> input_names = {"steering_rate", "jerk"};
  static constexpr double g = 9.81;           // m/s^2
  static constexpr double slip_floor = 1.0;   // m/s: the slip's denominator is never below
  static constexpr double rounding = 0.02;    // of the share of friction that is left
  static constexpr double blend_width = 0.7;  // m/s
  static constexpr double rolling_lag = 0.1;  // s, in which rolling without slip is reached

  double mass = 1530.0, inertia = 2450.0;     // kg, kg m^2
  double wheelbase = 2.7, cg_to_rear = 1.48;  // m
  double cg_height = 0.54;                    // m
  double friction = 1.0;
  double tyre_b_front = 9.0, tyre_b_rear = 10.0;  // 1/rad
  double tyre_c = 1.35;
  double drag = 2.7e-4;      // 1/m: deceleration over speed squared
  double blend_speed = 4.0;  // m/s
  double centre_x = 0.0;  // m ahead of the rear axle: the point that keeps out of discs and in the corridor

  static auto constants() {
    using B = BicycleDynamic;
    return std::array<Constant<B>, 12>{{{"mass", &B::mass, true},
                                        {"inertia", &B::inertia, true},
                                        {"wheelbase", &B::wheelbase, true},
                                        {"cg_to_rear", &B::cg_to_rear, true},
                                        {"cg_height", &B::cg_height, false},
                                        {"friction", &B::friction, true},
                                        {"tyre_b_front", &B::tyre_b_front, true},
                                        {"tyre_b_rear", &B::tyre_b_rear, true},
                                        {"tyre_c", &B::tyre_c, true},
                                        {"drag", &B::drag, false},
                                        {"blend_speed", &B::blend_speed, false},
                                        {"centre_x", &B::centre_x, false}}};
  }
  static auto parameters() { return Place::parameters(); }
  static auto constraint_names() { return Place::constraint_names(); }

  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    using std::atan, std::cos, std::sin, std::sqrt, std::tan, std::tanh;
    const T &psi = x[2], &v = x[3], &vy = x[4], &r = x[5], &steering = x[6], &a = x[7];
    const double front = wheelbase - cg_to_rear, rear = cg_to_rear;
    const T c = cos(psi), s = sin(psi), cs = cos(steering), ss = sin(steering);
    // Slip angles: how the wheel's velocity points away from the wheel; |speed| is rounded off.
    const T along = solver::smooth_abs(v, slip_floor);
    const T at_front = vy + r * front;
    const T slip_front =
        atan((v * ss - at_front * cs) / solver::smooth_abs(v * cs + at_front * ss, slip_floor));
    const T slip_rear = -atan((vy - r * rear) / along);
    const T used = a * (1.0 / (friction * g));
    const T left = sqrt(solver::smooth_positive(1.0 - used * used, rounding));
    const T load_front = (rear * g - a * cg_height) * (mass / wheelbase);
    const T load_rear = (front * g + a * cg_height) * (mass / wheelbase);
    const T side_front = load_front * left * friction * sin(atan(slip_front * tyre_b_front) * tyre_c);
    const T side_rear = load_rear * left * friction * sin(atan(slip_rear * tyre_b_rear) * tyre_c);
    // Rolling without slip, where it is slow.
    const T turn = v * tan(steering) * (1.0 / wheelbase);
    const T slipping = (tanh((v - blend_speed) * (1.0 / blend_width)) + 1.0) * 0.5, rolling = 1.0 - slipping;
    const T vy_slip = (side_front * cs + side_rear) * (1.0 / mass) - v * r;
    const T r_slip = (side_front * cs * front - side_rear * rear) * (1.0 / inertia);
    const T at_rear = vy - r * rear;
    f[0] = v * c - at_rear * s;
    f[1] = v * s + at_rear * c;
    f[2] = r;
    f[3] = a + slipping * (vy * r - side_front * ss * (1.0 / mass)) - v * along * drag;
    f[4] = slipping * vy_slip + rolling * (turn * rear - vy) * (1.0 / rolling_lag);
    f[5] = slipping * r_slip + rolling * (turn - r) * (1.0 / rolling_lag);
    f[6] = u[0];
    f[7] = u[1];
  }

  template <class T>
  constexpr void constraints(const T* x, const double* p, T* h) const {
    using std::cos, std::sin;
    Place::evaluate(x[0] + cos(x[2]) * centre_x, x[1] + sin(x[2]) * centre_x, p, h);
  }
};

}  // namespace giljabi::models
