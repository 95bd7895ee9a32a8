// The optimal-control solver: convergence, statuses, no allocation, nothing that is not finite comes out.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "allocations.hpp"
#include "giljabi/models/bicycle.hpp"
#include "giljabi/models/lipm.hpp"
#include "giljabi/models/quadrotor.hpp"
#include "giljabi/models/rigid_body.hpp"
#include "giljabi/solver/ocp.hpp"

using namespace giljabi;
using solver::Status;

namespace {

using Car = solver::Ocp<models::Bicycle<1, false>>;
constexpr double start[6] = {0, 0, 0.3, 8, 0, 0};

// Straight reference at 10 m/s, a disc just beside it that has to be passed.
void pose(Car& car) {
  const double weights[6] = {1, 1, 5, 1, 1, 0.1};
  for (int i = 0; i < 6; ++i) {
    car.state_weights.row(0)[i] = weights[i];
    car.terminal_weights.row(0)[i] = 10 * weights[i];
  }
  car.input_weights.row(0)[1] = 0.01;
  for (int k = 0; k <= car.horizon(); ++k) {
    car.x_ref.row(k)[0] = 10 * car.dt() * k;
    car.x_ref.row(k)[3] = 10;
    car.x_lower.row(k)[3] = 0, car.x_upper.row(k)[3] = 15;
    car.x_lower.row(k)[4] = -0.5, car.x_upper.row(k)[4] = 0.5;
    car.x_lower.row(k)[5] = -6, car.x_upper.row(k)[5] = 3;
    double* p = car.parameters.row(k);
    p[0] = 12, p[1] = -0.3, p[2] = 2;
    for (int i = 0; i < 6; ++i) car.x.row(k)[i] = start[i];
    if (k == car.horizon()) continue;
    car.u_lower.row(k)[0] = -0.8, car.u_upper.row(k)[0] = 0.8;
    car.u_lower.row(k)[1] = -10, car.u_upper.row(k)[1] = 10;
    car.u.row(k)[0] = car.u.row(k)[1] = 0;
  }
  car.forget();
}

bool finite(const solver::Table& t) {
  for (double v : t.data)
    if (!std::isfinite(v)) return false;
  return true;
}

void check_usable(const Car& car, const solver::Report& report) {
  CHECK(finite(car.x));
  CHECK(finite(car.u));
  CHECK(std::isfinite(report.cost));
  CHECK(std::isfinite(report.worst.violation));
  CHECK(std::isfinite(report.residuals.stationarity));
  for (int i = 0; i < 2; ++i) {
    CHECK(car.u.row(0)[i] >= car.u_lower.row(0)[i]);
    CHECK(car.u.row(0)[i] <= car.u_upper.row(0)[i]);
  }
}

}  // namespace

TEST_CASE("a cold start converges to first-order conditions, and keeps out of the disc") {
  Car car(40, 0.05);
  pose(car);
  const auto report = car.solve(start, 100);
  CHECK(report.status == Status::converged);
  CHECK(report.residuals.stationarity <= 1e-6);
  CHECK(report.residuals.dynamics <= 1e-6);
  CHECK(report.residuals.complementarity <= 1e-6);
  CHECK(report.worst.violation < 1e-4);
  // The optimum is one: no neighbour along random feasible input changes is cheaper.
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0.0, 1e-3);
  for (int trial = 0; trial < 50; ++trial) {
    solver::Table x = car.x, u = car.u;
    for (int k = 0; k < 40; ++k) {
      for (int i = 0; i < 2; ++i)
        u.row(k)[i] =
            std::fmin(std::fmax(u.row(k)[i] + normal(random), car.u_lower.row(k)[i]), car.u_upper.row(k)[i]);
      car.simulate(x.row(k), u.row(k), car.parameters.row(k), 0.05, 1, x.row(k + 1));
      for (int i = 0; i < 6; ++i)
        x.row(k + 1)[i] =
            std::fmin(std::fmax(x.row(k + 1)[i], car.x_lower.row(k + 1)[i]), car.x_upper.row(k + 1)[i]);
    }
    CHECK(car.cost(x, u) >= report.cost - 1e-7);
  }
}

TEST_CASE("real-time iterations reach the same optimum as the full solve") {
  Car full(40, 0.05), rti(40, 0.05);
  pose(full);
  pose(rti);
  const auto solved = full.solve(start, 100);
  solver::Report report;
  for (int i = 0; i < 40; ++i) {
    rti.prepare();
    report = rti.feedback(start);
  }
  CHECK(report.status == Status::converged);
  CHECK(report.cost == doctest::Approx(solved.cost).epsilon(1e-6));
  for (int i = 0; i < 2; ++i)
    CHECK(rti.u.row(0)[i] == doctest::Approx(full.u.row(0)[i]).epsilon(1e-3).scale(1.0));
}

