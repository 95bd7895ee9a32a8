// Error-state Kalman filter of a rigid body: position, velocity, attitude, gyro bias, accelerometer bias.
//
// Nominal state: p, v in map (ENU) [m, m/s], q = R_map_base (FLU), gyro bias [rad/s], accelerometer bias
// [m/s^2]. Error state, 15: dp, dv (map), dtheta (body: R_true = R Exp(dtheta)), dbg, dba. After Sola,
// "Quaternion kinematics for the error-state Kalman filter" (2017), sections 5 and 6; update in Joseph form.
// Fixed-size matrices, no heap, no exceptions.
//
// What an IMU does not measure is a model, axis by axis: a missing rate is 0 with noise, except yaw rate,
// which is estimated (the gyro bias slot then holds the negative turn rate, first-order Gauss-Markov); a
// missing acceleration is the one that lets the velocity turn with the body, omega x v, with noise. With no
// IMU at all this is constant turn rate and velocity.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Geometry>
#include <algorithm>
#include <array>
#include <cmath>

namespace giljabi::estimation {

using Vec3 = Eigen::Vector3d;
using Mat3 = Eigen::Matrix3d;
using Mat6 = Eigen::Matrix<double, 6, 6>;
using Mat15 = Eigen::Matrix<double, 15, 15>;
using Vec15 = Eigen::Matrix<double, 15, 1>;

inline Mat3 skew(const Vec3& v) {
  Mat3 s;
  s << 0.0, -v.z(), v.y(), v.z(), 0.0, -v.x(), -v.y(), v.x(), 0.0;
  return s;
}

// Rotation vector [rad] to quaternion; series near zero.
inline Eigen::Quaterniond exp_so3(const Vec3& theta) {
  const double a2 = theta.squaredNorm();
  const double a = std::sqrt(a2);
  const double s = a < 1e-6 ? 0.5 - a2 / 48.0 : std::sin(0.5 * a) / a;
  Eigen::Quaterniond q(std::cos(0.5 * a), s * theta.x(), s * theta.y(), s * theta.z());
  q.normalize();
  return q;
}

inline double wrap_angle(double a) { return std::remainder(a, 2.0 * M_PI); }

// One inertial input in body axes; NaN: not measured.
struct ImuInput {
  Vec3 angular_velocity = Vec3::Constant(NAN);  // rad/s
  Vec3 specific_force = Vec3::Constant(NAN);    // m/s^2, +g on z at rest
};

// Continuous noise densities, per axis.
struct Noise {
  double gyro = 2e-3;                                     // rad/s/sqrt(Hz)
  double accel = 5e-2;                                    // m/s^2/sqrt(Hz)
  double gyro_bias_walk = 2e-5;                           // rad/s^2/sqrt(Hz)
  double accel_bias_walk = 5e-4;                          // m/s^3/sqrt(Hz)
  Vec3 missing_rate = Vec3(0.02, 0.02, 0.02);             // rad/s/sqrt(Hz)
  Vec3 missing_acceleration = Vec3(0.5, 0.5, 0.2);        // m/s^2/sqrt(Hz)
  double turn_rate_walk = 0.05;                           // rad/s^2/sqrt(Hz), yaw rate that is estimated
  double turn_rate_time = 10.0;                           // s, an unmeasured turn decays with this constant
  double gravity = 9.80665;                               // m/s^2
  std::array<double, 3> gate = {10.828, 13.816, 16.266};  // chi-square bounds for 1, 2, 3 rows
};

// What became of a measurement.
struct Outcome {
  bool accepted = false;
  int rows = 0;      // rows used; 0: nothing finite to use
  double nis = 0.0;  // normalised innovation squared
};

class Eskf {
 public:
  EIGEN_MAKE_ALIGNED_OPERATOR_NEW

  Vec3 p = Vec3::Zero();
  Vec3 v = Vec3::Zero();
  Eigen::Quaterniond q = Eigen::Quaterniond::Identity();
  Vec3 bg = Vec3::Zero();
  Vec3 ba = Vec3::Zero();
  Mat15 P = Mat15::Identity();
  Noise noise;

  Mat3 R_map_base() const { return q.toRotationMatrix(); }

