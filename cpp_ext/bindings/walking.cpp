// giljabi._core.walking: kinematics, inverse dynamics and whole-body control of a walker.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/walking/whole_body.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace {

using namespace giljabi::walking;
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

void expect(bool right, const char* what) {
  if (!right) throw std::invalid_argument(what);
}

const double* checked(const Array& a, py::ssize_t size, const char* what) {
  if (a.size() != size) throw std::invalid_argument(what);
  return a.data();
}

Vec3 vector(const double* v) { return Vec3(v[0], v[1], v[2]); }

Mat3 matrix(const double* v) { return Eigen::Map<const Eigen::Matrix<double, 3, 3, Eigen::RowMajor>>(v); }

Tree tree_of(const std::vector<int>& parents, const Rows& links, const std::vector<int>& bodies,
             const Rows& hinges) {
  const auto nb = static_cast<Eigen::Index>(parents.size()), nh = static_cast<Eigen::Index>(bodies.size());
  expect(nb > 0 && links.rows() == nb && links.cols() == 20, "links of shape (bodies, 20) are expected");
  expect(hinges.rows() == nh && hinges.cols() == 7, "hinges of shape (hinges, 7) are expected");
  expect(links.allFinite() && hinges.allFinite(), "finite links and hinges are expected");
  std::vector<Link> l(parents.size());
  for (Eigen::Index i = 0; i < nb; ++i) {
    expect(i == 0 ? parents[i] < 0 : parents[i] >= 0 && parents[i] < i,
           "parents before their children are expected");
    const double* v = links.row(i).data();
    l[i].parent = parents[i];
    l[i].position = vector(v);
    l[i].orientation = Eigen::Quaterniond(v[3], v[4], v[5], v[6]).normalized();
    l[i].mass = v[7];
    l[i].com = vector(v + 8);
    l[i].inertia = matrix(v + 11);
  }
  std::vector<Hinge> h(bodies.size());
  for (Eigen::Index i = 0; i < nh; ++i) {
    expect(bodies[i] > 0 && bodies[i] < nb && (i == 0 || bodies[i] >= bodies[i - 1]),
           "hinges in the order of their bodies, none of the base, are expected");
    const double* v = hinges.row(i).data();
    h[i].body = bodies[i];
    h[i].axis = vector(v).normalized();
    h[i].anchor = vector(v + 3);
    h[i].zero = v[6];
  }
  return Tree(std::move(l), std::move(h));
}

// The body, with numpy's order of joints: the hinges as in the tree.
struct Body : WholeBody {
  using WholeBody::WholeBody;
  Vector torques;

  void set(const Array& position, const Array& quaternion, const Array& joints) {
    const double* p = checked(position, 3, "position of shape (3,) is expected");
    const double* o = checked(quaternion, 4, "quaternion of shape (4,) is expected");
    const double* j = checked(joints, tree.hinges(), "joints of shape (hinges,) are expected");
    std::copy(p, p + 3, tree.q.data());
    std::copy(o, o + 4, tree.q.data() + 3);
    std::copy(j, j + tree.hinges(), tree.q.data() + 7);
    tree.q.segment<4>(3).normalize();
    tree.update();
  }
};

Body* made(const std::vector<int>& parents, const Rows& links, const std::vector<int>& bodies,
           const Rows& hinges, const std::vector<int>& sole_bodies, const Rows& soles,
           const std::vector<int>& legs, const Vector& lower, const Vector& upper) {
  Tree tree = tree_of(parents, links, bodies, hinges);
  expect(sole_bodies.size() == 2 && soles.rows() == 2 && soles.cols() == 5,
         "two soles of 5 numbers are expected");
  expect(legs.size() + 6 <= WholeBody::kMost, "legs of at most 24 joints together are expected");
  expect(lower.size() == tree.hinges() && upper.size() == tree.hinges(),
         "limits of every hinge are expected");
  for (const int i : legs) expect(i >= 0 && i < tree.hinges(), "legs of hinges are expected");
  std::array<Sole, 2> s;
  for (int i = 0; i < 2; ++i) {
    expect(sole_bodies[i] >= 0 && sole_bodies[i] < tree.bodies(), "soles on bodies are expected");
    s[i] = {sole_bodies[i], soles.row(i).head<3>().transpose(), soles(i, 3), soles(i, 4)};
  }
  auto* body = new Body(std::move(tree), s, legs, lower, upper);
  body->torques.setZero(body->tree.hinges());
  return body;
}

double solve(Body& b, const Array& com, const Array& feet, const Array& foot_rotations, const Array& torso,
             const Array& rates, const Array& posture, int iterations) {
  Targets t;
  t.com = vector(checked(com, 3, "com of shape (3,) is expected"));
  const double* f = checked(feet, 6, "feet of shape (2, 3) are expected");
  const double* r = checked(foot_rotations, 18, "foot rotations of shape (2, 3, 3) are expected");
  for (int side = 0; side < 2; ++side) {
    t.feet[side] = vector(f + 3 * side);
    t.foot_rotation[side] = matrix(r + 9 * side);
  }
  t.torso = matrix(checked(torso, 9, "torso of shape (3, 3) is expected"));
  const double* v = checked(rates, 2 * Targets::kTasks, "rates of shape (2, 18) are expected");
  for (int i = 0; i < Targets::kTasks; ++i) t.rates(i, 0) = v[i], t.rates(i, 1) = v[Targets::kTasks + i];
  const double* p = checked(posture, b.tree.hinges(), "posture of shape (hinges,) is expected");
  return b.solve(t, Eigen::Map<const Vector>(p, b.tree.hinges()), iterations);
}