namespace {
double ticks = 0.0;  // a clock that moves by 10 us whenever it is read
double tick() { return ticks += 10.0; }
}  // namespace

TEST_CASE("a time budget ends the iterations before it is spent, and the report says so") {
  Car free(40, 0.05), bound(40, 0.05);
  pose(free);
  pose(bound);
  CHECK(free.feedback(start).qp_iterations > 5);
  bound.budget().clock = &tick;
  for (const double limit : {1.0, 55.0}) {
    bound.budget().limit = limit;
    const auto report = bound.feedback(start);
    CHECK(report.limit == solver::Limit::time);
    CHECK(report.qp_iterations == (limit < 10.0 ? 1 : 4));
    CHECK(report.status != Status::converged);
    check_usable(bound, report);
    bound.forget();
  }
  bound.budget().limit = 300.0;
  const double before = ticks + 10.0;  // what the first look at the clock reads
  const auto solved = bound.solve(start, 100);
  CHECK(solved.limit == solver::Limit::time);
  CHECK(solved.status != Status::converged);
  CHECK(ticks - before <= 300.0);
  check_usable(bound, solved);
  bound.budget().limit = HUGE_VAL;
  const auto full = bound.solve(start, 100);
  CHECK(full.limit == solver::Limit::none);
  CHECK(full.status == Status::converged);
  CHECK(ticks - before <= 300.0);  // without a limit nobody looks at the clock
  CHECK(bound.solve(start, 100).iterations == 1);
}

TEST_CASE("nothing allocates after construction") {
  Car car(40, 0.05);
  pose(car);
  double x[6];
  std::copy(start, start + 6, x);
  const std::size_t before = tests::allocations();
  car.solve(start, 50);
  for (int i = 0; i < 20; ++i) {
    car.prepare();
    car.feedback(x);
    car.simulate(x, car.u.row(0), car.parameters.row(0), 0.05, 10, x);
    car.shift();
  }
  CHECK(tests::allocations() == before);
}

TEST_CASE("the same input gives the same bytes") {
  Car one(40, 0.05), two(40, 0.05);
  pose(one);
  pose(two);
  for (int i = 0; i < 5; ++i) one.feedback(start), two.feedback(start);
  CHECK(one.x.data == two.x.data);
  CHECK(one.u.data == two.u.data);
}

TEST_CASE("numbers that are not finite, or huge, give a status and leave the trajectory usable") {
  const double bad[] = {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, -1e300, 1e160};
  for (double value : bad) {
    CAPTURE(value);
    for (int slot = 0; slot < 6; ++slot) {
      Car car(20, 0.05);
      pose(car);
      car.feedback(start);
      double x[6];
      std::copy(start, start + 6, x);
      x[slot] = value;
      const auto report = car.feedback(x);
      check_usable(car, report);
      CHECK(report.status != Status::converged);
      check_usable(car, car.solve(x, 10));
    }
    Car car(20, 0.05);
    pose(car);
    car.x_ref.row(5)[2] = value;
    const auto reference = car.feedback(start);
    for (double u : car.u.data) CHECK(std::isfinite(u));
    CHECK(reference.status != Status::converged);
    Car disc(20, 0.05);
    pose(disc);
    disc.parameters.row(5)[0] = value;
    disc.feedback(start);
    for (double u : disc.u.data) CHECK(std::isfinite(u));
  }
}

TEST_CASE("it recovers after bad input") {
  Car car(40, 0.05);
  pose(car);
  const auto good = car.solve(start, 100);
  double x[6];
  std::copy(start, start + 6, x);
  x[0] = std::nan("");
  CHECK(car.feedback(x).status == Status::bad_input);
  CHECK(car.feedback(start).cost == doctest::Approx(good.cost).epsilon(1e-6));
}

TEST_CASE("a bound that cannot be kept is named, and the others hold") {
  Car car(40, 0.05);
  pose(car);
  double x[6] = {0, 0, 0, 20, 0, 0};  // 5 m/s above its bound
  const auto report = car.solve(x, 100);
  check_usable(car, report);
  CHECK(report.status == Status::infeasible);
  CHECK(report.worst.kind == solver::Kind::state_upper);
  CHECK(report.worst.index == 3);
  CHECK(report.worst.stage == 1);
  CHECK(report.worst.violation == doctest::Approx(5.0).epsilon(0.05));
  CHECK(car.x.row(40)[3] <= 15.0 + 1e-6);  // it brakes as hard as it may
  CHECK(car.u.row(0)[1] == doctest::Approx(-10.0));
}

