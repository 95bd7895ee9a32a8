// Multirotor with four rotors over flat ground, with motors, air and battery.
//
// Rigid body; rotor speeds follow a speed controller with lag, limited by what the battery's voltage turns.
// Thrust and torque grow with the square of the speed and change with the inflow along the shaft and the
// advance across it (blade element and momentum theory in lumped form: Leishman 2006, ch. 3; Mahony, Kumar,
// Corke 2012), blades flap and drag across the shaft, the airframe drags with the square of the air speed,
// the ground pushes (Cheeseman, Bennett 1955), rotors are gyroscopes and react when they change speed. Feet
// are springs with friction. Frames: map ENU, body x forward, y left, z up; the position is the centre of
// gravity. Rotors are numbered as autopilots do (quad X): 1 front right, 2 rear left, 3 front left, 4 rear
// right; 1 and 2 turn counter-clockwise seen from above.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "giljabi/plants/integrate.hpp"

namespace giljabi::plants {

// A 2 kg airframe of half a metre (X500 class): 10-inch rotors, four cells.
struct QuadrotorParameters {
  double mass = 2.0;                                                  // kg
  double inertia_x = 0.0217, inertia_y = 0.0217, inertia_z = 0.040;   // kg m^2
  double rotor_1_x = 0.174, rotor_1_y = -0.174, rotor_1_spin = -1.0;  // m, m, sign of the reaction about z
  double rotor_2_x = -0.174, rotor_2_y = 0.174,
         rotor_2_spin = -1.0;                                       // of a rotor that turns counter-clockwise
  double rotor_3_x = 0.174, rotor_3_y = 0.174, rotor_3_spin = 1.0;  // it is -1
  double rotor_4_x = -0.174, rotor_4_y = -0.174, rotor_4_spin = 1.0;
  double rotor_z = 0.06;                // m, hubs above the centre of gravity
  double rotor_radius = 0.127;          // m
  double rotor_inertia = 6.0e-5;        // kg m^2, with the motor's bell
  double thrust_coefficient = 8.5e-6;   // N s^2, static thrust by square of speed
  double torque_coefficient = 1.36e-7;  // N m s^2
  double inflow = 3.0;                  // loss of thrust by climb over tip speed
  double advance_lift = 2.2;            // gain of thrust by square of the advance ratio
  double flapping_drag = 8.0e-5;        // N s^2/m, force across the shaft by rotor speed and air speed
  double flapping_moment = 1.5e-6;      // N s^2, moment by rotor speed and air speed
  double motor_lag_up = 0.030;          // s
  double motor_lag_down = 0.045;        // s
  double speed_min = 60.0;              // rad/s, idle of a motor that is told to turn
  double drag_area_x = 0.011, drag_area_y = 0.012, drag_area_z = 0.025;  // m^2, coefficient times area
  double drag_z = 0.01;        // m, centre of the airframe's drag above the centre of gravity
  double damping = 0.0025;     // N m s^2, of turning in air, by rate squared
  double air_density = 1.225;  // kg/m^3
  double gravity = 9.81;       // m/s^2
  double cells = 4.0;
  double capacity = 18000.0;  // C (5 Ah)
  double resistance = 0.018;  // ohm, of battery and leads
  double motor_kv = 76.0;     // rad/s per V under load
  double efficiency = 0.72;   // shaft power over electric power
  double idle_power = 8.0;    // W, electronics
  double foot_x = 0.15, foot_y = 0.15,
         foot_z = 0.16;            // m, feet before and beside and below the centre of gravity
  double foot_stiffness = 1500.0;  // N/m each
  double foot_damping = 30.0;      // N s/m each
  double foot_friction = 0.8;
};

// A 0.5 kg airframe as used in laboratories (Hummingbird class).
inline QuadrotorParameters small_quadrotor() {
  QuadrotorParameters p;
  p.mass = 0.5;
  p.inertia_x = p.inertia_y = 3.65e-3, p.inertia_z = 7.03e-3;
  p.rotor_1_x = p.rotor_3_x = 0.12, p.rotor_2_x = p.rotor_4_x = -0.12;
  p.rotor_1_y = p.rotor_4_y = -0.12, p.rotor_2_y = p.rotor_3_y = 0.12;
  p.rotor_z = 0.03, p.rotor_radius = 0.10, p.rotor_inertia = 9.0e-6;
  p.thrust_coefficient = 5.6e-6, p.torque_coefficient = 1.36e-7;
  p.flapping_drag = 1.2e-4, p.flapping_moment = 1.0e-6;
  p.motor_lag_up = 0.005, p.motor_lag_down = 0.008;
  p.drag_area_x = p.drag_area_y = 0.006, p.drag_area_z = 0.011;
  p.damping = 3e-4;
  p.cells = 3.0, p.capacity = 7500.0, p.resistance = 0.03, p.motor_kv = 145.0, p.idle_power = 4.0;
  p.foot_x = p.foot_y = 0.09, p.foot_z = 0.08, p.foot_stiffness = 400.0, p.foot_damping = 7.0;
  return p;
}

inline constexpr Named<QuadrotorParameters> kQuadrotorParameters[] = {
    {"mass", &QuadrotorParameters::mass},
    {"inertia_x", &QuadrotorParameters::inertia_x},
    {"inertia_y", &QuadrotorParameters::inertia_y},
    {"inertia_z", &QuadrotorParameters::inertia_z},
    {"rotor_1_x", &QuadrotorParameters::rotor_1_x},
    {"rotor_1_y", &QuadrotorParameters::rotor_1_y},
    {"rotor_1_spin", &QuadrotorParameters::rotor_1_spin},
    {"rotor_2_x", &QuadrotorParameters::rotor_2_x},
    {"rotor_2_y", &QuadrotorParameters::rotor_2_y},
    {"rotor_2_spin", &QuadrotorParameters::rotor_2_spin},
    {"rotor_3_x", &QuadrotorParameters::rotor_3_x},
    {"rotor_3_y", &QuadrotorParameters::rotor_3_y},
    {"rotor_3_spin", &QuadrotorParameters::rotor_3_spin},
    {"rotor_4_x", &QuadrotorParameters::rotor_4_x},
    {"rotor_4_y", &QuadrotorParameters::rotor_4_y},
    {"rotor_4_spin", &QuadrotorParameters::rotor_4_spin},
    {"rotor_z", &QuadrotorParameters::rotor_z},
    {"rotor_radius", &QuadrotorParameters::rotor_radius},
    {"rotor_inertia", &QuadrotorParameters::rotor_inertia},
    {"thrust_coefficient", &QuadrotorParameters::thrust_coefficient},
    {"torque_coefficient", &QuadrotorParameters::torque_coefficient},
    {"inflow", &QuadrotorParameters::inflow},
    {"advance_lift", &QuadrotorParameters::advance_lift},
    {"flapping_drag", &QuadrotorParameters::flapping_drag},
    {"flapping_moment", &QuadrotorParameters::flapping_moment},
    {"motor_lag_up", &QuadrotorParameters::motor_lag_up},
    {"motor_lag_down", &QuadrotorParameters::motor_lag_down},
    {"speed_min", &QuadrotorParameters::speed_min},
    {"drag_area_x", &QuadrotorParameters::drag_area_x},
    {"drag_area_y", &QuadrotorParameters::drag_area_y},
    {"drag_area_z", &QuadrotorParameters::drag_area_z},
    {"drag_z", &QuadrotorParameters::drag_z},
    {"damping", &QuadrotorParameters::damping},
    {"air_density", &QuadrotorParameters::air_density},
    {"gravity", &QuadrotorParameters::gravity},
    {"cells", &QuadrotorParameters::cells},
    {"capacity", &QuadrotorParameters::capacity},
    {"resistance", &QuadrotorParameters::resistance},
    {"motor_kv", &QuadrotorParameters::motor_kv},
    {"efficiency", &QuadrotorParameters::efficiency},
    {"idle_power", &QuadrotorParameters::idle_power},
    {"foot_x", &QuadrotorParameters::foot_x},
    {"foot_y", &QuadrotorParameters::foot_y},
    {"foot_z", &QuadrotorParameters::foot_z},
    {"foot_stiffness", &QuadrotorParameters::foot_stiffness},
    {"foot_damping", &QuadrotorParameters::foot_damping},
    {"foot_friction", &QuadrotorParameters::foot_friction},
};

struct QuadrotorInput {
  std::array<double, 4> thrust{};                           // N wanted of each rotor, 0 stops it
  std::array<double, 3> wind{};                             // m/s towards east, north, up
  std::array<double, 4> effectiveness{1.0, 1.0, 1.0, 1.0};  // of each rotor, 0 is one without blades
  double ground = 0.0;                                      // m, height of the ground
};

class QuadrotorPlant {
 public:
  // Position [m map], quaternion body to map (scalar first), velocity [m/s map], rates [rad/s body], rotor
  // speeds [rad/s], charge of the battery (0..1).
  enum Index : std::size_t {
    kX,
    kY,
    kZ,
    kQw,
    kQx,
    kQy,
    kQz,
    kVx,
    kVy,
    kVz,
    kWx,
    kWy,
    kWz,
    kRotor,
    kCharge = 17,
    kSize
  };
  using State = std::array<double, kSize>;
  using Vector = std::array<double, 3>;
  static constexpr double kMaxSubstep = 0.001;  // s

