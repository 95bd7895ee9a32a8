// Models against finite differences, and their signs and published figures.
#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <random>

#include "giljabi/models/bicycle.hpp"
#include "giljabi/models/bicycle_dynamic.hpp"
#include "giljabi/models/lipm.hpp"
#include "giljabi/models/quadrotor.hpp"
#include "giljabi/models/rigid_body.hpp"
#include "giljabi/models/vessel.hpp"
#include "giljabi/models/vessel_mmg.hpp"
#include "giljabi/models/vessel_rudder.hpp"
#include "giljabi/solver/integrator.hpp"

using namespace giljabi;

namespace {

using Complex = std::complex<double>;

// Random state and input of moderate size, parameters that switch every constraint on.
template <class Model>
struct Sample {
  double x[Model::nx], u[Model::nu], p[Model::np > 0 ? Model::np : 1];
  explicit Sample(unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> range(-1.0, 1.0);
    for (double& v : x) v = range(random);
    for (double& v : u) v = range(random);
    for (double& v : p) v = 1.5 + range(random);
  }
};

// Sensitivities of the step by the complex step method (Squire, Trapp 1998): exact to rounding.
template <class Model>
void check_sensitivities(const Model& model, double dt) {
  using Integrator = solver::RungeKutta4<Model>;
  constexpr int nx = Model::nx, nu = Model::nu, nzp = Integrator::nzp;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const Sample<Model> at(seed);
    double next[nx], plain[nx], ba[nx * nzp] = {};
    Integrator::linearize(model, at.x, at.u, at.p, dt, next, ba);
    Integrator::step(model, at.x, at.u, at.p, dt, plain);
    for (int i = 0; i < nx; ++i) CHECK(next[i] == doctest::Approx(plain[i]).epsilon(1e-14));
    for (int j = 0; j < nu + nx; ++j) {
      Complex x[nx], u[nu], out[nx];
      for (int i = 0; i < nx; ++i) x[i] = at.x[i];
      for (int i = 0; i < nu; ++i) u[i] = at.u[i];
      (j < nu ? u[j] : x[j - nu]) += Complex(0.0, 1e-30);
      Integrator::step(model, x, u, at.p, dt, out);
      for (int i = 0; i < nx; ++i) {
        CAPTURE(i);
        CAPTURE(j);
        CHECK(ba[i * nzp + j] == doctest::Approx(out[i].imag() / 1e-30).epsilon(1e-11).scale(1.0));
      }
    }
    for (int i = 0; i < nx; ++i)
      for (int j = nu + nx; j < nzp; ++j) CHECK(ba[i * nzp + j] == 0.0);
  }
}

// Constraint gradients by long double central differences.
template <class Model>
void check_constraints(const Model& model) {
  constexpr int nx = Model::nx, nh = Model::nh;
  using S = solver::Sparsity<Model>;
  using D = solver::Dual<S::constraint_colours.count>;
  const Sample<Model> at(7);
  D x[nx], h[nh];
  for (int i = 0; i < nx; ++i) {
    x[i] = D(at.x[i]);
    x[i].set_slope(S::constraint_colours.of[static_cast<std::size_t>(S::nu + i)], 1.0);
  }
  model.constraints(x, at.p, h);
  for (int j = 0; j < nx; ++j) {
    long double up[nx], down[nx], high[nh], low[nh];
    for (int i = 0; i < nx; ++i) up[i] = down[i] = at.x[i];
    up[j] += 1e-6L;
    down[j] -= 1e-6L;
    model.constraints(up, at.p, high);
    model.constraints(down, at.p, low);
    for (int r = 0; r < nh; ++r) {
      const double expected = static_cast<double>((high[r] - low[r]) / 2e-6L);
      const bool there = solver::has(S::constraints[static_cast<std::size_t>(r)], j);
      const double found =
          there ? h[r].slope(S::constraint_colours.of[static_cast<std::size_t>(S::nu + j)]) : 0.0;
      CHECK(found == doctest::Approx(expected).epsilon(1e-9).scale(1.0));
    }
  }
}

}  // namespace

