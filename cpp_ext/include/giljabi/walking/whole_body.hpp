// Whole-body control of position servos: inverse kinematics with joint limits, and the torques of contact.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "giljabi/walking/tree.hpp"

namespace giljabi::walking {

struct Sole {
  int body = 0;
  Vec3 centre = Vec3::Zero();  // m, in the body's frame
  double half_length = 0.0, half_width = 0.0;
};

// What the body should do now. rates: velocity and acceleration of left foot and its turn, right foot, centre
// of mass, torso.
struct Targets {
  static constexpr int kTasks = 18;
  Vec3 com = Vec3::Zero();
  std::array<Vec3, 2> feet{};
  std::array<Mat3, 2> foot_rotation{};
  Mat3 torso = Mat3::Identity();
  Eigen::Matrix<double, kTasks, 2> rates = Eigen::Matrix<double, kTasks, 2>::Zero();
};

// Rotation vector from orientation a to b; its size is the sine of the angle.
inline Vec3 turn_between(const Mat3& a, const Mat3& b) {
  const Mat3 r = b * a.transpose();
  return Vec3(r(2, 1) - r(1, 2), r(0, 2) - r(2, 0), r(1, 0) - r(0, 1)) / 2.0;
}

class WholeBody {
 public:
  static constexpr int kTasks = Targets::kTasks, kMost = 30;  // velocities that tasks move: base and legs
  static constexpr double kFoot = 10.0, kCom = 10.0,
                          kTorso = 1.0;                     // weights where limits leave no room for all
  static constexpr double kPosture = 1e-3, kStepMax = 0.2;  // rad or m of one iteration

  // legs: hinges that the tasks move; the others follow the posture. lower, upper: rad, by hinge.
  WholeBody(Tree tree_, std::array<Sole, 2> soles_, std::vector<int> legs, Eigen::VectorXd lower,
            Eigen::VectorXd upper)
      : tree(std::move(tree_)),
        soles(soles_),
        legs_(std::move(legs)),
        lower_(std::move(lower)),
        upper_(std::move(upper)),
        column_(tree.nv(), -1),
        count_(6 + static_cast<int>(legs_.size())) {
    for (int i = 0; i < 6; ++i) column_[i] = i;
    for (std::size_t i = 0; i < legs_.size(); ++i) column_[6 + legs_[i]] = 6 + static_cast<int>(i);
    rates.setZero(tree.nv(), 2);
    step_.setZero(tree.nv());
    force_.setZero(tree.nv());
  }

  Tree tree;
  std::array<Sole, 2> soles;
  Eigen::MatrixXd rates;                          // (nv, 2) velocity and acceleration of the posture
  int limited = 0;                                // ticks at which a joint limit was met
  Eigen::Vector2d zmp = Eigen::Vector2d::Zero();  // of the whole motion, swinging legs included

  Vec3 sole(int side) const {
    return tree.position(soles[side].body) + tree.rotation(soles[side].body) * soles[side].centre;
  }

  // Hinges that stay where they are in every solve until the next call; the others do their part. fixed: by
  // hinge.
  void fix(const Eigen::Ref<const Eigen::Array<bool, Eigen::Dynamic, 1>>& fixed) {
    for (std::size_t k = 0; k < legs_.size(); ++k) fixed_[6 + k] = fixed[legs_[k]];
  }

  // Newton steps towards the targets from the present posture, base and both feet at once; the largest error
  // before the last. posture: rad, by hinge.
  double solve(const Targets& targets, const Eigen::Ref<const Eigen::VectorXd>& posture, int iterations) {
    for (int h = 0; h < tree.hinges(); ++h)
      if (column_[6 + h] < 0) tree.q[7 + h] = std::clamp(posture[h], lower_[h], upper_[h]);
    tree.update();
    for (int i = 0; i < iterations; ++i) {
      linearize(targets);
      move(targets);
    }
    return error_.cwiseAbs().maxCoeff();
  }

  // Torques [N m] by hinge that make the posture move with `rates` on the ground; share_left: 0 to 1 of the
  // weight on the left foot. The base is driven by nothing, so what moves it comes from the ground: its six
  // equations give force, point and turning moment there. Damping and armature are not in it.
  void torque(double share_left, Eigen::Ref<Eigen::VectorXd> out) {
    tree.inverse_dynamics(rates.col(0), rates.col(1), force_);
    Vec3 push = force_.head<3>();
    const Vec3 moment = tree.rotation(0) * force_.segment<3>(3);
    const double weight = Tree::kGravity * tree.mass();
    if (push.z() < 0.2 * weight) push = Vec3(0.0, 0.0, weight);  // nearly falling: nothing to lean on
    const std::array<Vec3, 2> places{sole(0), sole(1)};
    const std::array<double, 2> share{share_left, 1.0 - share_left};
    const Vec3 ground = share[0] * places[0] + share[1] * places[1];
    const double drop = ground.z() - tree.position(0).z();
    const Eigen::Vector2d arm((drop * push.x() - moment.y()) / push.z(),
                              (moment.x() + drop * push.y()) / push.z());
    zmp = tree.position(0).head<2>() + arm;
    const double twist = moment.z() - (arm.x() * push.y() - arm.y() * push.x());
    const Eigen::Vector2d offset = zmp - ground.head<2>();
    for (int side = 0; side < 2; ++side) {
      if (share[side] <= 0.0) continue;
      const Sole& s = soles[side];
      const Mat3& r = tree.rotation(s.body);
      const Eigen::Vector2d inside = r.topLeftCorner<2, 2>().transpose() * offset;
      const Vec3 point = places[side] + r.col(0) * std::clamp(inside.x(), -s.half_length, s.half_length) +
                         r.col(1) * std::clamp(inside.y(), -s.half_width, s.half_width);
      tree.jacobian(s.body, point, [&](int i, const Vec3& linear, const Vec3& angular) {
        force_[i] -= share[side] * (linear.dot(push) + angular.z() * twist);
      });
    }
    out = force_.tail(tree.hinges());
  }