  struct Battery {
    double voltage = 0.0, current = 0.0;  // V, A
  };

  explicit QuadrotorPlant(const QuadrotorParameters& p = {}) : p_(p) {
    place_ = {{{p.rotor_1_x, p.rotor_1_y, p.rotor_z},
               {p.rotor_2_x, p.rotor_2_y, p.rotor_z},
               {p.rotor_3_x, p.rotor_3_y, p.rotor_z},
               {p.rotor_4_x, p.rotor_4_y, p.rotor_z}}};
    spin_ = {p.rotor_1_spin, p.rotor_2_spin, p.rotor_3_spin, p.rotor_4_spin};
    x_[kZ] = p.foot_z, x_[kQw] = 1.0, x_[kCharge] = 1.0;
  }

  const State& state() const { return x_; }
  void set_state(const State& x) { x_ = x, normalize(); }
  const QuadrotorParameters& parameters() const { return p_; }

  void step(const QuadrotorInput& input, double dt) {
    const int n = substeps(dt, kMaxSubstep);
    for (int i = 0; i < n; ++i) {
      rk4_step(x_, dt / n, [this, &input](const State& x) { return derivative(x, input); });
      for (std::size_t r = 0; r < 4; ++r) x_[kRotor + r] = std::max(x_[kRotor + r], 0.0);
      x_[kCharge] = std::clamp(x_[kCharge], 0.0, 1.0);
      normalize();
    }
  }