TEST_CASE("sensitivities of the integration step equal the complex step") {
  check_sensitivities(models::Bicycle<4, true>{}, 0.05);
  check_sensitivities(models::Vessel<3, false>{}, 1.0);
  check_sensitivities(models::VesselRudder<4, true>{}, 1.0);
  check_sensitivities(models::Quadrotor<false, false>{}, 0.05);
  models::Quadrotor<true, true> multirotor;
  multirotor.drag_x = 0.3, multirotor.drag_y = 0.2, multirotor.drag_z = 0.1;
  check_sensitivities(multirotor, 0.02);
  check_sensitivities(models::Lipm<8>{}, 0.1);
  models::BicycleDynamic<4, true> car;
  car.blend_speed = 0.2;  // so that the samples see both of its halves
  check_sensitivities(car, 0.01);
  check_sensitivities(models::VesselMmg<4, true>{}, 0.2);
  check_sensitivities(models::RigidBody<4>{}, 0.03);
}

TEST_CASE("constraint gradients equal central differences") {
  check_constraints(models::Bicycle<4, true>{});
  check_constraints(models::Bicycle<1, false>{});
  check_constraints(models::VesselRudder<4, true>{});
  check_constraints(models::Lipm<8>{});
  check_constraints(models::BicycleDynamic<4, true>{});
  check_constraints(models::VesselMmg<4, true>{});
}

TEST_CASE("structural zeros are found") {
  using S = solver::Sparsity<models::Bicycle<1, false>>;
  CHECK(S::directions.count == 6);             // both inputs, and every state but the place
  CHECK(!solver::has(S::step[3], S::nu + 2));  // speed does not depend on heading
  CHECK(solver::has(S::step[0], S::nu + 2));   // x does
  CHECK(solver::Sparsity<models::Vessel<3, false>>::directions.count == 8);
}

TEST_CASE("integration step is of fourth order") {
  const models::Vessel<3, false> model;
  using Integrator = solver::RungeKutta4<models::Vessel<3, false>>;
  const double x0[8] = {0, 0, 0.3, 0.25, 0.05, 0.1, 0.4, 0.05}, u[2] = {0.1, -0.02};
  const auto run = [&](int steps, double* to) {
    double now[8];
    std::copy(x0, x0 + 8, now);
    for (int i = 0; i < steps; ++i) {
      Integrator::step(model, now, u, nullptr, 1.0 / steps, to);
      std::copy(to, to + 8, now);
    }
  };
  double fine[8], coarse[8], exact[8];
  run(256, exact);
  run(8, coarse);
  run(16, fine);
  for (int i : {0, 1, 2, 4, 5}) {
    const double ratio = std::abs(coarse[i] - exact[i]) / std::abs(fine[i] - exact[i]);
    CHECK(ratio > 12.0);  // 16 in the limit
    CHECK(ratio < 20.0);
  }
}

TEST_CASE("positive rudder and positive steering turn to port") {
  const models::VesselRudder<4, true> ship;
  double x[8] = {0, 0, 0, 0.5, 0, 0, 1.0, 0.2}, u[2] = {0, 0}, f[8];
  const double p[solver::Sparsity<models::VesselRudder<4, true>>::np] = {};
  ship.dynamics(x, u, p, f);
  CHECK(f[5] > 0.0);  // yaw acceleration
  CHECK(f[4] < 0.0);  // the stern is pushed to starboard first
  x[7] = -0.2;
  ship.dynamics(x, u, p, f);
  CHECK(f[5] < 0.0);
  const models::Bicycle<4, true> car;
  const double at[6] = {0, 0, 0, 10, 0.1, 0};
  double g[6];
  car.dynamics(at, u, p, g);
  CHECK(g[2] == doctest::Approx(10.0 * std::tan(0.1) / 2.7));
  CHECK(g[0] == 10.0);
}

TEST_CASE("damping takes energy out of a drifting, turning hull") {
  const models::Vessel<3, false> hull;
  const double u[2] = {0, 0};
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Sample<models::Vessel<3, false>> at(seed);
    at.x[3] *= 0.5, at.x[4] *= 0.1, at.x[5] *= 0.1, at.x[6] = at.x[7] = 0.0;
    double f[8];
    hull.dynamics(at.x, u, at.p, f);
    // d/dt of 1/2 nu' M nu; Coriolis does no work.
    const double v = at.x[4], r = at.x[5];
    const double power = hull.m11 * at.x[3] * f[3] + v * (hull.m22 * f[4] + hull.m23 * f[5]) +
                         r * (hull.m23 * f[4] + hull.m33 * f[5]);
    CHECK(power <= 1e-12);
  }
}

