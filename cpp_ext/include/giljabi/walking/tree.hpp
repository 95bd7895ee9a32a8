// Kinematics and inverse dynamics of a robot with a floating base: a tree of bodies with hinges.
#pragma once

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <cmath>
#include <vector>

namespace giljabi::walking {

using Vec3 = Eigen::Vector3d;
using Mat3 = Eigen::Matrix3d;

// One body, in the axes of its parent's frame; body 0 is the floating base.
struct Link {
  int parent = -1;
  Vec3 position = Vec3::Zero();
  Eigen::Quaterniond orientation = Eigen::Quaterniond::Identity();
  double mass = 0.0;            // kg
  Vec3 com = Vec3::Zero();      // m, of the body, in its frame
  Mat3 inertia = Mat3::Zero();  // kg m^2 about `com`, axes of its frame
};

// One hinge: its body turns about `axis` through `anchor`, both in the body's frame. Order: as MuJoCo's,
// parents first.
struct Hinge {
  int body = 0;
  Vec3 axis = Vec3::UnitZ();
  Vec3 anchor = Vec3::Zero();
  double zero = 0.0;  // rad at which the body stands as its link says
};

// Velocities (6 + hinges): base linear in the world, base angular in its own axes, then the hinges; positions
// (7 + hinges): base position, quaternion w first, hinges. No allocation after construction. Equations:
// Featherstone, Rigid Body Dynamics Algorithms (2008), ch. 5, with all vectors in the world's axes.
class Tree {
 public:
  static constexpr double kGravity = 9.81;

  Tree(std::vector<Link> links, std::vector<Hinge> hinges)
      : links_(std::move(links)),
        hinges_(std::move(hinges)),
        q(7 + hinges_.size()),
        places_(links_.size()),
        motions_(links_.size()),
        axes_(hinges_.size()),
        anchors_(hinges_.size()),
        first_(links_.size() + 1, 0),
        above_(hinges_.size(), -1) {
    q.setZero();
    q[3] = 1.0;
    for (const Link& l : links_) mass_ += l.mass;
    std::vector<int> last(links_.size(), -1);  // deepest hinge at or above a body
    std::size_t h = 0;
    for (std::size_t b = 0; b < links_.size(); ++b) {
      if (b > 0) last[b] = last[links_[b].parent];
      first_[b] = static_cast<int>(h);
      while (h < hinges_.size() && hinges_[h].body == static_cast<int>(b)) {
        above_[h] = last[b];
        last[b] = static_cast<int>(h++);
      }
    }
    first_[links_.size()] = static_cast<int>(h);
    last_ = std::move(last);
    update();
  }

  int bodies() const { return static_cast<int>(links_.size()); }
  int hinges() const { return static_cast<int>(hinges_.size()); }
  int nv() const { return 6 + hinges(); }
  double mass() const { return mass_; }
  const Vec3& com() const { return com_; }
  const Mat3& rotation(int body) const { return places_[body].rotation; }
  const Vec3& position(int body) const { return places_[body].position; }
  int deepest_hinge(int body) const { return last_[body]; }
  int hinge_above(int hinge) const { return above_[hinge]; }

  // Places of all bodies for the present `q`.
  void update() {
    for (int b = 0; b < bodies(); ++b) place(b);
    compose();
  }

  // q moved by a velocity in one unit of time.
  void move(const Eigen::Ref<const Eigen::VectorXd>& step) {
    q.head<3>() += step.head<3>();
    const Vec3 turn = step.segment<3>(3);
    const double angle = turn.norm();
    Eigen::Quaterniond r(q[3], q[4], q[5], q[6]);
    if (angle > 0.0) r = r * Eigen::Quaterniond(Eigen::AngleAxisd(angle, turn / angle));
    r.normalize();
    q.segment<4>(3) << r.w(), r.x(), r.y(), r.z();
    q.tail(hinges()) += step.tail(hinges());
  }

  // Jacobian of a point that moves with a body, and of its orientation: calls column(i, linear, angular) for
  // each velocity that moves it.
  template <class Column>
  void jacobian(int body, const Vec3& point, Column column) const {
    const Mat3& r = places_[0].rotation;
    const Vec3 arm = point - places_[0].position;
    for (int i = 0; i < 3; ++i) {
      column(i, Vec3(Vec3::Unit(i)), Vec3(Vec3::Zero()));
      column(3 + i, Vec3(r.col(i).cross(arm)), Vec3(r.col(i)));
    }
    for (int h = last_[body]; h >= 0; h = above_[h])
      column(6 + h, Vec3(axes_[h].cross(point - anchors_[h])), axes_[h]);
  }

  // Jacobian of the centre of mass, column by column.
  template <class Column>
  void com_jacobian(Column column) const {
    const Mat3& r = places_[0].rotation;
    for (int i = 0; i < 3; ++i) {
      column(i, Vec3(Vec3::Unit(i)));
      column(3 + i, Vec3(r.col(i).cross(com_ - places_[0].position)));
    }
    for (int h = 0; h < hinges(); ++h) {
      // hinges of one body in a row: what the first turns hangs on the same body
      const Place& p = places_[hinges_[h].body];
      column(6 + h, Vec3(axes_[h].cross(p.carried - p.carried_mass * anchors_[h]) / mass_));
    }
  }