  double yaw() const {
    const Mat3 R = R_map_base();
    return std::atan2(R(1, 0), R(0, 0));
  }

  // Body rate [rad/s] that the filter believes for an input.
  Vec3 rate(const ImuInput& u) const {
    Vec3 w = Vec3::Zero();
    for (int i = 0; i < 3; ++i) {
      if (std::isfinite(u.angular_velocity[i])) w[i] = u.angular_velocity[i] - bg[i];
    }
    if (!std::isfinite(u.angular_velocity.z())) w.z() = -bg.z();
    return w;
  }

  // Moves the state by dt [s] in steps of at most 50 ms, input held; false (and nothing done) when dt is not
  // sane.
  bool predict(double dt, const ImuInput& u) {
    if (!(dt >= 0.0 && dt < 3600.0)) return false;
    const int n = std::max(1, static_cast<int>(std::ceil(dt / 0.05 - 1e-9)));
    for (int k = 0; k < n; ++k) predict_once(dt / n, u);
    return true;
  }

  // Position of a point at `lever` in base_link [m]; NaN rows are skipped.
  Outcome update_position(const Vec3& z_map, const Vec3& std, const Vec3& lever) {
    const Mat3 R = R_map_base();
    Rows h = Rows::Zero();
    h.block<3, 3>(0, kP).setIdentity();
    h.block<3, 3>(0, kTheta) = -R * skew(lever);
    return update_rows(h, z_map - p - R * lever, std);
  }

  // Velocity over ground in map of a point at `lever` [m/s]; NaN rows are skipped.
  Outcome update_velocity(const Vec3& z_map, const Vec3& std, const Vec3& lever, const ImuInput& u) {
    const Mat3 R = R_map_base();
    const Vec3 swing = rate(u).cross(lever);
    Rows h = Rows::Zero();
    h.block<3, 3>(0, kV).setIdentity();
    h.block<3, 3>(0, kTheta) = -R * skew(swing);
    h.block<3, 3>(0, kBg) = R * skew(lever) * bias_mask(u).asDiagonal();
    return update_rows(h, z_map - v - R * swing, std);
  }

  // Velocity of base_link in body axes [m/s] (wheels, non-holonomic rows, a log); NaN rows are skipped.
  Outcome update_body_velocity(const Vec3& z_body, const Vec3& std) {
    const Mat3 R = R_map_base();
    const Vec3 vb = R.transpose() * v;
    Rows h = Rows::Zero();
    h.block<3, 3>(0, kV) = R.transpose();
    h.block<3, 3>(0, kTheta) = skew(vb);
    return update_rows(h, z_body - vb, std);
  }

  // Yaw in map [rad].
  Outcome update_yaw(double z, double std) {
    Rows h = Rows::Zero();
    h.block<1, 3>(0, kTheta) = yaw_row();
    return update_rows(h, Vec3(wrap_angle(z - yaw()), NAN, NAN), Vec3(std, NAN, NAN));
  }

  // Roll and pitch near zero, 1 sigma [rad].
  Outcome update_level(double std) {
    const Vec3 up = R_map_base().transpose().col(2);
    Rows h = Rows::Zero();
    h.block<3, 3>(0, kTheta) = skew(up);
    return update_rows(h, Vec3(-up.x(), -up.y(), NAN), Vec3(std, std, NAN));
  }

  // Body rate known to be zero (standstill): what the gyro reads is its bias.
  Outcome update_zero_rate(const ImuInput& u, double std) {
    Rows h = Rows::Zero();
    h.block<3, 3>(0, kBg).setIdentity();
    return update_rows(h, u.angular_velocity - bg, Vec3::Constant(std));
  }

  // Replaces position or velocity and forgets what correlated with it (recovery after a gated-out jump).
  void reset_position(const Vec3& value, const Vec3& std) { p = reset_block(kP, p, value, std); }
  void reset_velocity(const Vec3& value, const Vec3& std) { v = reset_block(kV, v, value, std); }

  // Replaces one gyro-bias slot.
  void reset_gyro_bias_z(double value, double std) {
    bg = reset_block(kBg, bg, Vec3(NAN, NAN, value), Vec3(NAN, NAN, std));
  }