 private:
  using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, kMost, kMost>;
  using Columns = Eigen::Matrix<double, kTasks, Eigen::Dynamic, 0, kTasks, kMost>;
  using Wanted = Eigen::Matrix<double, kTasks, 3>;
  using Steps = Eigen::Matrix<double, Eigen::Dynamic, 3, 0, kMost, 3>;

  std::vector<int> legs_;
  Eigen::VectorXd lower_, upper_;
  std::array<bool, kMost> fixed_{};
  std::vector<int> column_;  // of a velocity among those that tasks move; -1: none
  int count_;
  Columns jacobian_;
  Eigen::Matrix<double, kTasks, 1> error_ = Eigen::Matrix<double, kTasks, 1>::Zero();
  Eigen::VectorXd step_, force_;

  void linearize(const Targets& t) {
    jacobian_.setZero(kTasks, count_);
    for (int side = 0; side < 2; ++side) {
      const Sole& s = soles[side];
      const Vec3 point = sole(side);
      error_.segment<3>(6 * side) = t.feet[side] - point;
      error_.segment<3>(6 * side + 3) = turn_between(tree.rotation(s.body), t.foot_rotation[side]);
      tree.jacobian(s.body, point, [&](int i, const Vec3& linear, const Vec3& angular) {
        if (column_[i] < 0) return;
        jacobian_.block<3, 1>(6 * side, column_[i]) = kFoot * linear;
        jacobian_.block<3, 1>(6 * side + 3, column_[i]) = kFoot * angular;
      });
    }
    error_.segment<3>(12) = t.com - tree.com();
    tree.com_jacobian([&](int i, const Vec3& linear) {
      if (column_[i] >= 0) jacobian_.block<3, 1>(12, column_[i]) = kCom * linear;
    });
    error_.segment<3>(15) = turn_between(tree.rotation(0), t.torso);
    jacobian_.block<3, 3>(15, 3) =
        kTorso * tree.rotation(0);  // the base's angular velocity is in its own axes
  }

  // One damped least-squares step; joints at their limits are taken out and the rest is solved again.
  void move(const Targets& t) {
    Wanted wanted;
    wanted << error_, t.rates;
    wanted.topRows<15>() *= kFoot;
    static_assert(kFoot == kCom && kTorso == 1.0, "weights of the rows above");
    Steps steps = Steps::Zero(count_, 3);
    std::array<bool, kMost> held = fixed_;
    for (int round = 0; round < 4; ++round) {
      least_squares(wanted, held, steps);
      if (!hold(steps, held)) break;
      ++limited;
    }
    step_.setZero();
    rates.setZero();
    for (int i = 0; i < tree.nv(); ++i) {
      if (column_[i] < 0) continue;
      step_[i] = std::clamp(steps(column_[i], 0), -kStepMax, kStepMax);
      rates.row(i) = steps.row(column_[i]).tail<2>();
    }
    tree.move(step_);
    tree.update();
  }

  // Steps of the columns that are not held, the held ones as they are.
  void least_squares(const Wanted& wanted, const std::array<bool, kMost>& held, Steps& steps) const {
    Columns free(kTasks, count_);
    Wanted rest = wanted;
    std::array<int, kMost> at{};
    int n = 0;
    for (int i = 0; i < count_; ++i) {
      if (held[i]) {
        rest.noalias() -= jacobian_.col(i) * steps.row(i);
      } else {
        at[n] = i;
        free.col(n++) = jacobian_.col(i);
      }
    }
    Square normal(n, n);
    normal.noalias() = free.leftCols(n).transpose() * free.leftCols(n);
    normal.diagonal().array() += kPosture;
    Steps found(n, 3);
    found.noalias() = free.leftCols(n).transpose() * rest;
    Eigen::LLT<Eigen::Ref<Square>> factor(normal);
    factor.solveInPlace(found);
    for (int i = 0; i < n; ++i) steps.row(at[i]) = found.row(i);
  }

  // Holds joints that a step takes over their limits there; whether there was one.
  bool hold(Steps& steps, std::array<bool, kMost>& held) const {
    bool any = false;
    for (std::size_t k = 0; k < legs_.size(); ++k) {
      const int i = 6 + static_cast<int>(k);
      const double q = tree.q[7 + legs_[k]], low = lower_[legs_[k]] - q, high = upper_[legs_[k]] - q;
      if (held[i] || (steps(i, 0) >= low - 1e-9 && steps(i, 0) <= high + 1e-9)) continue;
      steps(i, 0) = std::clamp(steps(i, 0), low, high);
      steps(i, 1) = steps(i, 2) = 0.0;
      held[i] = any = true;
    }
    return any;
  }
};

}  // namespace giljabi::walking
