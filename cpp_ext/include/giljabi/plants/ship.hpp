// Displacement ship with one propeller and one rudder, in calm water with uniform current and wind.
//
// Three degrees of freedom (Fossen 2011, ch. 6 and 7): rigid-body and added-mass Coriolis forces on the
// velocity through the water, resistance by the ITTC-57 friction line plus a residuary coefficient, lift of
// the hull and cross-flow drag by strips, open-water propeller with wake, shaft lag and slip stream, rudder
// with stall in that stream, steering gear with lag and rate limit, wind on the topside. Frames: map ENU,
// body x forward, y to port, z up; a positive rudder turns the bow to port.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "giljabi/plants/integrate.hpp"

namespace giljabi::plants {

struct ShipParameters {
  // Hull: CyberShip II (Skjetne 2005) scaled 1:10 where it gives a figure.
  double mass = 23800.0;          // kg
  double inertia = 176000.0;      // kg m^2 about the origin of the body frame
  double x_g = 0.46;              // m, centre of gravity ahead of the origin
  double added_surge = 2100.0;    // kg
  double added_sway = 10200.0;    // kg
  double added_sway_yaw = 300.0;  // kg m
  double added_yaw = 103000.0;    // kg m^2
  double length = 12.5;           // m, water line
  double draught = 1.2;           // m
  double wetted_area = 46.0;      // m^2
  double form_factor = 0.25;
  double residuary_0 = 0.0150;    // residuary resistance coefficient at rest
  double residuary_fn2 = 0.155;   // its growth with the square of Froude's number
  double residuary_hump = 0.002;  // its hump at residuary_hump_fn
  double residuary_hump_fn = 0.31;
  double cross_flow_drag = 0.62;
  double cross_flow_centre = -0.30;  // m, fullest section of the lateral plane (skeg)
  double lift_sway = 2000.0;         // kg/m, Y = -lift_sway u v
  double lift_sway_yaw = 3000.0;     // kg, Y = -lift_sway_yaw u r
  double lift_yaw_sway = -4500.0;    // kg, N = -lift_yaw_sway u v
  double lift_yaw = 40000.0;         // kg m, N = -lift_yaw u r
  double viscous_sway = 260.0;       // N s/m
  double viscous_yaw = 9000.0;       // N m s
  // Propeller and shaft.
  double propeller_diameter = 0.90;  // m
  double wake_fraction = 0.16;
  double thrust_deduction = 0.07;
  double kt_0 = 0.46;             // thrust coefficient at bollard pull
  double kt_j = -0.40;            // per advance ratio
  double kt_jj = -0.06;           // per advance ratio squared
  double astern_factor = 0.72;    // thrust astern over thrust ahead
  double shaft_rate_max = 12.0;   // 1/s
  double shaft_lag = 0.6;         // s
  double lever_advance = 0.42;    // advance ratio at which the lever's thrust scale was set
  double lever_scale = 16000.0;   // N at full lever
  double propeller_walk = 0.006;  // sway force per thrust (right-handed: stern to starboard ahead)
  // Rudder and steering gear.
  double rudder_area = 0.52;    // m^2
  double rudder_aspect = 1.6;   // geometric aspect ratio
  double rudder_x = -5.9;       // m in the body frame
  double rudder_stall = 0.52;   // rad of incidence
  double rudder_drag_0 = 0.02;  // drag coefficient at zero incidence
  double flow_straightening = 0.62;
  double slipstream_share = 0.45;     // share of the jet's extra speed that the rudder meets
  double steering_lag = 0.35;         // s
  double steering_rate_max = 0.2618;  // rad/s (15 deg/s)
  double rudder_max = 0.6109;         // rad (35 deg)
  // Topside.
  double wind_area_front = 7.0;  // m^2
  double wind_area_side = 21.0;  // m^2
  double wind_cx = 0.70;
  double wind_cy = 0.80;
  double wind_cn = 0.08;
  double water_density = 1025.0;
  double air_density = 1.225;
  double water_viscosity = 1.19e-6;  // m^2/s
};

inline constexpr Named<ShipParameters> kShipParameters[] = {
    {"mass", &ShipParameters::mass},
    {"inertia", &ShipParameters::inertia},
    {"x_g", &ShipParameters::x_g},
    {"added_surge", &ShipParameters::added_surge},
    {"added_sway", &ShipParameters::added_sway},
    {"added_sway_yaw", &ShipParameters::added_sway_yaw},
    {"added_yaw", &ShipParameters::added_yaw},
    {"length", &ShipParameters::length},
    {"draught", &ShipParameters::draught},
    {"wetted_area", &ShipParameters::wetted_area},
    {"form_factor", &ShipParameters::form_factor},
    {"residuary_0", &ShipParameters::residuary_0},
    {"residuary_fn2", &ShipParameters::residuary_fn2},
    {"residuary_hump", &ShipParameters::residuary_hump},
    {"residuary_hump_fn", &ShipParameters::residuary_hump_fn},
    {"cross_flow_drag", &ShipParameters::cross_flow_drag},
    {"cross_flow_centre", &ShipParameters::cross_flow_centre},
    {"lift_sway", &ShipParameters::lift_sway},
    {"lift_sway_yaw", &ShipParameters::lift_sway_yaw},
    {"lift_yaw_sway", &ShipParameters::lift_yaw_sway},
    {"lift_yaw", &ShipParameters::lift_yaw},
    {"viscous_sway", &ShipParameters::viscous_sway},
    {"viscous_yaw", &ShipParameters::viscous_yaw},
    {"propeller_diameter", &ShipParameters::propeller_diameter},
    {"wake_fraction", &ShipParameters::wake_fraction},
    {"thrust_deduction", &ShipParameters::thrust_deduction},
    {"kt_0", &ShipParameters::kt_0},
    {"kt_j", &ShipParameters::kt_j},
    {"kt_jj", &ShipParameters::kt_jj},
    {"astern_factor", &ShipParameters::astern_factor},
    {"shaft_rate_max", &ShipParameters::shaft_rate_max},
    {"shaft_lag", &ShipParameters::shaft_lag},
    {"lever_advance", &ShipParameters::lever_advance},
    {"lever_scale", &ShipParameters::lever_scale},
    {"propeller_walk", &ShipParameters::propeller_walk},
    {"rudder_area", &ShipParameters::rudder_area},
    {"rudder_aspect", &ShipParameters::rudder_aspect},
    {"rudder_x", &ShipParameters::rudder_x},
    {"rudder_stall", &ShipParameters::rudder_stall},
    {"rudder_drag_0", &ShipParameters::rudder_drag_0},
    {"flow_straightening", &ShipParameters::flow_straightening},
    {"slipstream_share", &ShipParameters::slipstream_share},
    {"steering_lag", &ShipParameters::steering_lag},
    {"steering_rate_max", &ShipParameters::steering_rate_max},
    {"rudder_max", &ShipParameters::rudder_max},
    {"wind_area_front", &ShipParameters::wind_area_front},
    {"wind_area_side", &ShipParameters::wind_area_side},
    {"wind_cx", &ShipParameters::wind_cx},
    {"wind_cy", &ShipParameters::wind_cy},
    {"wind_cn", &ShipParameters::wind_cn},
    {"water_density", &ShipParameters::water_density},
    {"air_density", &ShipParameters::air_density},
    {"water_viscosity", &ShipParameters::water_viscosity},
};

struct ShipInput {
  double rudder = 0.0;                      // rad wanted, positive turns to port
  double lever = 0.0;                       // -1..1 wanted
  std::array<double, 2> wind{0.0, 0.0};     // m/s towards east, north
  std::array<double, 2> current{0.0, 0.0};  // m/s towards east, north
};

class ShipPlant {
 public:
  // x, y [m map], psi [rad], u, v [m/s over ground, body], r [rad/s], rudder [rad], shaft rate [1/s].
  enum Index : std::size_t { kX, kY, kPsi, kU, kV, kR, kRudder, kShaft, kSize };
  using State = std::array<double, kSize>;
  static constexpr double kMaxSubstep = 0.02;  // s