  // Replaces yaw and its variance; roll and pitch stay.
  void reset_yaw(double value, double std) {
    const Mat3 before = R_map_base();
    // In map axes the third attitude error is the turn about the vertical.
    P.middleRows<3>(kTheta) = (before * P.middleRows<3>(kTheta)).eval();
    P.middleCols<3>(kTheta) = (P.middleCols<3>(kTheta) * before.transpose()).eval();
    P.row(kTheta + 2).setZero();
    P.col(kTheta + 2).setZero();
    P(kTheta + 2, kTheta + 2) = std * std;
    q = Eigen::Quaterniond(Eigen::AngleAxisd(wrap_angle(value - yaw()), Vec3::UnitZ())) * q;
    q.normalize();
    const Mat3 after = R_map_base();
    // The kept part is expressed in axes that turned with the vehicle.
    const Mat3 turn = after * before.transpose();
    P.middleRows<3>(kTheta) = (after.transpose() * turn * P.middleRows<3>(kTheta)).eval();
    P.middleCols<3>(kTheta) = (P.middleCols<3>(kTheta) * turn.transpose() * after).eval();
    symmetrize();
  }

  double yaw_std() const {
    const Eigen::Matrix<double, 1, 3> row = yaw_row();
    return std::sqrt(std::max(0.0, (row * P.block<3, 3>(kTheta, kTheta) * row.transpose())(0, 0)));
  }

  Vec3 velocity_body() const { return R_map_base().transpose() * v; }

  // Covariance of x y z and rotation about the map axes.
  Mat6 pose_cov() const {
    const Mat3 R = R_map_base();
    Mat6 c;
    c.topLeftCorner<3, 3>() = P.block<3, 3>(kP, kP);
    c.topRightCorner<3, 3>() = P.block<3, 3>(kP, kTheta) * R.transpose();
    c.bottomLeftCorner<3, 3>() = c.topRightCorner<3, 3>().transpose();
    c.bottomRightCorner<3, 3>() = R * P.block<3, 3>(kTheta, kTheta) * R.transpose();
    return c;
  }

  // Covariance of the body's velocity and rate; rate noise as seen through a 50 Hz bandwidth.
  Mat6 twist_cov(const ImuInput& u) const {
    const Mat3 R = R_map_base();
    const Vec3 mask = bias_mask(u);
    Eigen::Matrix<double, 6, 15> j = Eigen::Matrix<double, 6, 15>::Zero();
    j.block<3, 3>(0, kV) = R.transpose();
    j.block<3, 3>(0, kTheta) = skew(R.transpose() * v);
    j.block<3, 3>(3, kBg) = -Mat3(mask.asDiagonal());
    Mat6 c = j * P * j.transpose();
    for (int i = 0; i < 3; ++i) {
      const double d =
          std::isfinite(u.angular_velocity[i]) ? noise.gyro : (mask[i] > 0.0 ? 0.0 : noise.missing_rate[i]);
      c(3 + i, 3 + i) += 50.0 * d * d;
    }
    return 0.5 * (c + c.transpose());
  }

  bool finite() const {
    return p.allFinite() && v.allFinite() && q.coeffs().allFinite() && bg.allFinite() && ba.allFinite() &&
           P.allFinite();
  }

 private:
  static constexpr int kP = 0, kV = 3, kTheta = 6, kBg = 9, kBa = 12;
  using Rows = Eigen::Matrix<double, 3, 15>;

  // 1 where the bias slot enters the rate: measured axes, and yaw always.
  static Vec3 bias_mask(const ImuInput& u) {
    return Vec3(std::isfinite(u.angular_velocity.x()) ? 1.0 : 0.0,
                std::isfinite(u.angular_velocity.y()) ? 1.0 : 0.0, 1.0);
  }

  // d yaw / d theta (body): exact for the yaw of REP-103 fixed axes.
  Eigen::Matrix<double, 1, 3> yaw_row() const {
    const Mat3 R = R_map_base();
    const Vec3 x = R.col(0);
    const double h = std::max(1e-6, x.x() * x.x() + x.y() * x.y());
    return Eigen::Matrix<double, 1, 3>(-x.z() * x.x() / h, -x.z() * x.y() / h, 1.0) * R;
  }