  // Generalised force of velocity and acceleration, gravity included; armature and damping are not in it.
  void inverse_dynamics(const Eigen::Ref<const Eigen::VectorXd>& velocity,
                        const Eigen::Ref<const Eigen::VectorXd>& acceleration,
                        Eigen::Ref<Eigen::VectorXd> out) {
    forward(velocity, acceleration);
    out.setZero();
    for (int b = bodies() - 1; b >= 0; --b) {
      const Place& p = places_[b];
      Motion& m = motions_[b];
      for (int h = first_[b + 1] - 1; h >= first_[b]; --h)
        out[6 + h] = axes_[h].dot(m.moment + (p.position - anchors_[h]).cross(m.force));
      if (b == 0) continue;
      Motion& up = motions_[links_[b].parent];
      up.force += m.force;
      up.moment += m.moment + (p.position - places_[links_[b].parent].position).cross(m.force);
    }
    out.head<3>() = motions_[0].force;
    out.segment<3>(3) = places_[0].rotation.transpose() * motions_[0].moment;
  }

 private:
  struct Place {
    Mat3 rotation;
    Vec3 position, com;
    double carried_mass;
    Vec3 carried;  // sum of mass and centre of mass of this body and what hangs on it
  };
  struct Motion {
    Vec3 spin, spin_rate, acceleration;  // of the body's frame
    Vec3 force, moment;                  // through its frame's origin, of it and what hangs on it
  };

  std::vector<Link> links_;
  std::vector<Hinge> hinges_;

 public:
  Eigen::VectorXd q;

 private:
  std::vector<Place> places_;
  std::vector<Motion> motions_;
  std::vector<Vec3> axes_, anchors_;  // world
  std::vector<int> first_, above_, last_;
  double mass_ = 0.0;
  Vec3 com_ = Vec3::Zero();

  void place(int b) {
    Place& p = places_[b];
    const Link& l = links_[b];
    Eigen::Quaterniond r;
    if (b == 0) {
      r = Eigen::Quaterniond(q[3], q[4], q[5], q[6]);
      p.rotation = r.toRotationMatrix();
      p.position = q.head<3>();
    } else {
      const Place& up = places_[l.parent];
      p.rotation = up.rotation * l.orientation.toRotationMatrix();
      p.position = up.position + up.rotation * l.position;
      for (int h = first_[b]; h < first_[b + 1]; ++h) {
        const Hinge& hinge = hinges_[h];
        axes_[h] = p.rotation * hinge.axis;
        anchors_[h] = p.position + p.rotation * hinge.anchor;
        p.rotation = p.rotation * Eigen::AngleAxisd(q[7 + h] - hinge.zero, hinge.axis).toRotationMatrix();
        p.position = anchors_[h] - p.rotation * hinge.anchor;
      }
    }
    p.com = p.position + p.rotation * l.com;
  }

  void compose() {
    for (int b = 0; b < bodies(); ++b) {
      places_[b].carried_mass = links_[b].mass;
      places_[b].carried = links_[b].mass * places_[b].com;
    }
    for (int b = bodies() - 1; b > 0; --b) {
      Place& up = places_[links_[b].parent];
      up.carried_mass += places_[b].carried_mass;
      up.carried += places_[b].carried;
    }
    com_ = places_[0].carried / mass_;
  }

  void forward(const Eigen::Ref<const Eigen::VectorXd>& velocity,
               const Eigen::Ref<const Eigen::VectorXd>& acceleration) {
    for (int b = 0; b < bodies(); ++b) {
      const Place& p = places_[b];
      Motion& m = motions_[b];
      if (b == 0) {
        m.spin = p.rotation * velocity.segment<3>(3);
        m.spin_rate = p.rotation * acceleration.segment<3>(3);
        m.acceleration = acceleration.head<3>() + Vec3(0.0, 0.0, kGravity);
      } else {
        carry(b, velocity, acceleration);
      }
      const Vec3 arm = p.com - p.position;
      const Vec3 a = m.acceleration + m.spin_rate.cross(arm) + m.spin.cross(m.spin.cross(arm));
      const Mat3 inertia = p.rotation * links_[b].inertia * p.rotation.transpose();
      m.force = links_[b].mass * a;
      m.moment = inertia * m.spin_rate + m.spin.cross(inertia * m.spin) + arm.cross(m.force);
    }
  }

  // Motion of a body from its parent's, hinge by hinge.
  void carry(int b, const Eigen::Ref<const Eigen::VectorXd>& velocity,
             const Eigen::Ref<const Eigen::VectorXd>& acceleration) {
    const Place& p = places_[b];
    const Motion& up = motions_[links_[b].parent];
    Motion& m = motions_[b];
    m.spin = up.spin;
    m.spin_rate = up.spin_rate;
    Vec3 at = places_[links_[b].parent].position;
    m.acceleration = up.acceleration;
    for (int h = first_[b]; h < first_[b + 1]; ++h) {
      const Vec3 arm = anchors_[h] - at;
      m.acceleration += m.spin_rate.cross(arm) + m.spin.cross(m.spin.cross(arm));
      at = anchors_[h];
      m.spin_rate += acceleration[6 + h] * axes_[h] + m.spin.cross(velocity[6 + h] * axes_[h]);
      m.spin += velocity[6 + h] * axes_[h];
    }
    const Vec3 arm = p.position - at;
    m.acceleration += m.spin_rate.cross(arm) + m.spin.cross(m.spin.cross(arm));
  }
};

}  // namespace giljabi::walking