TEST_CASE("an obstacle on top of the vehicle is violated no more than needed, and named") {
  Car car(40, 0.05);
  pose(car);
  for (int k = 0; k <= 40; ++k) {
    double* p = car.parameters.row(k);
    p[0] = 0.5, p[1] = 0.2;
  }
  const auto report = car.solve(start, 200);
  check_usable(car, report);
  CHECK(report.worst.kind == solver::Kind::constraint);
  CHECK(report.worst.violation > 0.5);
  CHECK(report.worst.stage == 1);
  CHECK(report.status != Status::infeasible);  // the disc is soft
  car.options.soft_limit = 0.1;
  CHECK(car.solve(start, 200).status == Status::infeasible);
}

TEST_CASE("random problems always give a status and finite numbers") {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> unit(-1.0, 1.0);
  std::uniform_int_distribution<int> pick(0, 7);
  for (int trial = 0; trial < 300; ++trial) {
    CAPTURE(trial);
    Car car(trial % 3 == 0 ? 1 : 1 + trial % 25, trial % 5 == 0 ? 1e-6 : trial % 7 == 0 ? 5.0 : 0.05);
    pose(car);
    const int kind = pick(random);
    for (int k = 0; k <= car.horizon(); ++k) {
      if (kind == 1) car.x_lower.row(k)[3] = 11, car.x_upper.row(k)[3] = 12;  // the reference is outside
      if (kind == 2) car.parameters.row(k)[0] = 10 * unit(random), car.parameters.row(k)[1] = unit(random);
      if (kind == 3) car.parameters.row(k)[2] = std::abs(unit(random)) * 1e-6;
      if (kind == 4) car.x_lower.row(k)[2] = car.x_upper.row(k)[2] = 0.1;  // no room at all
    }
    if (kind == 5)
      for (int i = 0; i < 6; ++i) car.state_weights.row(0)[i] = car.terminal_weights.row(0)[i] = 0;
    if (kind == 6) car.input_weights.row(0)[0] = car.input_weights.row(0)[1] = 0;
    if (kind == 7) car.penalty_l1.row(0)[0] = 1e8, car.penalty_l2.row(0)[0] = 0;
    double x[6];
    for (int i = 0; i < 6; ++i) x[i] = start[i] + (trial % 4) * unit(random);
    for (int i = 0; i < 4; ++i) {
      check_usable(car, car.feedback(x));
      car.shift();
    }
    check_usable(car, car.solve(x, 30));
  }
}

TEST_CASE("which models may have several minima is found from their equations") {
  using solver::Sparsity;
  CHECK(Sparsity<models::Bicycle<1, false>>::several_minima);
  CHECK(!Sparsity<models::Lipm<8>>::several_minima);                  // linear
  CHECK(!Sparsity<models::RigidBody<4>>::several_minima);             // on inputs alone
  CHECK(!Sparsity<models::Quadrotor<false, false>>::several_minima);  // no constraints
  CHECK(Sparsity<models::Quadrotor<false, false>>::traced.curved);
}

TEST_CASE("a kick that violates bounds takes few iterations, and ends where a cold start does") {
  using Quadrotor = models::Quadrotor<false, false>;
  const auto hover = [](solver::Ocp<Quadrotor>& ocp) {
    for (int i = 0; i < 13; ++i) {
      const double weight = i < 3 ? 10.0 : i < 7 ? 5.0 : i < 10 ? 1.0 : 0.1;
      ocp.state_weights.row(0)[i] = weight;
      ocp.terminal_weights.row(0)[i] = 10.0 * weight;
    }
    for (int k = 0; k <= 20; ++k) ocp.x.row(k)[3] = ocp.x_ref.row(k)[3] = 1.0;
    for (int k = 0; k < 20; ++k) {
      for (int i = 0; i < 4; ++i) {
        ocp.input_weights.row(0)[i] = 0.1;
        ocp.u.row(k)[i] = ocp.u_ref.row(k)[i] = 0.25 * 0.752 * 9.81;
        ocp.u_lower.row(k)[i] = 0.0;
        ocp.u_upper.row(k)[i] = 8.5;
      }
    }
  };
  const double kicks[4][6] = {
      {3, 0, 0, 0, 0, 0}, {-3, 2, 1, 2, -3, 1}, {0, 0, -4, 6, 0, 0}, {4, 4, 0, 0, 0, 3}};
  int iterations = 0;
  for (const auto& kick : kicks) {
    solver::Ocp<Quadrotor> warm(20, 0.05), cold(20, 0.05);
    hover(warm), hover(cold);
    double x[13] = {};
    x[3] = 1.0;
    for (int i = 0; i < 5; ++i) warm.feedback(x);
    for (int i = 0; i < 6; ++i) x[7 + i] = kick[i];
    iterations += warm.feedback(x).qp_iterations;
    cold.feedback(x);
    double difference = 0.0;
    for (std::size_t i = 0; i < cold.u.data.size(); ++i)
      difference = std::max(difference, std::abs(warm.u.data[i] - cold.u.data[i]));
    CHECK(difference < 2e-3);
  }
  CHECK(iterations <= 32);
}