  struct Wrench {
    double x = 0.0, y = 0.0, n = 0.0;  // N, N, N m in the body frame
    void add(double fx, double fy, double moment) { x += fx, y += fy, n += moment; }
  };

  explicit ShipPlant(const ShipParameters& p = {}) : p_(p) {}

  const State& state() const { return x_; }
  void set_state(const State& x) { x_ = x; }
  const ShipParameters& parameters() const { return p_; }

  void step(const ShipInput& input, double dt) {
    const int n = substeps(dt, kMaxSubstep);
    for (int i = 0; i < n; ++i) {
      rk4_step(x_, dt / n, [this, &input](const State& x) { return derivative(x, input); });
      x_[kRudder] = std::clamp(x_[kRudder], -p_.rudder_max, p_.rudder_max);
    }
  }

  // Shaft rate [1/s] that the lever asks for: the thrust scale holds at one advance ratio, so there is less
  // thrust when the ship is faster and more when she is slower.
  double shaft_rate_wanted(double lever) const {
    const double l = std::clamp(lever, -1.0, 1.0);
    const double scale = p_.lever_scale / (1.0 - p_.thrust_deduction);
    const double kt = kt_ahead(p_.lever_advance);
    const double rate =
        std::sqrt(std::abs(l) * scale / (p_.water_density * std::pow(p_.propeller_diameter, 4) * kt));
    return std::copysign(std::min(rate, p_.shaft_rate_max), l);
  }

