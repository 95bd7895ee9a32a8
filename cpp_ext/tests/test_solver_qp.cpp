// The interior point and its Riccati recursion against a dense solution of the same conditions.
#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <random>

#include "giljabi/solver/interior_point.hpp"

using namespace giljabi::solver;

namespace {

// 4 states, 2 inputs, 2 soft constraints: constraint 1 sees everything, constraint 2 sees states 1 to 3.
struct Small {
  static constexpr int nx = 4, nu = 2, nh = 2, nm = 1;
  static constexpr std::array<std::uint64_t, 1> mixed = {3};
  static constexpr std::array<std::uint64_t, 4> step = {63, 63, 63, 63};
  static constexpr std::array<std::uint64_t, 2> constraints = {15, 14};
};
constexpr int N = 6;
using Solver = InteriorPoint<Small>;
using Stage = Solver::Stage;
constexpr double l1[5] = {2, 2, 1e4, 1e4, 1e4}, l2[5] = {3, 3, 0, 0, 0};

void fill(Solver& qp, unsigned seed, double tightness) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, 1.0);
  qp.state_sides = {{1, 1.0}, {1, -1.0}, {3, -1.0}};
  for (int k = 0; k <= N; ++k) {
    Stage& st = qp.stage(k);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 6; ++j) st.ba[i * Stage::nzp + j] = 0.5 * normal(random);
      st.ba[i * Stage::nzp + 2 + i] += 0.7;
      st.gap[i] = 0.1 * normal(random);
    }
    for (int j = 0; j < 6; ++j) {
      st.weight[j] = 0.1 + std::abs(normal(random));
      st.gradient[j] = normal(random);
    }
    for (int i = 0; i < 4; ++i) st.input_room[i] = tightness * std::abs(normal(random)) + 0.01;
    for (int r = 0; r < 2; ++r) {
      for (int j = r; j < 4; ++j) st.row[r * Stage::nzp + 2 + j] = normal(random);
      if (r == 0)
        for (int j = 0; j < 2; ++j) st.row[j] = k < N ? normal(random) : 0.0;
      st.room[r] = tightness * normal(random);
    }
    for (int j = 2; j < 5; ++j) st.room[j] = tightness * std::abs(normal(random));
  }
}

double value(const Stage& problem, const Stage& st, int side, const std::vector<StateSide>& sides) {
  double sum = problem.room[side];
  if (side == 0) sum += st.row[0] * st.z[0] + st.row[1] * st.z[1];
  if (side < 2)
    for (int j = 0; j < 4; ++j) sum += st.row[side * Stage::nzp + 2 + j] * st.z[2 + j];
  else
    sum += sides[static_cast<std::size_t>(side - 2)].sign *
           st.z[2 + sides[static_cast<std::size_t>(side - 2)].state];
  return sum;
}

// Largest residual of the first-order conditions. The multipliers of the dynamics come from a dense
// least-squares fit of the stationarity conditions, so nothing of the recursion is trusted.
double worst_residual(const Solver& problem, const Solver& qp, const double* dx0) {
  const int n = N * 6 + 4, first_x = 2;  // variables (u0, x0), ..., (u_{N-1}, x_{N-1}), x_N
  Eigen::MatrixXd dynamics = Eigen::MatrixXd::Zero(4 * (N + 1), n);
  Eigen::VectorXd gradient = Eigen::VectorXd::Zero(n);
  double worst = 0.0;
  const auto grow = [&](double r) { worst = std::max(worst, std::abs(r)); };
  for (int k = 0; k <= N; ++k) {
    const Stage& st = qp.stage(k);
    const Stage& given = problem.stage(k);  // the solver moves its own copy
    const int at = 6 * k - (k == N ? 2 : 0);
    for (int j = (k == N ? 2 : 0); j < 6; ++j) gradient[at + j] += given.gradient[j] + st.weight[j] * st.z[j];
    for (int i = 0; i < 4; ++i) dynamics(4 * k + i, at + first_x + i) = -1.0;
    if (k == 0)
      for (int i = 0; i < 4; ++i) grow(st.z[2 + i] - dx0[i]);
    if (k < N) {
      for (int i = 0; i < 4; ++i) {
        double next = given.gap[i];
        for (int j = 0; j < 6; ++j) {
          dynamics(4 * (k + 1) + i, at + j) = st.ba[i * Stage::nzp + j];
          next += st.ba[i * Stage::nzp + j] * st.z[j];
        }
        grow(next - qp.stage(k + 1).z[2 + i]);
      }
      for (int i = 0; i < 4; ++i) {
        const double sign = i < 2 ? 1.0 : -1.0, room = given.input_room[i] + sign * st.z[i % 2];
        gradient[at + i % 2] -= sign * st.input_lambda[i];
        grow(std::min(room, 0.0));
        grow(std::min(st.input_lambda[i], 0.0));
        grow(st.input_lambda[i] * room);
      }
    }
    for (int i = (k == N ? 1 : 0); i < (k == 0 ? 1 : qp.sides()); ++i) {
      const double h = value(given, st, i, qp.state_sides), s = st.s[i], lambda = st.lambda[i];
      const double nu = l1[i] + l2[i] * s - lambda;  // stationarity of s
      grow(std::min(h + s, 0.0));
      grow(std::min(s, 0.0));
      grow(std::min(lambda, 0.0));
      grow(std::min(nu, 0.0) / l1[i]);
      grow(lambda * (h + s));
      grow(nu * s);
      if (i == 0)
        for (int j = 0; j < 2; ++j) gradient[at + j] -= lambda * st.row[j];
      if (i < 2)
        for (int j = 0; j < 4; ++j) gradient[at + first_x + j] -= lambda * st.row[i * Stage::nzp + 2 + j];
      else
        gradient[at + first_x + qp.state_sides[static_cast<std::size_t>(i - 2)].state] -=
            lambda * qp.state_sides[static_cast<std::size_t>(i - 2)].sign;
    }
  }
  const Eigen::VectorXd pi = dynamics.transpose().colPivHouseholderQr().solve(-gradient);
  grow((dynamics.transpose() * pi + gradient).cwiseAbs().maxCoeff());
  return worst;
}

