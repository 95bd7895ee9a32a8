// Error-state filter: signs by hand, symmetry, no allocation, refusal of what is not finite.
#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>
#include <cmath>
#include <giljabi/estimation/eskf.hpp>
#include <limits>
#include <random>

using namespace giljabi::estimation;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const Vec3 kNone = Vec3::Constant(kNan);
const Vec3 kAtRest(0.0, 0.0, 9.80665);

Eskf make() {
  Eskf f;
  f.P.setZero();
  f.P.diagonal().setConstant(1.0);
  return f;
}

double smallest_eigenvalue(const Mat15& m) {
  return Eigen::SelfAdjointEigenSolver<Mat15>(m, Eigen::EigenvaluesOnly).eigenvalues()[0];
}

}  // namespace

TEST_CASE("eskf: at rest nothing moves") {
  Eskf f = make();
  for (int k = 0; k < 100; ++k) REQUIRE(f.predict(0.01, {Vec3::Zero(), kAtRest}));
  CHECK(f.p.norm() < 1e-12);
  CHECK(f.v.norm() < 1e-12);
}

TEST_CASE("eskf: forward force speeds up along the bow, left turn raises yaw") {
  Eskf f = make();
  f.q = Eigen::Quaterniond(Eigen::AngleAxisd(M_PI / 2, Vec3::UnitZ()));  // bow to the north
  f.predict(1.0, {Vec3::Zero(), kAtRest + Vec3(2.0, 0.0, 0.0)});
  CHECK(f.v.y() == doctest::Approx(2.0));
  CHECK(f.p.y() == doctest::Approx(1.0));
  CHECK(std::abs(f.v.x()) < 1e-9);
  f.predict(1.0, {Vec3(0.0, 0.0, 0.3), kAtRest});
  CHECK(f.yaw() == doctest::Approx(M_PI / 2 + 0.3));
}

TEST_CASE("eskf: biases are taken off the measurement") {
  Eskf f = make();
  f.bg = Vec3(0.0, 0.0, 0.1);
  f.ba = Vec3(0.5, 0.0, 0.0);
  f.predict(1.0, {Vec3(0.0, 0.0, 0.1), kAtRest + Vec3(0.5, 0.0, 0.0)});
  CHECK(std::abs(f.yaw()) < 1e-12);
  CHECK(f.v.norm() < 1e-12);
}

TEST_CASE("eskf: without an IMU the velocity turns with the estimated rate") {
  Eskf f = make();
  f.noise.turn_rate_time = 1e9;
  f.v = Vec3(2.0, 0.0, 0.0);
  f.bg.z() = -0.5;  // turning to the left
  for (int k = 0; k < 100; ++k) f.predict(0.01, {});
  CHECK(f.yaw() == doctest::Approx(0.5));
  CHECK(std::atan2(f.v.y(), f.v.x()) == doctest::Approx(0.5).epsilon(1e-3));
  CHECK(f.v.norm() == doctest::Approx(2.0).epsilon(1e-3));
  CHECK(f.p.x() == doctest::Approx(2.0 / 0.5 * std::sin(0.5)).epsilon(1e-3));
  CHECK(f.p.y() == doctest::Approx(2.0 / 0.5 * (1.0 - std::cos(0.5))).epsilon(1e-3));
}

TEST_CASE("eskf: an unmeasured turn fades") {
  Eskf f = make();
  f.noise.turn_rate_time = 2.0;
  f.bg.z() = -0.5;
  f.predict(2.0, {});
  CHECK(f.bg.z() == doctest::Approx(-0.5 * std::exp(-1.0)));
}

TEST_CASE("eskf: lever arm") {
  Eskf f = make();
  f.q = Eigen::Quaterniond(Eigen::AngleAxisd(M_PI / 2, Vec3::UnitZ()));
  f.P.diagonal().segment<3>(6).setConstant(1e-12);
  // The antenna sits 2 m ahead of base_link, which is 2 m south of it.
  CHECK(f.update_position(Vec3(0.0, 2.0, 0.0), Vec3::Constant(1e-3), Vec3(2.0, 0.0, 0.0)).accepted);
  CHECK(f.p.norm() < 1e-3);
  // Turning left by 1 rad/s, a point ahead moves to the left: west.
  f.P.diagonal().segment<3>(9).setConstant(1e-12);
  const ImuInput u{Vec3(0.0, 0.0, 1.0), kAtRest};
  CHECK(f.update_velocity(Vec3(-2.0, 0.0, 0.0), Vec3::Constant(1e-3), Vec3(2.0, 0.0, 0.0), u).accepted);
  CHECK(f.v.norm() < 1e-2);
}