  void predict_once(double dt, const ImuInput& u) {
    const Vec3 turn = dt * rate(u);
    // Attitude at the middle of the step, so that forces of a turning body integrate to second order.
    const Mat3 R = (q * exp_so3(0.5 * turn)).toRotationMatrix();
    const Vec3 w = rate(u);
    const Vec3 g(0.0, 0.0, noise.gravity);
    const Vec3 vb = R.transpose() * v;
    const Vec3 up = R.transpose() * g;
    const Vec3 turning = w.cross(vb);
    Vec3 force, measured;  // measured: 1 where the accelerometer gives the axis
    for (int i = 0; i < 3; ++i) {
      measured[i] = std::isfinite(u.specific_force[i]) ? 1.0 : 0.0;
      force[i] = measured[i] > 0.0 ? u.specific_force[i] - ba[i] : up[i] + turning[i];
    }
    const Vec3 missing = Vec3::Ones() - measured;
    const Vec3 mask = bias_mask(u);
    const bool turn_rate_mode = !std::isfinite(u.angular_velocity.z());
    const double decay = turn_rate_mode ? std::exp(-dt / noise.turn_rate_time) : 1.0;

    const auto R_missing = (R * missing.asDiagonal()).eval();
    const Mat3 f_v_v = dt * R_missing * skew(w) * R.transpose();
    const Mat3 f_v_theta = dt * (R_missing * (skew(up) + skew(w) * skew(vb)) - R * skew(force));
    const Mat3 f_v_bg = dt * R_missing * skew(vb) * mask.asDiagonal();
    const Mat3 f_v_ba = -dt * (R * measured.asDiagonal());
    const Eigen::Quaterniond dq = exp_so3(turn);
    const Mat3 f_theta = dq.toRotationMatrix().transpose();

    const Vec3 a = R * force - g;
    p += dt * v + 0.5 * dt * dt * a;
    v += dt * a;
    q = q * dq;
    q.normalize();
    bg.z() *= decay;

    propagate(dt, f_v_v, f_v_theta, f_v_bg, f_v_ba, f_theta, mask, decay);

    Vec3 q_v;
    for (int i = 0; i < 3; ++i)
      q_v[i] = square(measured[i] > 0.0 ? noise.accel : noise.missing_acceleration[i]);
    const Mat3 q_vel = dt * (R * q_v.asDiagonal() * R.transpose());
    P.block<3, 3>(kV, kV) += q_vel;
    P.block<3, 3>(kP, kV) += 0.5 * dt * q_vel;
    P.block<3, 3>(kV, kP) += 0.5 * dt * q_vel;
    P.block<3, 3>(kP, kP) += dt * dt / 3.0 * q_vel;
    for (int i = 0; i < 3; ++i) {
      const bool z_slot = i == 2 && turn_rate_mode;
      const double n_theta = mask[i] > 0.0 ? noise.gyro : noise.missing_rate[i];
      P(kTheta + i, kTheta + i) += dt * square(n_theta);
      P(kBg + i, kBg + i) += dt * square(z_slot ? noise.turn_rate_walk : noise.gyro_bias_walk);
      P(kBa + i, kBa + i) += dt * square(noise.accel_bias_walk);
    }
    symmetrize();
  }

  // P = F P F', in place, block row by block row: F differs from identity in three block rows only.
  void propagate(double dt, const Mat3& f_v_v, const Mat3& f_v_theta, const Mat3& f_v_bg, const Mat3& f_v_ba,
                 const Mat3& f_theta, const Vec3& mask, double decay) {
    const Vec3 f_theta_bg = -dt * mask;
    const Eigen::Matrix<double, 3, 15> rows = f_v_v * P.middleRows<3>(kV) +
                                              f_v_theta * P.middleRows<3>(kTheta) +
                                              f_v_bg * P.middleRows<3>(kBg) + f_v_ba * P.middleRows<3>(kBa);
    P.middleRows<3>(kP) += dt * P.middleRows<3>(kV) + 0.5 * dt * rows;
    P.middleRows<3>(kV) += rows;
    P.middleRows<3>(kTheta) =
        (f_theta * P.middleRows<3>(kTheta) + f_theta_bg.asDiagonal() * P.middleRows<3>(kBg)).eval();
    P.row(kBg + 2) *= decay;
    const Eigen::Matrix<double, 15, 3> cols =
        P.middleCols<3>(kV) * f_v_v.transpose() + P.middleCols<3>(kTheta) * f_v_theta.transpose() +
        P.middleCols<3>(kBg) * f_v_bg.transpose() + P.middleCols<3>(kBa) * f_v_ba.transpose();
    P.middleCols<3>(kP) += dt * P.middleCols<3>(kV) + 0.5 * dt * cols;
    P.middleCols<3>(kV) += cols;
    P.middleCols<3>(kTheta) =
        (P.middleCols<3>(kTheta) * f_theta.transpose() + P.middleCols<3>(kBg) * f_theta_bg.asDiagonal())
            .eval();
    P.col(kBg + 2) *= decay;
  }

