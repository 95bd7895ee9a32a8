#include <doctest/doctest.h>

#include <cmath>

#include "giljabi/plants/quadrotor.hpp"

using namespace giljabi::plants;
using Q = QuadrotorPlant;

namespace {

QuadrotorParameters without_air() {
  QuadrotorParameters p;
  p.inflow = p.advance_lift = p.flapping_drag = p.flapping_moment = p.damping = 0.0;
  p.drag_area_x = p.drag_area_y = p.drag_area_z = 0.0;
  return p;
}

double hover_thrust(const QuadrotorParameters& p) { return 0.25 * p.mass * p.gravity; }

// High above the ground, rotors at the speed that carries it.
Q flying(const QuadrotorParameters& p = {}) {
  Q plant(p);
  auto x = plant.state();
  x[Q::kZ] = 50.0;
  for (std::size_t r = 0; r < 4; ++r) x[Q::kRotor + r] = plant.speed_wanted(hover_thrust(p));
  plant.set_state(x);
  return plant;
}

QuadrotorInput hover(const QuadrotorParameters& p = {}) {
  QuadrotorInput input;
  input.thrust.fill(hover_thrust(p));
  return input;
}

void run(Q& plant, const QuadrotorInput& input, double seconds) {
  for (int i = 0; i < static_cast<int>(std::lround(seconds / 0.01)); ++i) plant.step(input, 0.01);
}

}  // namespace

TEST_CASE("quadrotor stands on the ground and does not fall through") {
  Q plant;
  QuadrotorInput off;
  run(plant, off, 5.0);
  CHECK(plant.state()[Q::kZ] == doctest::Approx(0.16).epsilon(0.03));
  CHECK(std::abs(plant.state()[Q::kVz]) < 1e-6);
  off.wind = {6.0, 0.0, 0.0};
  const double before = plant.state()[Q::kX];
  run(plant, off, 1.0);
  CHECK(std::abs(plant.state()[Q::kX] - before) < 0.02);  // friction holds it
  auto x = plant.state();
  x[Q::kZ] = 3.0;
  plant.set_state(x);
  run(plant, QuadrotorInput{}, 4.0);
  CHECK(plant.state()[Q::kZ] > 0.1);
  CHECK(plant.state()[Q::kQw] > 0.99);  // fell flat, stands
}

TEST_CASE("quadrotor hovers at the thrust that carries it, falls freely without") {
  Q plant = flying();
  run(plant, hover(), 1.0);
  CHECK(plant.state()[Q::kZ] == doctest::Approx(50.0).epsilon(1e-4));
  const auto felt = plant.specific_force(hover());
  CHECK(felt[2] == doctest::Approx(9.81).epsilon(1e-3));
  Q ballast(without_air());
  auto x = ballast.state();
  x[Q::kZ] = 50.0;
  ballast.set_state(x);
  run(ballast, QuadrotorInput{}, 1.0);
  CHECK(ballast.state()[Q::kVz] == doctest::Approx(-9.81));
  CHECK(ballast.state()[Q::kZ] == doctest::Approx(50.0 - 0.5 * 9.81));
}

TEST_CASE("quadrotor: signs of roll, pitch and yaw") {
  struct Row {
    std::array<double, 4> more;
    std::size_t rate;
  };
  // Left side up is positive roll, nose down is positive pitch, rotors that turn clockwise push the nose to
  // port.
  for (const Row& row :
       {Row{{-1, 1, 1, -1}, Q::kWx}, Row{{-1, 1, -1, 1}, Q::kWy}, Row{{-1, -1, 1, 1}, Q::kWz}}) {
    Q plant = flying();
    auto input = hover();
    for (std::size_t r = 0; r < 4; ++r) input.thrust[r] += 0.4 * row.more[r];
    run(plant, input, 0.1);
    CHECK(plant.state()[row.rate] > 0.05);
    for (const std::size_t other : {Q::kWx, Q::kWy, Q::kWz}) {
      if (other != row.rate) CHECK(std::abs(plant.state()[other]) < 0.2 * plant.state()[row.rate]);
    }
  }
}

