#include <doctest/doctest.h>

#include <cmath>

#include "giljabi/plants/car.hpp"
#include "giljabi/plants/ship.hpp"

using namespace giljabi::plants;

namespace {

template <class Plant, class Input>
void run(Plant& plant, const Input& input, double seconds, double dt = 0.05) {
  for (int i = 0; i < static_cast<int>(std::lround(seconds / dt)); ++i) plant.step(input, dt);
}

ShipPlant ship_at(double speed, double lever) {
  ShipPlant ship;
  auto x = ship.state();
  x[ShipPlant::kU] = speed;
  x[ShipPlant::kShaft] = ship.shaft_rate_wanted(lever);
  ship.set_state(x);
  return ship;
}

CarPlant car_at(double speed) {
  CarPlant car;
  auto x = car.state();
  x[CarPlant::kVx] = speed;
  car.set_state(x);
  return car;
}

}  // namespace

TEST_CASE("ship reaches the speed where thrust and resistance balance") {
  ShipPlant ship;
  run(ship, ShipInput{0.0, 0.5}, 120.0);
  const auto& x = ship.state();
  CHECK(x[ShipPlant::kU] == doctest::Approx(3.17).epsilon(0.03));
  const double push = 0.93 * ship.thrust(x[ShipPlant::kShaft], 0.84 * x[ShipPlant::kU]);
  CHECK(push == doctest::Approx(ship.resistance(x[ShipPlant::kU])).epsilon(0.02));
}

TEST_CASE("ship: positive rudder turns to port, mirrored for negative, drift to starboard") {
  ShipParameters p;
  p.propeller_walk = 0.0;
  for (const double sign : {1.0, -1.0}) {
    ShipPlant ship(p);
    run(ship, ShipInput{0.0, 0.5}, 60.0);
    run(ship, ShipInput{sign * 0.3, 0.5}, 30.0);
    CHECK(sign * ship.state()[ShipPlant::kR] > 0.05);
    CHECK(sign * ship.state()[ShipPlant::kV] < -0.3);  // the stern swings out
    CHECK(ship.state()[ShipPlant::kU] < 3.1);          // speed is lost in the turn
  }
}

TEST_CASE("ship: rudder works against its sign astern") {
  ShipPlant ship = ship_at(-1.5, 0.0);
  const auto dx = ship.derivative(ship.state(), ShipInput{});
  auto x = ship.state();
  x[ShipPlant::kRudder] = 0.3;
  CHECK(ship.derivative(x, ShipInput{})[ShipPlant::kR] < dx[ShipPlant::kR]);
}

TEST_CASE("ship: rudder loses lift beyond the stall") {
  ShipPlant ship = ship_at(3.0, 0.3);
  const auto moment = [&ship](double rudder) {
    auto x = ship.state();
    x[ShipPlant::kRudder] = rudder;
    return ship.derivative(x, ShipInput{})[ShipPlant::kR];
  };
  CHECK(moment(0.4) > moment(0.2));
  CHECK(moment(0.75) < moment(0.45));
}

TEST_CASE("ship: steering gear keeps its rate, the shaft its lag") {
  ShipPlant ship;
  ship.step(ShipInput{1.0, 1.0}, 1.0);
  CHECK(ship.state()[ShipPlant::kRudder] == doctest::Approx(0.2618).epsilon(1e-6));
  CHECK(ship.state()[ShipPlant::kShaft] ==
        doctest::Approx(ship.shaft_rate_wanted(1.0) * (1 - std::exp(-1 / 0.6))));
  run(ship, ShipInput{1.0, 1.0}, 10.0);
  CHECK(ship.state()[ShipPlant::kRudder] <= 0.6109);
}

TEST_CASE("ship: thrust falls with speed and is weaker astern") {
  const ShipPlant ship;
  CHECK(ship.thrust(7.0, 0.0) > ship.thrust(7.0, 2.0));
  CHECK(ship.thrust(7.0, 2.0) > ship.thrust(7.0, 4.0));
  CHECK(-ship.thrust(-7.0, 0.0) < 0.8 * ship.thrust(7.0, 0.0));
}

TEST_CASE("ship: drifts with the current, and is pushed by the wind") {
  ShipPlant ship;
  run(ship, ShipInput{0.0, 0.0, {0.0, 0.0}, {0.3, -0.4}}, 900.0);
  // Sailing with the water: velocity over ground becomes the current's.
  const auto& x = ship.state();
  const double c = std::cos(x[ShipPlant::kPsi]), s = std::sin(x[ShipPlant::kPsi]);
  CHECK(c * x[ShipPlant::kU] - s * x[ShipPlant::kV] == doctest::Approx(0.3).epsilon(0.15));
  CHECK(s * x[ShipPlant::kU] + c * x[ShipPlant::kV] == doctest::Approx(-0.4).epsilon(0.15));

  ShipPlant windy;
  run(windy, ShipInput{0.0, 0.0, {0.0, 10.0}, {0.0, 0.0}}, 20.0);
  CHECK(windy.state()[ShipPlant::kY] > 0.5);
}

