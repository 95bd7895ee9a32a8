// Kinematics of a walker against mechanics done by hand, and no allocation in a tick. The comparison with
// another library's numbers for whole robots is in tests/core/test_walking.py.
#include <doctest/doctest.h>

#include "allocations.hpp"
#include "giljabi/walking/whole_body.hpp"

using namespace giljabi::walking;

namespace {

// A base of 2 kg over two legs of three hinges (hip roll, hip pitch, knee), each foot 0.5 kg.
WholeBody biped() {
  std::vector<Link> links(7);
  std::vector<Hinge> hinges;
  links[0].mass = 2.0;
  links[0].inertia = Mat3::Identity() * 0.01;
  for (int side = 0; side < 2; ++side) {
    const int b = 1 + 3 * side;
    const double y = side == 0 ? 0.05 : -0.05;
    const Vec3 at[3] = {Vec3(0, y, 0), Vec3(0, 0, -0.01), Vec3(0, 0, -0.15)};
    for (int i = 0; i < 3; ++i) {
      links[b + i].parent = i == 0 ? 0 : b + i - 1;
      links[b + i].position = at[i];
      links[b + i].mass = i == 2 ? 0.5 : 0.2;
      links[b + i].com = Vec3(0, 0, -0.05 * i);
      links[b + i].inertia = Mat3::Identity() * 1e-4;
      hinges.push_back({b + i, i == 0 ? Vec3(Vec3::UnitX()) : Vec3(Vec3::UnitY()), Vec3::Zero(), 0.0});
    }
  }
  const std::array<Sole, 2> soles{Sole{3, Vec3(0, 0, -0.15), 0.06, 0.03},
                                  Sole{6, Vec3(0, 0, -0.15), 0.06, 0.03}};
  const Eigen::VectorXd most = Eigen::VectorXd::Constant(6, 1.5);
  WholeBody body(Tree(links, hinges), soles, {0, 1, 2, 3, 4, 5}, -most, most);
  body.tree.q[2] = 0.31;
  body.tree.q[8] = body.tree.q[11] = -0.3;
  body.tree.q[9] = body.tree.q[12] = 0.6;
  body.tree.update();
  return body;
}

}  // namespace

TEST_CASE("a falling tree needs no force, a standing one its weight through the centre of mass") {
  WholeBody body = biped();
  Eigen::VectorXd zero = Eigen::VectorXd::Zero(12), fall = zero, force = zero;
  fall[2] = -Tree::kGravity;
  body.tree.inverse_dynamics(zero, fall, force);
  CHECK(force.cwiseAbs().maxCoeff() < 1e-12);
  body.tree.inverse_dynamics(zero, zero, force);
  CHECK(force[2] == doctest::Approx(body.tree.mass() * Tree::kGravity));
  const Vec3 arm = body.tree.com() - body.tree.position(0);
  CHECK(force[3] == doctest::Approx(arm.y() * force[2]));
  CHECK(force[4] == doctest::Approx(-arm.x() * force[2]));
}

TEST_CASE("jacobians are the derivatives of places") {
  WholeBody body = biped();
  const Vec3 foot = body.sole(0), com = body.tree.com();
  Eigen::Matrix<double, 3, 12> of_foot = Eigen::Matrix<double, 3, 12>::Zero(), of_com = of_foot;
  body.tree.jacobian(3, foot, [&](int i, const Vec3& v, const Vec3&) { of_foot.col(i) = v; });
  body.tree.com_jacobian([&](int i, const Vec3& v) { of_com.col(i) = v; });
  for (int i = 0; i < 12; ++i) {
    WholeBody moved = biped();
    Eigen::VectorXd step = Eigen::VectorXd::Zero(12);
    step[i] = 1e-7;
    moved.tree.move(step);
    moved.tree.update();
    CHECK(((moved.sole(0) - foot) / 1e-7 - of_foot.col(i)).norm() < 1e-6);
    CHECK(((moved.tree.com() - com) / 1e-7 - of_com.col(i)).norm() < 1e-6);
  }
}

TEST_CASE("a hinge that is fixed stays, and the others reach the target without it") {
  WholeBody body = biped();
  Targets t;
  t.com = body.tree.com() + Vec3(0.0, 0.0, -0.01);
  t.feet = {body.sole(0), body.sole(1)};
  t.foot_rotation = {body.tree.rotation(3), body.tree.rotation(6)};
  const Eigen::VectorXd posture = Eigen::VectorXd::Zero(6);
  Eigen::Array<bool, Eigen::Dynamic, 1> fixed = Eigen::Array<bool, Eigen::Dynamic, 1>::Constant(6, false);
  WholeBody free = body;
  for (int i = 0; i < 30; ++i) free.solve(t, posture, 1);
  fixed[1] = true;
  body.fix(fixed);
  const double before = body.tree.q[8];
  double error = 0.0;
  for (int i = 0; i < 30; ++i) error = body.solve(t, posture, 1);
  CHECK(body.tree.q[8] == before);
  CHECK(std::abs(free.tree.q[8] - before) > 1e-3);  // it would have moved
  CHECK(error < 0.1);
  fixed[1] = false;
  body.fix(fixed);
  body.solve(t, posture, 1);
  CHECK(body.tree.q[8] != before);
}

TEST_CASE("joints stop at their limits, and a tick allocates nothing") {
  WholeBody body = biped();
  Targets t;
  t.com = body.tree.com();
  t.feet = {body.sole(0), body.sole(1)};
  t.foot_rotation = {body.tree.rotation(3), body.tree.rotation(6)};
  const Eigen::VectorXd posture = Eigen::VectorXd::Zero(6);
  Eigen::VectorXd torque = posture;
  CHECK(body.solve(t, posture, 1) < 1e-12);
  t.feet[0].x() += 0.01;
  CHECK(body.solve(t, posture, 1) == doctest::Approx(0.01));
  const std::size_t before = giljabi::tests::allocations();
  body.solve(t, posture, 3);
  body.torque(0.7, torque);
  CHECK(giljabi::tests::allocations() == before);
  t.feet[0].x() += 1.0;
  for (int i = 0; i < 20; ++i) body.solve(t, posture, 1);
  CHECK(body.limited > 0);
  CHECK(body.tree.q.tail(6).cwiseAbs().maxCoeff() <= 1.5 + 1e-9);
  CHECK(body.tree.q.allFinite());
}