  // What the battery gives with the rotors as they turn: voltage under load and current. The load is limited
  // to what the battery can give.
  Battery battery(const State& x) const {
    double power = p_.idle_power;
    for (std::size_t r = 0; r < 4; ++r)
      power += p_.torque_coefficient * std::pow(x[kRotor + r], 3) / p_.efficiency;
    const double open = open_voltage(x[kCharge]);
    const double root = std::sqrt(std::max(open * open - 4.0 * p_.resistance * power, 0.0));
    const double voltage = 0.5 * (open + root);
    return {voltage, std::max(open - voltage, 0.0) / p_.resistance};
  }

  // Fastest a rotor can turn [rad/s] at a voltage.
  double speed_max(double voltage) const { return p_.motor_kv * voltage; }

  // Rotor speed [rad/s] that a wanted thrust [N] asks for: right for a rotor that hovers in still air.
  double speed_wanted(double thrust) const {
    return thrust > 0.0 ? std::max(std::sqrt(thrust / p_.thrust_coefficient), p_.speed_min) : 0.0;
  }

  // What an accelerometer at the centre of gravity feels [m/s^2 body].
  Vector specific_force(const QuadrotorInput& input) const {
    const State d = derivative(x_, input);
    const Matrix R = rotation(x_);
    return to_body(R, {d[kVx], d[kVy], d[kVz] + p_.gravity});
  }