TEST_CASE("a disc of radius 0 and a corridor without normal constrain nothing") {
  using Place = models::KeepOut<4, true>;
  double p[Place::np] = {}, h[Place::nh];
  p[16] = p[17] = 5.0;
  Place::evaluate(0.0, 0.0, p, h);
  for (double value : h) CHECK(value > 0.0);
  p[0] = 3.0, p[2] = 2.0;  // disc 1 at (3, 0), radius 2
  Place::evaluate(1.0, 0.0, p, h);
  CHECK(h[0] == doctest::Approx(0.0));
  p[15] = 1.0;  // normal +y: left is +y
  Place::evaluate(0.0, 6.0, p, h);
  CHECK(h[4] == doctest::Approx(-1.0));
  CHECK(h[5] == doctest::Approx(11.0));
}

TEST_CASE("a quadrotor hovers, climbs, and turns as its rotors say") {
  const models::Quadrotor<true, false> m;
  double x[13] = {0, 0, 2, 1}, f[13];
  const double hover = m.mass * m.gravity / 4;
  const double u[4] = {hover, hover, hover, hover};
  m.dynamics(x, u, nullptr, f);
  for (double value : f) CHECK(value == doctest::Approx(0.0).epsilon(1e-12).scale(1.0));
  const auto turned = [&](double a, double b, double c, double d) {
    const double rotors[4] = {hover + a, hover + b, hover + c, hover + d};
    m.dynamics(x, rotors, nullptr, f);
  };
  turned(0, 0.1, 0, 0.1);  // both rotors to port (y > 0): rolls to starboard, about +x
  CHECK(f[10] == doctest::Approx(0.2 * 0.1 / 0.0025));
  CHECK(f[11] == doctest::Approx(0.0).scale(1.0));
  turned(0.1, 0, 0, 0.1);  // both in front: nose up, about -y
  CHECK(f[11] == doctest::Approx(-0.2 * 0.075 / 0.0021));
  turned(0, 0, 0.1, 0.1);  // both that push anticlockwise
  CHECK(f[12] == doctest::Approx(0.2 * 0.022 / 0.0043));
  x[3] = std::cos(0.1),
  x[5] = std::sin(0.1);  // 0.2 rad about +y: the nose is down, the thrust points forward
  turned(0, 0, 0, 0);
  CHECK(f[7] == doctest::Approx(m.gravity * std::sin(0.2)));
  CHECK(f[9] == doctest::Approx(m.gravity * (std::cos(0.2) - 1.0)));
}

TEST_CASE(
    "a quadrotor's rotation keeps the length of its quaternion and, without thrust, its angular momentum") {
  models::Quadrotor<true, false> m;
  m.drag_x = 0.4, m.drag_y = 0.2, m.drag_z = 0.1;
  const double u[4] = {};
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const Sample<models::Quadrotor<true, false>> at(seed);
    double f[13];
    m.dynamics(at.x, u, nullptr, f);
    const double *q = at.x + 3, *v = at.x + 7, *w = at.x + 10;
    CHECK(q[0] * f[3] + q[1] * f[4] + q[2] * f[5] + q[3] * f[6] ==
          doctest::Approx(0.0).epsilon(1e-12).scale(1.0));
    const double J[3] = {m.inertia_x, m.inertia_y, m.inertia_z};
    double energy = 0.0, momentum = 0.0;  // d/dt of 1/2 w'Jw and of 1/2 |Jw|^2
    for (int i = 0; i < 3; ++i) energy += J[i] * w[i] * f[10 + i], momentum += J[i] * J[i] * w[i] * f[10 + i];
    CHECK(energy == doctest::Approx(0.0).scale(1e-3));
    CHECK(momentum == doctest::Approx(0.0).scale(1e-5));
    CHECK(v[0] * f[7] + v[1] * f[8] + v[2] * (f[9] + m.gravity) < 0.0);  // drag takes energy
  }
}