py::tuple jacobian(const Body& b, int side, const Array& point) {
  expect(side == 0 || side == 1, "side 0 or 1 is expected");
  Rows linear = Rows::Zero(3, b.tree.nv()), angular = linear;
  b.tree.jacobian(b.soles[side].body, vector(checked(point, 3, "point of shape (3,) is expected")),
                  [&](int i, const Vec3& v, const Vec3& w) { linear.col(i) = v, angular.col(i) = w; });
  return py::make_tuple(linear, angular);
}

void bind_tree(py::class_<Body>& c) {
  c.def("set", &Body::set, py::arg("position"), py::arg("quaternion"), py::arg("joints"),
        "Takes a posture: base position (3,), orientation (4,) w first, joints (n,).")
      .def(
          "update", [](Body& b) { b.tree.update(); }, "Places of all bodies after a change of `q`.")
      .def_property_readonly(
          "q", [](Body& b) -> Eigen::Ref<Vector> { return b.tree.q; },
          py::return_value_policy::reference_internal,
          "Base position, quaternion w first, joints (7 + n,): the body's own memory.")
      .def_property_readonly(
          "mass", [](const Body& b) { return b.tree.mass(); }, "kg")
      .def_property_readonly(
          "com", [](const Body& b) { return b.tree.com(); }, "Centre of mass (3,).")
      .def(
          "rotation",
          [](const Body& b, int body) -> Rows {
            expect(body >= 0 && body < b.tree.bodies(), "a body's number is expected");
            return b.tree.rotation(body);
          },
          py::arg("body"), "R (3, 3) of a body.")
      .def(
          "position",
          [](const Body& b, int body) -> Vec3 {
            expect(body >= 0 && body < b.tree.bodies(), "a body's number is expected");
            return b.tree.position(body);
          },
          py::arg("body"), "Origin (3,) of a body's frame.")
      .def(
          "sole",
          [](const Body& b, int side) -> Vec3 {
            expect(side == 0 || side == 1, "side 0 or 1 is expected");
            return b.sole(side);
          },
          py::arg("side"), "Middle (3,) of a sole: 0 left, 1 right.")
      .def("jacobian", &jacobian, py::arg("side"), py::arg("point"),
           "Jacobians (3, 6 + n) of a point (3,) that moves with a foot, and of its orientation.")
      .def(
          "com_jacobian",
          [](const Body& b) {
            Rows out = Rows::Zero(3, b.tree.nv());
            b.tree.com_jacobian([&](int i, const Vec3& v) { out.col(i) = v; });
            return out;
          },
          "Jacobian (3, 6 + n) of the centre of mass.")
      .def(
          "inverse_dynamics",
          [](Body& b, const Vector& velocity, const Vector& acceleration) {
            expect(velocity.size() == b.tree.nv() && acceleration.size() == b.tree.nv(),
                   "velocities (6 + n,) are expected");
            Vector out = Vector::Zero(b.tree.nv());
            b.tree.inverse_dynamics(velocity, acceleration, out);
            return out;
          },
          py::arg("velocity"), py::arg("acceleration"), "Generalised force (6 + n,), gravity included.");
}

void bind(py::module_& m) {
  py::class_<Body> c(
      m, "Body",
      "A floating tree of hinges and its whole-body control; velocities are base linear in the world, base\n"
      "angular in its own axes, joints. Arrays of joints (n,) are in the order of the hinges.");
  c.def(py::init(&made), py::arg("parents"), py::arg("links"), py::arg("bodies"), py::arg("hinges"),
        py::arg("sole_bodies"), py::arg("soles"), py::arg("legs"), py::arg("lower"), py::arg("upper"),
        "links (bodies, 20): position, quaternion, mass, centre of mass, inertia by rows; hinges (n, 7): "
        "axis, anchor, zero;\n"
        "soles (2, 5): centre, half length and width; legs: hinges that the feet's tasks move. ValueError "
        "says what is wrong.");
  bind_tree(c);
  c.def("solve", &solve, py::arg("com"), py::arg("feet"), py::arg("foot_rotations"), py::arg("torso"),
        py::arg("rates"), py::arg("posture"), py::arg("iterations") = 1,
        "Newton steps towards com (3,), soles (2, 3) and (2, 3, 3), torso (3, 3), moving with rates (2, 18); "
        "the largest\n"
        "error before the last step.")
      .def(
          "fix",
          [](Body& b, const py::array_t<bool, py::array::c_style | py::array::forcecast>& hinges) {
            expect(hinges.size() == b.tree.hinges(), "hinges of shape (hinges,) are expected");
            b.fix(Eigen::Map<const Eigen::Array<bool, Eigen::Dynamic, 1>>(hinges.data(), hinges.size()));
          },
          py::arg("hinges"),
          "Hinges (n,) bool that stay where they are in every solve; the others do their part.")
      .def(
          "torque",
          [](Body& b, double share_left) -> Vector {
            b.torque(share_left, b.torques);
            return b.torques;
          },
          py::arg("share_left"),
          "Torques (n,) that make `rates` on the ground, with that share of the weight on the left foot.")
      .def_property_readonly(
          "rates", [](Body& b) -> Eigen::Ref<Eigen::MatrixXd> { return b.rates; },
          py::return_value_policy::reference_internal,
          "Velocity and acceleration (6 + n, 2): the body's own memory.")
      .def_readonly("zmp", &Body::zmp, "Zero-moment point (2,) of the last `torque`.")
      .def_readonly("limited", &Body::limited, "Rounds in which a joint's limit was met.");
}

const giljabi::bindings::Registration registration{
    "walking", "kinematics, dynamics and whole-body control of walkers", bind};

}  // namespace