  State derivative(const State& x, const QuadrotorInput& input) const {
    const Matrix R = rotation(x);
    const Vector w{x[kWx], x[kWy], x[kWz]};
    const Vector air = to_body(R, {x[kVx] - input.wind[0], x[kVy] - input.wind[1], x[kVz] - input.wind[2]});
    State dx{};
    Wrench f;
    add_rotors(f, dx, x, R, air, w, input);
    add_airframe(f, air, w);
    add_feet(f, x, R, w, input.ground);

    const Vector a = to_map(R, f.force);
    for (std::size_t i = 0; i < 3; ++i) {
      dx[kX + i] = x[kVx + i];
      dx[kVx + i] = a[i] / p_.mass - (i == 2 ? p_.gravity : 0.0);
    }
    const double* q = &x[kQw];
    dx[kQw] = -0.5 * (q[1] * w[0] + q[2] * w[1] + q[3] * w[2]);
    dx[kQx] = 0.5 * (q[0] * w[0] + q[2] * w[2] - q[3] * w[1]);
    dx[kQy] = 0.5 * (q[0] * w[1] - q[1] * w[2] + q[3] * w[0]);
    dx[kQz] = 0.5 * (q[0] * w[2] + q[1] * w[1] - q[2] * w[0]);
    const Vector momentum{p_.inertia_x * w[0], p_.inertia_y * w[1], p_.inertia_z * w[2]};
    const Vector turn = cross(w, momentum);
    dx[kWx] = (f.moment[0] - turn[0]) / p_.inertia_x;
    dx[kWy] = (f.moment[1] - turn[1]) / p_.inertia_y;
    dx[kWz] = (f.moment[2] - turn[2]) / p_.inertia_z;
    dx[kCharge] = -battery(x).current / p_.capacity;
    return dx;
  }

 private:
  using Matrix = std::array<Vector, 3>;
  struct Wrench {
    Vector force{}, moment{};  // N, N m about the centre of gravity, body
    void add(const Vector& f, const Vector& at) {
      const Vector m = cross(at, f);
      for (std::size_t i = 0; i < 3; ++i) force[i] += f[i], moment[i] += m[i];
    }
  };

  static Vector cross(const Vector& a, const Vector& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  }
  static Matrix rotation(const State& x) {
    const double n = 1.0 / (x[kQw] * x[kQw] + x[kQx] * x[kQx] + x[kQy] * x[kQy] + x[kQz] * x[kQz]);
    const double w = x[kQw], a = x[kQx], b = x[kQy], c = x[kQz];
    return {{{1.0 - 2.0 * n * (b * b + c * c), 2.0 * n * (a * b - w * c), 2.0 * n * (a * c + w * b)},
             {2.0 * n * (a * b + w * c), 1.0 - 2.0 * n * (a * a + c * c), 2.0 * n * (b * c - w * a)},
             {2.0 * n * (a * c - w * b), 2.0 * n * (b * c + w * a), 1.0 - 2.0 * n * (a * a + b * b)}}};
  }
  static Vector to_map(const Matrix& R, const Vector& v) {
    Vector out{};
    for (std::size_t i = 0; i < 3; ++i) out[i] = R[i][0] * v[0] + R[i][1] * v[1] + R[i][2] * v[2];
    return out;
  }
  static Vector to_body(const Matrix& R, const Vector& v) {
    Vector out{};
    for (std::size_t i = 0; i < 3; ++i) out[i] = R[0][i] * v[0] + R[1][i] * v[1] + R[2][i] * v[2];
    return out;
  }

  // Lithium polymer at rest: a knee when full, a plain, a fall when empty.
  double open_voltage(double charge) const {
    const double s = std::clamp(charge, 0.0, 1.0);
    return p_.cells * (3.68 + 0.38 * s + 0.14 * std::pow(s, 8) - 0.55 * std::exp(-22.0 * s));
  }