  // Open-water thrust [N] at shaft rate n [1/s] and advance speed u_a [m/s].
  double thrust(double n, double u_a) const {
    if (std::abs(n) < 1e-6) return 0.0;
    const double d = p_.propeller_diameter;
    const double j = std::clamp(u_a / (n * d), -0.8, 1.6);
    const double kt = j >= 0.0 ? kt_ahead(j) : p_.kt_0 + 0.25 * p_.kt_j * j;
    const double t = p_.water_density * d * d * d * d * kt * n * std::abs(n);
    return n > 0.0 ? t : p_.astern_factor * t;
  }

  // Drag of the hull along x [N] at speed u through the water, without the appendages' lift.
  double resistance(double u) const {
    const double speed = std::abs(u);
    const double reynolds = std::max(speed * p_.length / p_.water_viscosity, 1e4);
    const double c_f = 0.075 / std::pow(std::log10(reynolds) - 2.0, 2);  // ITTC-57
    const double fn = speed / std::sqrt(9.81 * p_.length);
    const double hump = (fn - p_.residuary_hump_fn) / 0.05;
    const double c_r =
        p_.residuary_0 + p_.residuary_fn2 * fn * fn + p_.residuary_hump * std::exp(-hump * hump);
    return 0.5 * p_.water_density * p_.wetted_area * ((1.0 + p_.form_factor) * c_f + c_r) * speed * u;
  }

  State derivative(const State& x, const ShipInput& input) const {
    const double c = std::cos(x[kPsi]), s = std::sin(x[kPsi]);
    const double r = x[kR];
    // Uniform current in the body frame, and its rate there while the body turns.
    const double u_c = c * input.current[0] + s * input.current[1];
    const double v_c = -s * input.current[0] + c * input.current[1];
    const double u = x[kU] - u_c;
    const double v = x[kV] - v_c;

    Wrench f;
    add_coriolis(f, u, v, r);
    add_hull(f, u, v, r);
    add_propeller_and_rudder(f, u, v, r, x[kRudder], x[kShaft]);
    add_wind(f, x, input, c, s);

    const double m11 = p_.mass + p_.added_surge;
    const double m22 = p_.mass + p_.added_sway;
    const double m23 = p_.mass * p_.x_g + p_.added_sway_yaw;
    const double m33 = p_.inertia + p_.added_yaw;
    const double det = m22 * m33 - m23 * m23;

    State dx{};
    dx[kX] = c * x[kU] - s * x[kV];
    dx[kY] = s * x[kU] + c * x[kV];
    dx[kPsi] = r;
    dx[kU] = f.x / m11 + r * v_c;
    dx[kV] = (m33 * f.y - m23 * f.n) / det - r * u_c;
    dx[kR] = (m22 * f.n - m23 * f.y) / det;
    const double wanted = std::clamp(input.rudder, -p_.rudder_max, p_.rudder_max);
    dx[kRudder] =
        std::clamp((wanted - x[kRudder]) / p_.steering_lag, -p_.steering_rate_max, p_.steering_rate_max);
    dx[kShaft] = (shaft_rate_wanted(input.lever) - x[kShaft]) / p_.shaft_lag;
    return dx;
  }

 private:
  double kt_ahead(double j) const { return std::max(p_.kt_0 + p_.kt_j * j + p_.kt_jj * j * j, -0.2); }

  // -(C_RB + C_A) nu_r, Fossen 2011 eq. 7.20: moving through the water, bow-out Munk moment included.
  void add_coriolis(Wrench& f, double u, double v, double r) const {
    const double m11 = p_.mass + p_.added_surge;
    const double m22 = p_.mass + p_.added_sway;
    const double m23 = p_.mass * p_.x_g + p_.added_sway_yaw;
    const double sway_momentum = m22 * v + m23 * r;
    const double surge_momentum = m11 * u;
    f.add(sway_momentum * r, -surge_momentum * r, surge_momentum * v - sway_momentum * u);
  }