TEST_CASE("rotor drag acts in the body's axes, and thrusts lag behind commands") {
  models::Quadrotor<true, true> m;
  m.drag_x = 0.3;
  const double half = std::sqrt(0.5);
  double x[17] = {0, 0, 0, half, 0, 0, half, 1, 2, 0}, f[17];  // nose to +y
  x[13] = 1.0;
  const double u[4] = {1.0, 2.0, 0.0, 0.0};
  m.dynamics(x, u, nullptr, f);
  CHECK(f[7] == doctest::Approx(0.0).scale(1.0));
  CHECK(f[8] == doctest::Approx(-0.3 * 2.0 / m.mass));
  CHECK(f[13] == 0.0);
  CHECK(f[14] == doctest::Approx(2.0 / m.motor_lag));
}

TEST_CASE("a pendulum's step is exact, and its zero-moment point is where its acceleration says") {
  using Model = models::Lipm<0>;
  const Model m;
  const double x0[6] = {0.1, -0.2, 0.3, 0.4, 0.05, -0.1}, u[2] = {2.0, -3.0}, t = 0.3, h = 0.8 / 9.81;
  double to[6];
  solver::RungeKutta4<Model>::step(m, x0, u, nullptr, t, to);
  for (int i = 0; i < 2; ++i) {
    const double a = (x0[i] - x0[4 + i]) / h, v = x0[2 + i];  // constant jerk from here
    CHECK(to[i] == doctest::Approx(x0[i] + v * t + a * t * t / 2 + u[i] * t * t * t / 6).epsilon(1e-13));
    CHECK(to[2 + i] == doctest::Approx(v + a * t + u[i] * t * t / 2).epsilon(1e-13));
    CHECK((to[i] - to[4 + i]) / h == doctest::Approx(a + u[i] * t).epsilon(1e-12));
  }
  double p[24] = {}, room[8];
  p[0] = 0.6, p[1] = 0.8, p[2] = 0.5;  // an edge half a metre away
  models::Lipm<8>{}.constraints(x0, p, room);
  CHECK(room[0] == doctest::Approx(0.5 - 0.6 * 0.05 + 0.8 * 0.1));
  CHECK(room[1] == 0.0);  // no normal: the offset alone
}

TEST_CASE("a standing body rests, a push turns it, a foot in the air does nothing") {
  using Model = models::RigidBody<4>;
  const Model m;
  double x[12] = {}, u[12] = {}, f[12], h[16];
  double p[Model::np] = {0.0, 0.3, 0.2, -0.5, 0.3, -0.2, -0.5, -0.3, 0.2, -0.5, -0.3, -0.2, -0.5, 1, 1, 1, 1};
  for (int i = 0; i < 4; ++i) u[3 * i + 2] = m.mass * m.gravity / 4;
  m.dynamics(x, u, p, f);
  for (double value : f) CHECK(value == doctest::Approx(0.0).epsilon(1e-12).scale(1.0));
  m.mixed_constraints(x, u, p, h);
  for (double room : h) CHECK(room == doctest::Approx(m.friction * u[2]));
  u[0] = 10.0;  // foot 1 is pushed forward: the body pitches nose up (about -y) and yaws to starboard
  m.dynamics(x, u, p, f);
  CHECK(f[9] == doctest::Approx(10.0 / m.mass));
  CHECK(f[7] == doctest::Approx(10.0 * -0.5 / m.inertia_y));
  CHECK(f[8] == doctest::Approx(-10.0 * 0.2 / m.inertia_z));
  m.mixed_constraints(x, u, p, h);
  CHECK(h[0] == doctest::Approx(m.friction * u[2] - 10.0));
  CHECK(h[1] == doctest::Approx(m.friction * u[2] + 10.0));
  p[13] = 0.0;
  m.dynamics(x, u, p, f);
  CHECK(f[9] == 0.0);
  CHECK(f[11] == doctest::Approx(-m.gravity / 4));
  u[0] = 900.0;
  m.mixed_constraints(x, u, p, h);
  CHECK(h[0] > 0.0);  // no friction limit in the air
  // Turned by a quarter, with feet and forces given in the map: the roll axis is the map's y.
  p[13] = 1.0, p[0] = 1.5707963267948966, x[7] = 0.4, u[0] = 0.0, u[1] = 8.0;
  m.dynamics(x, u, p, f);
  CHECK(f[0] == doctest::Approx(0.4));
  CHECK(f[1] == doctest::Approx(0.0).scale(1.0));
  CHECK(f[6] == doctest::Approx(8.0 * 0.5 / m.inertia_y));  // about the map's x: the body's pitch
}
