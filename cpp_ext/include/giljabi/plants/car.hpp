// Passenger car on a flat road: two-track model with load transfer and combined slip.
//
// Planar rigid body on four tyres (Rajamani 2012, ch. 2 and 8; tyre force by the magic formula, Pacejka 2012,
// ch. 4, with the longitudinal force taken from a friction ellipse), wheel loads from filtered accelerations
// and air lift, front-wheel drive, brakes on all wheels, steering by a lagging, rate-limited motor with
// compliance, drag, rolling resistance. Below blend_high the lateral motion passes over into rolling without
// slip, so the car can stand. Frames: map ENU, body x forward, y left, z up; position is the middle of the
// rear axle.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "giljabi/plants/integrate.hpp"

namespace giljabi::plants {

struct CarParameters {
  double mass = 1530.0;      // kg
  double inertia = 2450.0;   // kg m^2 about the centre of gravity
  double wheelbase = 2.7;    // m
  double cg_to_rear = 1.48;  // m
  double cg_height = 0.54;   // m
  double track = 1.56;       // m
  double roll_share = 0.56;  // share of the lateral load transfer on the front axle
  double load_lag = 0.06;    // s
  double tyre_b = 10.5;      // magic formula, lateral
  double tyre_c = 1.35;
  double tyre_e = -0.6;
  double friction = 1.0;
  double load_sensitivity = 0.08;  // loss of friction per nominal load
  double relaxation_speed = 1.0;   // m/s, floor of the slip's denominator
  double rear_stiffness = 1.12;    // rear slope over front slope
  double drag_area = 0.68;         // m^2, coefficient times area
  double air_density = 1.225;
  double rolling = 0.0115;           // rolling resistance coefficient
  double rolling_v2 = 6e-6;          // its growth, s^2/m^2
  double drive_lag = 0.12;           // s
  double brake_lag = 0.06;           // s
  double drive_force_max = 4600.0;   // N
  double drive_power_max = 90e3;     // W
  double brake_force_max = 11000.0;  // N
  double front_brake_share = 0.66;
  double steering_lag = 0.07;      // s
  double steering_rate_max = 0.9;  // rad/s at the road wheel
  double steering_max = 0.55;      // rad
  double compliance = 1.5e-6;      // rad per N of front lateral force
  double blend_low = 1.0;          // m/s, rolling without slip below
  double blend_high = 2.5;         // m/s, tyres alone above
};

inline constexpr Named<CarParameters> kCarParameters[] = {
    {"mass", &CarParameters::mass},
    {"inertia", &CarParameters::inertia},
    {"wheelbase", &CarParameters::wheelbase},
    {"cg_to_rear", &CarParameters::cg_to_rear},
    {"cg_height", &CarParameters::cg_height},
    {"track", &CarParameters::track},
    {"roll_share", &CarParameters::roll_share},
    {"load_lag", &CarParameters::load_lag},
    {"tyre_b", &CarParameters::tyre_b},
    {"tyre_c", &CarParameters::tyre_c},
    {"tyre_e", &CarParameters::tyre_e},
    {"friction", &CarParameters::friction},
    {"load_sensitivity", &CarParameters::load_sensitivity},
    {"relaxation_speed", &CarParameters::relaxation_speed},
    {"rear_stiffness", &CarParameters::rear_stiffness},
    {"drag_area", &CarParameters::drag_area},
    {"air_density", &CarParameters::air_density},
    {"rolling", &CarParameters::rolling},
    {"rolling_v2", &CarParameters::rolling_v2},
    {"drive_lag", &CarParameters::drive_lag},
    {"brake_lag", &CarParameters::brake_lag},
    {"drive_force_max", &CarParameters::drive_force_max},
    {"drive_power_max", &CarParameters::drive_power_max},
    {"brake_force_max", &CarParameters::brake_force_max},
    {"front_brake_share", &CarParameters::front_brake_share},
    {"steering_lag", &CarParameters::steering_lag},
    {"steering_rate_max", &CarParameters::steering_rate_max},
    {"steering_max", &CarParameters::steering_max},
    {"compliance", &CarParameters::compliance},
    {"blend_low", &CarParameters::blend_low},
    {"blend_high", &CarParameters::blend_high},
};

struct CarInput {
  double steering = 0.0;                 // rad wanted at the road wheels, positive to the left
  double force = 0.0;                    // N wanted at the wheels, negative brakes
  std::array<double, 2> wind{0.0, 0.0};  // m/s towards east, north
  double friction_scale = 1.0;           // of the road, 1 dry
};

class CarPlant {
 public:
  // Rear axle x, y [m map], psi [rad], vx, vy at the centre of gravity [m/s body], r [rad/s], steering [rad],
  // drive and brake force [N], filtered accelerations [m/s^2 body].
  enum Index : std::size_t { kX, kY, kPsi, kVx, kVy, kR, kSteering, kDrive, kBrake, kAx, kAy, kSize };
  using State = std::array<double, kSize>;
  static constexpr double kMaxSubstep = 0.002;  // s