TEST_CASE("eskf: yaw wraps") {
  Eskf f = make();
  f.q = Eigen::Quaterniond(Eigen::AngleAxisd(M_PI - 0.05, Vec3::UnitZ()));
  CHECK(f.update_yaw(-M_PI + 0.05, 1e-3).accepted);
  CHECK(std::abs(wrap_angle(f.yaw() - (-M_PI + 0.05))) < 1e-3);
}

TEST_CASE("eskf: the gate keeps outliers out and leaves the state as it was") {
  Eskf f = make();
  const Mat15 before = f.P;
  const Outcome out = f.update_position(Vec3(100.0, 0.0, 0.0), Vec3::Ones(), Vec3::Zero());
  CHECK_FALSE(out.accepted);
  CHECK(out.rows == 3);
  CHECK(out.nis == doctest::Approx(5000.0));
  CHECK(f.p.norm() == 0.0);
  CHECK(f.P == before);
}

TEST_CASE("eskf: rows that are not finite are left out") {
  Eskf f = make();
  CHECK(f.update_position(Vec3(1.0, kNan, 0.0), Vec3::Ones(), Vec3::Zero()).rows == 2);
  CHECK(f.update_position(kNone, Vec3::Ones(), Vec3::Zero()).rows == 0);
  CHECK(f.update_position(Vec3::Zero(), Vec3(1.0, 0.0, kNan), Vec3::Zero()).rows == 1);
  CHECK_FALSE(f.update_yaw(kNan, 1.0).accepted);
  CHECK_FALSE(f.update_yaw(0.1, -1.0).accepted);
  CHECK_FALSE(f.predict(-1.0, {}));
  CHECK_FALSE(f.predict(kNan, {}));
  CHECK_FALSE(f.predict(1e9, {}));
  CHECK(f.finite());
}

TEST_CASE("eskf: symmetric and positive over random lives") {
  std::mt19937 gen(7);
  std::normal_distribution<double> n;
  for (int life = 0; life < 20; ++life) {
    Eskf f = make();
    f.P *= std::pow(10.0, life % 5);
    auto vec = [&](double s) { return Vec3(s * n(gen), s * n(gen), s * n(gen)); };
    for (int k = 0; k < 500; ++k) {
      ImuInput u{vec(0.5), kAtRest + vec(1.0)};
      if (k % 7 < 2) u.specific_force = kNone;
      if (k % 11 < 3) u.angular_velocity = Vec3(kNan, kNan, k % 2 ? kNan : 0.1);
      f.predict(0.02, u);
      f.update_position(f.p + vec(0.1), Vec3::Constant(0.1), Vec3(1.0, 0.0, 2.0));
      f.update_velocity(f.v + vec(0.1), Vec3::Constant(0.1), Vec3(1.0, 0.0, 2.0), u);
      f.update_yaw(f.yaw() + 0.01 * n(gen), 0.01);
      f.update_body_velocity(Vec3(f.velocity_body().x(), 0.0, 0.0), Vec3::Constant(0.1));
      f.update_level(0.05);
      if (k % 50 == 0) f.reset_yaw(n(gen), 0.1);
    }
    REQUIRE(f.finite());
    CHECK(f.P == f.P.transpose());
    CHECK(smallest_eigenvalue(f.P) > -1e-10 * f.P.diagonal().maxCoeff());
    CHECK(f.q.norm() == doctest::Approx(1.0));
  }
}

TEST_CASE("eskf: reset forgets correlations") {
  Eskf f = make();
  f.P.setConstant(0.5);
  f.P.diagonal().setConstant(1.0);
  f.reset_position(Vec3(5.0, kNan, 7.0), Vec3::Constant(2.0));
  CHECK(f.p == Vec3(5.0, 0.0, 7.0));
  CHECK(f.P(0, 0) == 4.0);
  CHECK(f.P(0, 5) == 0.0);
  CHECK(f.P(1, 1) == 1.0);
  CHECK(f.P(1, 5) == 0.5);
}