  void add_rotors(Wrench& f, State& dx, const State& x, const Matrix& R, const Vector& air, const Vector& w,
                  const QuadrotorInput& input) const {
    const double fastest = speed_max(battery(x).voltage);
    double momentum = 0.0;
    for (std::size_t r = 0; r < 4; ++r) {
      const double speed = x[kRotor + r], e = std::clamp(input.effectiveness[r], 0.0, 1.0);
      const double wanted = std::min(speed_wanted(input.thrust[r]), fastest);
      dx[kRotor + r] = (wanted - speed) / (wanted > speed ? p_.motor_lag_up : p_.motor_lag_down);
      momentum -= spin_[r] * p_.rotor_inertia * speed;
      f.moment[2] += spin_[r] * p_.rotor_inertia * dx[kRotor + r];

      const Vector turning = cross(w, place_[r]);
      const Vector v{air[0] + turning[0], air[1] + turning[1], air[2] + turning[2]};
      const double tip = std::max(speed * p_.rotor_radius, 1.0);
      const double across = std::hypot(v[0], v[1]) / tip;
      const double share =
          std::clamp(1.0 - p_.inflow * v[2] / tip + p_.advance_lift * across * across, 0.0, 2.0);
      const double height =
          x[kZ] + R[2][0] * place_[r][0] + R[2][1] * place_[r][1] + R[2][2] * place_[r][2] - input.ground;
      const double thrust =
          e * p_.thrust_coefficient * speed * speed * share * ground_gain(height, R[2][2], v, speed);
      const double h = -e * p_.flapping_drag * speed;
      f.add({h * v[0], h * v[1], thrust}, place_[r]);
      // The disc tilts back against the flow, and hinge stiffness carries the tilt as a moment to the hub.
      const double m = e * p_.flapping_moment * speed;
      f.moment[0] += m * v[1], f.moment[1] -= m * v[0];
      f.moment[2] += spin_[r] * e * p_.torque_coefficient * speed * speed * (0.4 + 0.6 * share);
    }
    const Vector gyro = cross(w, {0.0, 0.0, momentum});
    for (std::size_t i = 0; i < 3; ++i) f.moment[i] -= gyro[i];
  }

  // Thrust near the ground over thrust far from it; the cushion is blown away by tilt and advance.
  double ground_gain(double height, double up, const Vector& v, double speed) const {
    const double ratio = p_.rotor_radius / (4.0 * std::max(height, 0.5 * p_.rotor_radius));
    const double pi = 3.14159265358979323846;
    const double disc = pi * p_.rotor_radius * p_.rotor_radius;
    const double induced =
        std::sqrt(p_.thrust_coefficient * speed * speed / (2.0 * p_.air_density * disc)) + 0.1;
    const double blown = (v[0] * v[0] + v[1] * v[1]) / (induced * induced);
    return 1.0 / (1.0 - std::max(up, 0.0) * ratio * ratio / (1.0 + blown));
  }

  void add_airframe(Wrench& f, const Vector& air, const Vector& w) const {
    const double speed = std::sqrt(air[0] * air[0] + air[1] * air[1] + air[2] * air[2]);
    const double q = -0.5 * p_.air_density * speed;
    f.add({q * p_.drag_area_x * air[0], q * p_.drag_area_y * air[1], q * p_.drag_area_z * air[2]},
          {0.0, 0.0, p_.drag_z});
    for (std::size_t i = 0; i < 3; ++i) f.moment[i] -= p_.damping * std::abs(w[i]) * w[i];
  }

  void add_feet(Wrench& f, const State& x, const Matrix& R, const Vector& w, double ground) const {
    for (int i = 0; i < 4; ++i) {
      const Vector at{i < 2 ? p_.foot_x : -p_.foot_x, i % 2 == 0 ? p_.foot_y : -p_.foot_y, -p_.foot_z};
      const Vector arm = to_map(R, at);
      const double depth = ground - x[kZ] - arm[2];
      if (depth <= 0.0) continue;
      const Vector turning = to_map(R, cross(w, at));
      const Vector v{x[kVx] + turning[0], x[kVy] + turning[1], x[kVz] + turning[2]};
      const double push = std::max(p_.foot_stiffness * depth - p_.foot_damping * v[2], 0.0);
      const double slide = std::hypot(v[0], v[1]);
      // Friction through a smooth sign, so that it vanishes at rest.
      const double grip = slide > 1e-9 ? -p_.foot_friction * push * std::tanh(slide / 0.02) / slide : 0.0;
      f.add(to_body(R, {grip * v[0], grip * v[1], push}), at);
    }
  }

  void normalize() {
    const double n = std::sqrt(x_[kQw] * x_[kQw] + x_[kQx] * x_[kQx] + x_[kQy] * x_[kQy] + x_[kQz] * x_[kQz]);
    for (std::size_t i = kQw; i <= kQz; ++i) x_[i] /= n;
  }

  QuadrotorParameters p_;
  std::array<Vector, 4> place_{};
  std::array<double, 4> spin_{};
  State x_{};
};

}  // namespace giljabi::plants