TEST_CASE("quadrotor: angular momentum, rotors included, is kept where no moment acts") {
  auto p = without_air();
  p.thrust_coefficient = 1e-12, p.torque_coefficient = 0.0;
  Q plant(p);
  auto x = plant.state();
  x[Q::kZ] = 1000.0;
  x[Q::kWx] = 2.0, x[Q::kWy] = -1.0, x[Q::kWz] = 0.5;
  x[Q::kRotor] = 900.0, x[Q::kRotor + 1] = 700.0, x[Q::kRotor + 2] = 100.0;
  plant.set_state(x);
  const auto momentum = [&] {
    const auto& s = plant.state();
    const double qw = s[Q::kQw], qx = s[Q::kQx], qy = s[Q::kQy], qz = s[Q::kQz];
    double spin = p.inertia_z * s[Q::kWz];
    const double signs[4] = {1, 1, -1, -1};
    for (std::size_t r = 0; r < 4; ++r) spin += signs[r] * p.rotor_inertia * s[Q::kRotor + r];
    const double h[3] = {p.inertia_x * s[Q::kWx], p.inertia_y * s[Q::kWy], spin};
    return std::array<double, 3>{(1 - 2 * (qy * qy + qz * qz)) * h[0] + 2 * (qx * qy - qw * qz) * h[1] +
                                     2 * (qx * qz + qw * qy) * h[2],
                                 2 * (qx * qy + qw * qz) * h[0] + (1 - 2 * (qx * qx + qz * qz)) * h[1] +
                                     2 * (qy * qz - qw * qx) * h[2],
                                 2 * (qx * qz - qw * qy) * h[0] + 2 * (qy * qz + qw * qx) * h[1] +
                                     (1 - 2 * (qx * qx + qy * qy)) * h[2]};
  };
  const auto before = momentum();
  run(plant, QuadrotorInput{}, 1.0);  // the motors stop meanwhile
  const auto after = momentum();
  for (std::size_t i = 0; i < 3; ++i) CHECK(after[i] == doctest::Approx(before[i]).epsilon(1e-6));
}

TEST_CASE("quadrotor: motors lag, more slowly down than up, and keep to the battery") {
  Q plant = flying();
  auto input = hover();
  const double w0 = plant.state()[Q::kRotor];
  input.thrust.fill(6.5);
  const double w1 = plant.speed_wanted(6.5);
  run(plant, input, 0.03);
  CHECK(plant.state()[Q::kRotor] == doctest::Approx(w1 + (w0 - w1) * std::exp(-1.0)).epsilon(1e-3));
  input.thrust.fill(100.0);
  run(plant, input, 1.0);
  const auto b = plant.battery(plant.state());
  CHECK(plant.state()[Q::kRotor] == doctest::Approx(plant.speed_max(b.voltage)).epsilon(1e-3));
  CHECK(b.voltage < 16.0);
  auto x = plant.state();
  x[Q::kCharge] = 0.1;
  plant.set_state(x);
  run(plant, input, 0.5);
  CHECK(plant.state()[Q::kRotor] < 0.95 * plant.speed_max(b.voltage));
}

TEST_CASE("quadrotor: hovering empties the battery in a plausible time") {
  Q plant = flying();
  const auto b = plant.battery(plant.state());
  const double minutes = plant.parameters().capacity / b.current / 60.0;
  CHECK(minutes > 12.0);
  CHECK(minutes < 30.0);
  run(plant, hover(), 10.0);
  CHECK(plant.state()[Q::kCharge] == doctest::Approx(1.0 - 10.0 * b.current / 18000.0).epsilon(0.01));
}

TEST_CASE("quadrotor: air carries it along, flapping lifts the nose into the flow, climb costs thrust") {
  Q plant = flying();
  auto wind = hover();
  wind.wind = {5.0, 0.0, 0.0};  // from the tail: it flies backwards through the air
  const auto d = plant.derivative(plant.state(), wind);
  CHECK(d[Q::kVx] > 0.3);
  auto p = QuadrotorParameters{};
  p.rotor_z = p.drag_z = p.inflow = p.advance_lift = 0.0;
  Q hub = flying(p);
  CHECK(hub.derivative(hub.state(), wind)[Q::kWy] > 0.0);  // flow from behind pushes the nose down
  auto x = plant.state();
  x[Q::kVz] = 3.0;
  plant.set_state(x);
  CHECK(plant.derivative(plant.state(), hover())[Q::kVz] < -0.3);
}

TEST_CASE("quadrotor: thrust gains near the ground, less when wind blows the cushion away") {
  Q plant = flying();
  auto x = plant.state();
  x[Q::kZ] = 0.17;
  plant.set_state(x);
  const double calm = plant.derivative(plant.state(), hover())[Q::kVz];
  CHECK(calm > 0.1);
  auto wind = hover();
  wind.wind = {8.0, 0.0, 0.0};
  auto p = QuadrotorParameters{};
  p.advance_lift = 0.0;
  Q other(p);
  other.set_state(x);
  CHECK(other.derivative(x, wind)[Q::kVz] < 0.6 * calm);
}

TEST_CASE("quadrotor: a rotor without blades gives nothing, the body turns over towards it") {
  Q plant = flying();
  auto input = hover();
  input.effectiveness[0] = 0.0;  // front right
  run(plant, input, 0.2);
  CHECK(plant.state()[Q::kWx] > 0.5);
  CHECK(plant.state()[Q::kWy] > 0.5);
  CHECK(plant.state()[Q::kWz] > 0.0);
}