  // Keeps the rows whose residual and deviation are finite, then updates with as many rows.
  Outcome update_rows(const Rows& h, const Vec3& residual, const Vec3& std) {
    Rows hs = Rows::Zero();
    Vec3 rs = Vec3::Zero();
    Vec3 vs = Vec3::Zero();
    int n = 0;
    for (int i = 0; i < 3; ++i) {
      if (!std::isfinite(residual[i]) || !(std[i] > 0.0) || !std::isfinite(std[i])) continue;
      hs.row(n) = h.row(i);
      rs[n] = residual[i];
      vs[n] = std[i] * std[i];
      ++n;
    }
    switch (n) {
      case 1:
        return update<1>(hs.topRows<1>(), rs.head<1>(), vs.head<1>());
      case 2:
        return update<2>(hs.topRows<2>(), rs.head<2>(), vs.head<2>());
      case 3:
        return update<3>(hs, rs, vs);
      default:
        return {};
    }
  }

  template <int M>
  Outcome update(const Eigen::Matrix<double, M, 15>& h, const Eigen::Matrix<double, M, 1>& r,
                 const Eigen::Matrix<double, M, 1>& variance) {
    const Eigen::Matrix<double, 15, M> ph = P * h.transpose();
    Eigen::Matrix<double, M, M> s = h * ph;
    s.diagonal() += variance;
    const Eigen::LLT<Eigen::Matrix<double, M, M>> llt(s);
    Outcome out;
    out.rows = M;
    out.nis = r.dot(llt.solve(r));
    if (llt.info() != Eigen::Success || !(out.nis <= noise.gate[M - 1])) return out;
    const Eigen::Matrix<double, 15, M> k = llt.solve(ph.transpose()).transpose();
    Mat15 a = -k * h;
    a.diagonal().array() += 1.0;
    P = (a * P * a.transpose() + k * variance.asDiagonal() * k.transpose()).eval();
    inject(k * r);
    out.accepted = true;
    return out;
  }

  void inject(const Vec15& dx) {
    p += dx.segment<3>(kP);
    v += dx.segment<3>(kV);
    const Vec3 theta = dx.segment<3>(kTheta);
    q = q * exp_so3(theta);
    q.normalize();
    bg += dx.segment<3>(kBg);
    ba += dx.segment<3>(kBa);
    // The error is now measured from the new nominal attitude (Sola 2017, eq. 287).
    const Mat3 g = Mat3::Identity() - 0.5 * skew(theta);
    P.middleRows<3>(kTheta) = (g * P.middleRows<3>(kTheta)).eval();
    P.middleCols<3>(kTheta) = (P.middleCols<3>(kTheta) * g.transpose()).eval();
    symmetrize();
  }

  Vec3 reset_block(int at, Vec3 current, const Vec3& value, const Vec3& std) {
    for (int i = 0; i < 3; ++i) {
      if (!std::isfinite(value[i]) || !(std[i] > 0.0)) continue;
      current[i] = value[i];
      P.row(at + i).setZero();
      P.col(at + i).setZero();
      P(at + i, at + i) = square(std[i]);
    }
    return current;
  }

  void symmetrize() {
    for (int c = 0; c < 15; ++c) {
      for (int r = 0; r < c; ++r) P(r, c) = P(c, r) = 0.5 * (P(r, c) + P(c, r));
    }
  }

  static double square(double x) { return x * x; }
};

}  // namespace giljabi::estimation