void solve_and_check(unsigned seed, double tightness, bool warm) {
  CAPTURE(seed);
  CAPTURE(tightness);
  Solver qp(N), problem(N);
  const double input_width[4] = {1, 1, 1, 1}, width[5] = {1, 1, 1, 1, 1}, dx0[4] = {0.3, -0.2, 0.1, 0.4};
  fill(qp, seed, tightness);
  fill(problem, seed, tightness);
  qp.options.barrier_tolerance = qp.options.residual_tolerance = 1e-9;
  qp.options.max_iterations = 80;
  qp.set_sides(input_width, width, l1, l2);
  qp.start_cold();
  REQUIRE(qp.solve(dx0) == QpStatus::converged);
  if (warm) {  // another problem from the multipliers of this one
    fill(qp, seed + 1000, tightness);
    fill(problem, seed + 1000, tightness);
    qp.start_warm();
    REQUIRE(qp.solve(dx0) == QpStatus::converged);
  }
  CHECK(worst_residual(problem, qp, dx0) < 1e-7);
}

}  // namespace

TEST_CASE("first-order conditions hold from a cold start") {
  for (unsigned seed = 1; seed <= 40; ++seed) solve_and_check(seed, seed % 2 ? 1.0 : 0.1, false);
}

TEST_CASE("first-order conditions hold from the multipliers of another problem") {
  for (unsigned seed = 1; seed <= 40; ++seed) solve_and_check(seed, seed % 2 ? 1.0 : 0.1, true);
}

TEST_CASE("without active sides the solution is that of the dense linear system") {
  Solver qp(N), problem(N);
  fill(qp, 5, 1.0);
  fill(problem, 5, 1.0);
  qp.state_sides.clear();
  const double dx0[4] = {0.3, -0.2, 0.1, 0.4}, wide[4] = {1e6, 1e6, 1e6, 1e6};
  for (int k = 0; k <= N; ++k) {
    Stage& st = qp.stage(k);
    for (int i = 0; i < 4; ++i) st.input_room[i] = 1e6;
    for (int i = 0; i < 2; ++i) st.room[i] = 1e6;
  }
  qp.options.barrier_tolerance = qp.options.residual_tolerance = 1e-9;
  qp.options.max_iterations = 60;
  qp.set_sides(wide, wide, l1, l2);
  qp.start_cold();
  REQUIRE(qp.solve(dx0) == QpStatus::converged);
  // Dense: condense every state onto the inputs, then one linear system.
  Eigen::MatrixXd map = Eigen::MatrixXd::Zero(4, 2 * N), hessian = Eigen::MatrixXd::Zero(2 * N, 2 * N);
  Eigen::VectorXd offset = Eigen::Map<const Eigen::Vector4d>(dx0), right = Eigen::VectorXd::Zero(2 * N);
  for (int k = 0; k <= N; ++k) {
    const Stage& st = problem.stage(k);
    const Eigen::VectorXd q = Eigen::Map<const Eigen::Vector4d>(st.weight + 2);
    const Eigen::VectorXd g = Eigen::Map<const Eigen::Vector4d>(st.gradient + 2);
    hessian += map.transpose() * q.asDiagonal() * map;
    right -= map.transpose() * (g + q.cwiseProduct(offset));
    if (k == N) break;
    for (int i = 0; i < 2; ++i) {
      hessian(2 * k + i, 2 * k + i) += st.weight[i];
      right[2 * k + i] -= st.gradient[i];
    }
    Eigen::MatrixXd a(4, 4), b(4, 2);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 2; ++j) b(i, j) = st.ba[i * Stage::nzp + j];
      for (int j = 0; j < 4; ++j) a(i, j) = st.ba[i * Stage::nzp + 2 + j];
    }
    map = (a * map).eval();
    map.block(0, 2 * k, 4, 2) += b;
    offset = (a * offset + Eigen::Map<const Eigen::Vector4d>(st.gap)).eval();
  }
  const Eigen::VectorXd u = hessian.ldlt().solve(right);
  for (int k = 0; k < N; ++k)
    for (int i = 0; i < 2; ++i)
      CHECK(qp.stage(k).z[i] == doctest::Approx(u[2 * k + i]).epsilon(1e-8).scale(1.0));
}