  void add_hull(Wrench& f, double u, double v, double r) const {
    const double flow = std::abs(u);
    f.add(-resistance(u), -(p_.lift_sway * flow + p_.viscous_sway) * v - p_.lift_sway_yaw * flow * r,
          -p_.lift_yaw_sway * flow * v - (p_.lift_yaw * flow + p_.viscous_yaw) * r);
    // Cross-flow drag, strips of a lateral plane that is deepest at cross_flow_centre.
    constexpr int kStrips = 20;
    const double half = 0.5 * p_.length, width = p_.length / kStrips;
    for (int i = 0; i < kStrips; ++i) {
      const double xs = -half + (i + 0.5) * width;
      const double along = (xs - p_.cross_flow_centre) / (half + std::abs(p_.cross_flow_centre));
      const double depth = p_.draught * (1.0 - along * along);
      const double w = v + xs * r;
      const double force = -0.5 * p_.water_density * p_.cross_flow_drag * depth * width * w * std::abs(w);
      f.add(0.0, force, force * xs);
    }
  }

  void add_propeller_and_rudder(Wrench& f, double u, double v, double r, double rudder, double shaft) const {
    const double d = p_.propeller_diameter;
    const double u_a = (1.0 - p_.wake_fraction) * u;
    const double t = thrust(shaft, u_a);
    f.add((1.0 - p_.thrust_deduction) * t, -p_.propeller_walk * t, -p_.propeller_walk * t * p_.rudder_x);

    // Speed of the jet far behind the disc by momentum theory; the rudder meets a share of the increase.
    const double disc = 0.25 * 3.14159265358979323846 * d * d;
    double u_r = u_a;
    if (shaft > 0.0 && t > 0.0) {
      const double jet = std::sqrt(u_a * u_a + 2.0 * t / (p_.water_density * disc));
      u_r = u_a + p_.slipstream_share * (jet - std::abs(u_a));
    }
    const double v_r = p_.flow_straightening * (v + p_.rudder_x * r);
    const double speed_squared = u_r * u_r + v_r * v_r;
    if (speed_squared < 1e-8) return;

    // Water arrives from direction (u_r, v_r) as the rudder moves; a positive rudder carries its trailing
    // edge to port.
    const double drift = std::atan2(v_r, u_r);
    const double incidence = std::remainder(rudder + drift, 2.0 * 3.14159265358979323846);
    const double q = 0.5 * p_.water_density * p_.rudder_area * speed_squared;
    const double c_l = lift_coefficient(incidence);
    const double c_d = drag_coefficient(incidence, c_l);
    // Lift is normal to the flow, drag along it: rotate by the drift angle into the body frame.
    const double lift = -q * c_l, drag = -q * c_d;
    const double fx = drag * std::cos(drift) - lift * std::sin(drift);
    const double fy = drag * std::sin(drift) + lift * std::cos(drift);
    f.add(fx, fy, p_.rudder_x * fy);
  }

  // Low-aspect-ratio foil: Fujii's slope up to the stall, then a fall towards the flat plate.
  double lift_coefficient(double a) const {
    const double slope = 6.13 * p_.rudder_aspect / (p_.rudder_aspect + 2.25);
    const double attached = slope * std::sin(a);
    const double plate = 1.1 * std::sin(a) * std::cos(a);
    const double stalled = 0.5 * (1.0 + std::tanh((std::abs(a) - p_.rudder_stall) / 0.06));
    return (1.0 - stalled) * attached + stalled * plate;
  }

  double drag_coefficient(double a, double c_l) const {
    const double induced = c_l * c_l / (3.14159265358979323846 * p_.rudder_aspect * 0.85);
    const double stalled = 0.5 * (1.0 + std::tanh((std::abs(a) - p_.rudder_stall) / 0.06));
    return p_.rudder_drag_0 + (1.0 - stalled) * induced + stalled * 1.1 * std::sin(a) * std::sin(a);
  }

  void add_wind(Wrench& f, const State& x, const ShipInput& input, double c, double s) const {
    // Air past the ship in the body frame.
    const double u_w = c * input.wind[0] + s * input.wind[1] - x[kU];
    const double v_w = -s * input.wind[0] + c * input.wind[1] - x[kV];
    const double speed = std::hypot(u_w, v_w);
    if (speed < 1e-9) return;
    const double q = 0.5 * p_.air_density * speed;
    // Coefficients as cosine, sine and double sine of the angle (Fossen 2011, eq. 8.27 to 8.29).
    f.add(q * p_.wind_cx * p_.wind_area_front * u_w, q * p_.wind_cy * p_.wind_area_side * v_w,
          -q * p_.wind_cn * p_.wind_area_side * p_.length * 2.0 * u_w * v_w / speed);
  }

  ShipParameters p_;
  State x_{};
};

}  // namespace giljabi::plants
