// The car with tyres and the MMG ship: limits, signs, linear theory, turning circle.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "giljabi/models/bicycle.hpp"
#include "giljabi/models/bicycle_dynamic.hpp"
#include "giljabi/models/vessel_mmg.hpp"
#include "giljabi/solver/integrator.hpp"

using namespace giljabi;

namespace {

using Car = models::BicycleDynamic<4, true>;
using Ship = models::VesselMmg<4, true>;
constexpr double degree = 3.14159265358979323846 / 180.0;

template <class Model>
void run(const Model& model, double* x, const double* u, double duration, double dt) {
  double next[Model::nx];
  for (int i = 0; i < static_cast<int>(std::round(duration / dt)); ++i) {
    solver::RungeKutta4<Model>::step(model, x, u, nullptr, dt, next);
    std::copy(next, next + Model::nx, x);
  }
}

}  // namespace

TEST_CASE("a slow car rolls as the kinematic bicycle does, a standing one stays") {
  const Car car;
  const models::Bicycle<4, true> kinematic;
  double x[8] = {0, 0, 0.3, 1.5, 1.5 * std::tan(0.2) * 1.48 / 2.7, 1.5 * std::tan(0.2) / 2.7, 0.2, 0};
  double y[6] = {0, 0, 0.3, 1.5, 0.2, 0};
  const double rest[2] = {};
  run(car, x, rest, 2.0, 0.01);
  run(kinematic, y, rest, 2.0, 0.01);
  CHECK(x[0] == doctest::Approx(y[0]).epsilon(0.01));
  CHECK(x[1] == doctest::Approx(y[1]).epsilon(0.01));
  CHECK(x[2] == doctest::Approx(y[2]).epsilon(0.01));
  double stand[8] = {1, 2, 0.5, 0, 0, 0, 0.3, 0};
  run(car, stand, rest, 5.0, 0.05);
  CHECK(stand[0] == doctest::Approx(1.0).epsilon(1e-9));
  CHECK(stand[3] == doctest::Approx(0.0).scale(1.0));
  CHECK(std::abs(stand[5]) < 1e-9);
}

TEST_CASE("a fast car's turn is that of linear theory for small angles and saturates at the friction") {
  Car car;
  car.drag = 0.0;
  const double rest[2] = {}, v = 20.0, steering = 0.005;
  double x[8] = {0, 0, 0, v, 0, 0, steering, 0};
  run(car, x, rest, 4.0, 0.01);
  // Understeer gradient (Rajamani 2012, 3.3): r = v steering / (L + K v^2)
  const double front = (car.wheelbase - car.cg_to_rear) / car.wheelbase, rear = 1.0 - front;
  const double c_front = rear * car.mass * 9.81 * car.tyre_b_front * car.tyre_c;
  const double c_rear = front * car.mass * 9.81 * car.tyre_b_rear * car.tyre_c;
  const double gradient = car.mass * (rear / c_front - front / c_rear);
  CHECK(x[5] == doctest::Approx(x[3] * steering / (car.wheelbase + gradient * x[3] * x[3])).epsilon(0.01));
  for (double friction : {1.0, 0.3}) {
    car.friction = friction;
    double y[8] = {0, 0, 0, v, 0, 0, 0.4, 0}, f[8];
    car.dynamics(y, rest, nullptr, f);
    run(car, y, rest, 0.6, 0.005);
    car.dynamics(y, rest, nullptr, f);
    const double side = f[4] + y[3] * y[5];  // acceleration of the centre of gravity to port
    CHECK(side > 0.3 * friction * 9.81);
    CHECK(side < 1.001 * friction * 9.81);
  }
  car.friction = 1.0;
  double free[8] = {0, 0, 0, v, 0, 0, 0.05, 0}, braking[8] = {0, 0, 0, v, 0, 0, 0.05, -8.0}, f[8], b[8];
  car.dynamics(free, rest, nullptr, f);
  car.dynamics(braking, rest, nullptr, b);
  CHECK(f[4] > 0.0);
  CHECK(b[4] < 0.8 * f[4]);  // brakes take friction from the side force
}

TEST_CASE("the KVLCC2 model keeps its course, and turns as a full tanker does") {
  const Ship ship;
  // The shaft that keeps 1.179 m/s (15.5 knots at full scale).
  const double speed = 1.179;
  double low = 5.0, high = 20.0, f[8];
  const double rest[2] = {};
  for (int i = 0; i < 60; ++i) {
    const double shaft = 0.5 * (low + high);
    const double x[8] = {0, 0, 0, speed, 0, 0, shaft, 0};
    ship.dynamics(x, rest, nullptr, f);
    (f[3] > 0.0 ? high : low) = shaft;
  }
  CHECK(low > 8.0);
  CHECK(low < 13.0);
  // Turning circle at 35 degrees: full tankers need about three lengths; IMO's limits are 4.5 lengths of
  // advance and 5 of tactical diameter (MSC.137(76)).
  for (double side : {1.0, -1.0}) {
    double x[8] = {0, 0, 0, speed, 0, 0, low, side * 35.0 * degree}, advance = 0.0, diameter = 0.0;
    for (int i = 0; i < 4000 && diameter == 0.0; ++i) {
      run(ship, x, rest, 0.05, 0.05);
      const double turned = side * x[2];
      if (turned >= 90.0 * degree && advance == 0.0) advance = x[0];
      if (turned >= 180.0 * degree) diameter = side * x[1];
    }
    CAPTURE(side);
    CHECK(advance / ship.length == doctest::Approx(3.2).epsilon(0.1));
    CHECK(diameter / ship.length == doctest::Approx(3.2).epsilon(0.1));
    CHECK(x[3] < 0.6 * speed);  // a turn costs speed
  }
}

TEST_CASE("the MMG ship at rest stays, and its hull's forces take energy from a drift") {
  const Ship ship;
  const double rest[2] = {};
  double f[8], still[8] = {};
  ship.dynamics(still, rest, nullptr, f);
  for (double value : f) CHECK(std::abs(value) < 1e-6);
  for (double v : {-0.4, -0.1, 0.1, 0.4}) {
    const double drifting[8] = {0, 0, 0, 0.8, v, 0, 0, 0};
    ship.dynamics(drifting, rest, nullptr, f);
    CHECK(f[4] * v < 0.0);
    CHECK(f[3] < 0.0);
  }
}