  explicit CarPlant(const CarParameters& p = {}) : p_(p) {}

  const State& state() const { return x_; }
  void set_state(const State& x) { x_ = x; }
  const CarParameters& parameters() const { return p_; }

  void step(const CarInput& input, double dt) {
    const int n = substeps(dt, kMaxSubstep);
    for (int i = 0; i < n; ++i) {
      rk4_step(x_, dt / n, [this, &input](const State& x) { return derivative(x, input); });
      x_[kSteering] = std::clamp(x_[kSteering], -p_.steering_max, p_.steering_max);
    }
  }

  State derivative(const State& x, const CarInput& input) const {
    constexpr double g = 9.81;
    const double a = p_.wheelbase - p_.cg_to_rear, b = p_.cg_to_rear;
    const double vx = x[kVx], vy = x[kVy], r = x[kR];

    // Wheel loads [N]: front left, front right, rear left, rear right.
    const double pitch = p_.mass * x[kAx] * p_.cg_height / p_.wheelbase;
    const double roll = p_.mass * x[kAy] * p_.cg_height / p_.track;
    const double front = 0.5 * (p_.mass * g * b / p_.wheelbase - pitch);
    const double rear = 0.5 * (p_.mass * g * a / p_.wheelbase + pitch);
    const double roll_front = roll * p_.roll_share, roll_rear = roll * (1.0 - p_.roll_share);
    const std::array<double, 4> load{std::max(front - roll_front, 0.0), std::max(front + roll_front, 0.0),
                                     std::max(rear - roll_rear, 0.0), std::max(rear + roll_rear, 0.0)};
    const std::array<double, 4> wheel_x{a, a, -b, -b};
    const std::array<double, 4> wheel_y{0.5 * p_.track, -0.5 * p_.track, 0.5 * p_.track, -0.5 * p_.track};

    // Forces against the motion act through a smooth sign, so that they vanish at standstill.
    const double moving = std::tanh(vx / 0.1);
    const double rolling = (p_.rolling + p_.rolling_v2 * vx * vx) * p_.mass * g * moving;
    const double drive = std::min(x[kDrive], p_.drive_power_max / std::max(std::abs(vx), 1.0));
    const double brake = x[kBrake] * moving;

    double fx = 0.0, fy = 0.0, moment = 0.0;
    for (std::size_t i = 0; i < 4; ++i) {
      const bool is_front = i < 2;
      const double share = is_front ? p_.front_brake_share : 1.0 - p_.front_brake_share;
      double along = (is_front ? 0.5 * drive : 0.0) - 0.5 * share * brake;
      const double mu = friction(load[i], input.friction_scale);
      along = std::clamp(along, -0.98 * mu * load[i], 0.98 * mu * load[i]);

      const double wx = vx - wheel_y[i] * r, wy = vy + wheel_x[i] * r;
      const double slope = is_front ? p_.tyre_b : p_.tyre_b * p_.rear_stiffness;
      const double ellipse = std::sqrt(1.0 - std::pow(along / std::max(mu * load[i], 1.0), 2));
      const auto across_at = [&](double angle) {
        return lateral(slip(wx, wy, angle), slope) * mu * load[i] * ellipse;
      };
      double steer = 0.0;
      if (is_front) {
        // Compliance turns the wheel out of the corner; one correction from the rigid wheel's force is
        // enough.
        steer = x[kSteering] - p_.compliance * 2.0 * across_at(x[kSteering]);
      }
      const double across = across_at(steer);
      const double c = std::cos(steer), s = std::sin(steer);
      const double wheel_fx = c * along - s * across, wheel_fy = s * along + c * across;
      fx += wheel_fx;
      fy += wheel_fy;
      moment += wheel_x[i] * wheel_fy - wheel_y[i] * wheel_fx;
    }

    const double cp = std::cos(x[kPsi]), sp = std::sin(x[kPsi]);
    const double air_x = vx - (cp * input.wind[0] + sp * input.wind[1]);
    const double air_y = vy - (-sp * input.wind[0] + cp * input.wind[1]);
    const double air = 0.5 * p_.air_density * p_.drag_area * std::hypot(air_x, air_y);
    fx -= air * air_x + rolling;
    fy -= 1.8 * air * air_y;

    const double ax = fx / p_.mass, ay = fy / p_.mass;
    const double vx_dot = ax + r * vy;
    const double vy_dot = ay - r * vx;
    const double r_dot = moment / p_.inertia;

    // Rolling without slip pulls vy and r onto the no-slip values within a twentieth of a second.
    const double w = std::clamp((std::abs(vx) - p_.blend_low) / (p_.blend_high - p_.blend_low), 0.0, 1.0);
    const double r_roll = vx * std::tan(x[kSteering]) / p_.wheelbase;
    const double r_pull = (r_roll - r) / 0.05, vy_pull = (b * r_roll - vy) / 0.05;

    State dx{};
    dx[kX] = cp * vx - sp * (vy - b * r);
    dx[kY] = sp * vx + cp * (vy - b * r);
    dx[kPsi] = r;
    dx[kVx] = vx_dot;
    dx[kVy] = w * vy_dot + (1.0 - w) * vy_pull;
    dx[kR] = w * r_dot + (1.0 - w) * r_pull;
    const double wanted = std::clamp(input.steering, -p_.steering_max, p_.steering_max);
    dx[kSteering] =
        std::clamp((wanted - x[kSteering]) / p_.steering_lag, -p_.steering_rate_max, p_.steering_rate_max);
    dx[kDrive] = (std::clamp(input.force, 0.0, p_.drive_force_max) - x[kDrive]) / p_.drive_lag;
    dx[kBrake] = (std::clamp(-input.force, 0.0, p_.brake_force_max) - x[kBrake]) / p_.brake_lag;
    dx[kAx] = (ax - x[kAx]) / p_.load_lag;
    dx[kAy] = (w * ay + (1.0 - w) * r * vx - x[kAy]) / p_.load_lag;
    return dx;
  }

 private:
  // Slip angle [rad] of a wheel turned by `angle` whose hub moves at (wx, wy) in the body frame; none at
  // standstill.
  double slip(double wx, double wy, double angle) const {
    const double c = std::cos(angle), s = std::sin(angle);
    return std::atan2(c * wy - s * wx, std::max(std::abs(c * wx + s * wy), p_.relaxation_speed));
  }

  // Lateral force over friction times load at slip angle `a`, against the slip.
  double lateral(double a, double slope) const {
    const double ba = slope * a;
    return -std::sin(p_.tyre_c * std::atan(ba - p_.tyre_e * (ba - std::atan(ba))));
  }

  double friction(double load, double scale) const {
    const double nominal = p_.mass * 9.81 / 4.0;
    return scale * p_.friction * std::max(1.0 - p_.load_sensitivity * (load / nominal - 1.0), 0.3);
  }

  CarParameters p_;
  State x_{};
};

}  // namespace giljabi::plants