TEST_CASE("ship: current alone does not change the motion through the water") {
  // A uniform current is a change of frame: the heading history must be the same, the track shifted by the
  // drift.
  ShipPlant still = ship_at(2.0, 0.4), moved = ship_at(2.0, 0.4);
  auto x = moved.state();
  x[ShipPlant::kU] += 0.5;  // the same speed through the water
  x[ShipPlant::kV] += 0.2;
  moved.set_state(x);
  const ShipInput calm{0.3, 0.4};
  const ShipInput flow{0.3, 0.4, {0.0, 0.0}, {0.5, 0.2}};
  run(still, calm, 30.0);
  run(moved, flow, 30.0);
  // Wind resistance of the topside sees the ground, so allow for it.
  CHECK(moved.state()[ShipPlant::kPsi] == doctest::Approx(still.state()[ShipPlant::kPsi]).epsilon(0.02));
  CHECK(moved.state()[ShipPlant::kX] - 15.0 == doctest::Approx(still.state()[ShipPlant::kX]).epsilon(0.02));
  CHECK(moved.state()[ShipPlant::kY] - 6.0 == doctest::Approx(still.state()[ShipPlant::kY]).epsilon(0.02));
}

TEST_CASE("ship: energy is not made from nothing") {
  ShipPlant ship = ship_at(3.0, 0.0);
  auto x = ship.state();
  x[ShipPlant::kV] = 1.0, x[ShipPlant::kR] = 0.3, x[ShipPlant::kShaft] = 0.0;
  ship.set_state(x);
  double before = 1e18;
  for (int i = 0; i < 200; ++i) {
    const auto& s = ship.state();
    const double u = s[ShipPlant::kU], v = s[ShipPlant::kV], r = s[ShipPlant::kR];
    const double energy =
        0.5 * (25900 * u * u + 34000 * v * v + 279000 * r * r) + (23800 * 0.46 + 300) * v * r;
    CHECK(energy < before);
    before = energy;
    ship.step(ShipInput{}, 0.1);
  }
}

TEST_CASE("car: goes straight, reaches what force against drag allows, and stops without rolling back") {
  CarPlant car;
  run(car, CarInput{0.0, 1500.0}, 60.0);
  CHECK(std::abs(car.state()[CarPlant::kY]) < 1e-9);
  CHECK(car.state()[CarPlant::kVx] > 35.0);
  run(car, CarInput{0.0, -6000.0}, 30.0);
  CHECK(std::abs(car.state()[CarPlant::kVx]) < 0.05);
  const double x = car.state()[CarPlant::kX];
  run(car, CarInput{0.0, -6000.0}, 5.0);
  CHECK(car.state()[CarPlant::kX] == doctest::Approx(x).epsilon(1e-6));
}

TEST_CASE("car: turns left for positive steering, near the kinematic radius when slow") {
  for (const double sign : {1.0, -1.0}) {
    CarPlant car = car_at(3.0);
    run(car, CarInput{sign * 0.2, 260.0}, 3.0);
    const auto& x = car.state();
    CHECK(x[CarPlant::kR] == doctest::Approx(sign * x[CarPlant::kVx] * std::tan(0.2) / 2.7).epsilon(0.06));
  }
}

TEST_CASE("car: lateral acceleration saturates at the friction, and understeers before") {
  CarPlant car = car_at(15.0);
  run(car, CarInput{0.05, 400.0}, 3.0);
  const double kinematic = car.state()[CarPlant::kVx] * std::tan(0.05) / 2.7;
  CHECK(car.state()[CarPlant::kR] < 0.97 * kinematic);
  CHECK(car.state()[CarPlant::kR] > 0.6 * kinematic);
  run(car, CarInput{0.5, 2000.0}, 2.0);
  CHECK(std::abs(car.state()[CarPlant::kR] * car.state()[CarPlant::kVx]) < 1.1 * 9.81);
}

TEST_CASE("car: braking loads the front axle and cannot exceed the friction") {
  CarPlant car = car_at(30.0);
  run(car, CarInput{0.0, -11000.0, {0.0, 0.0}, 0.4}, 1.0);
  CHECK(car.state()[CarPlant::kAx] < -3.0);
  CHECK(car.state()[CarPlant::kAx] > -0.4 * 9.81 - 0.5);
}

TEST_CASE("car: starts and turns from standstill without a jump") {
  CarPlant car;
  double before = 0.0;
  for (int i = 0; i < 1000; ++i) {
    car.step(CarInput{0.3, 1500.0}, 0.01);
    CHECK(std::abs(car.state()[CarPlant::kR] - before) < 0.05);
    before = car.state()[CarPlant::kR];
  }
  CHECK(before > 0.2);
}

TEST_CASE("plants give the same bits however the time is asked for") {
  ShipPlant a, b;
  CarPlant c, d;
  for (int i = 0; i < 100; ++i) {
    a.step(ShipInput{0.2, 0.6}, 0.04);
    b.step(ShipInput{0.2, 0.6}, 0.02), b.step(ShipInput{0.2, 0.6}, 0.02);
    c.step(CarInput{0.1, 800.0}, 0.004);
    d.step(CarInput{0.1, 800.0}, 0.002), d.step(CarInput{0.1, 800.0}, 0.002);
  }
  CHECK(a.state() == b.state());
  CHECK(c.state() == d.state());
}
