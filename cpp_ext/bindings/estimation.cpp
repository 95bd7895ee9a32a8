// giljabi._core.estimation: the error-state Kalman filter.
#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <giljabi/estimation/eskf.hpp>

#include "registry.hpp"

namespace py = pybind11;

namespace {

using giljabi::estimation::Eskf;
using giljabi::estimation::ImuInput;
using giljabi::estimation::Noise;
using giljabi::estimation::Outcome;
using giljabi::estimation::Vec3;

Eigen::Vector4d quaternion_wxyz(const Eskf& f) { return {f.q.w(), f.q.x(), f.q.y(), f.q.z()}; }

void set_quaternion(Eskf& f, const Eigen::Vector4d& wxyz) {
  if (!wxyz.allFinite() || wxyz.norm() < 1e-6) throw py::value_error("quaternion has no direction");
  f.q = Eigen::Quaterniond(wxyz[0], wxyz[1], wxyz[2], wxyz[3]).normalized();
}

// Matrices leave as copies: a view would change under the reader at the next step.
template <class C, class T>
auto by_value(T C::* member) {
  return [member](const C& c) { return T(c.*member); };
}

template <class C, class T>
auto setter(T C::* member) {
  return [member](C& c, const T& value) { c.*member = value; };
}

void bind(py::module_& m) {
  py::class_<ImuInput>(m, "ImuInput", "Body rate [rad/s] and specific force [m/s^2]; NaN: not measured.")
      .def(py::init<>())
      .def(py::init([](const Vec3& w, const Vec3& f) { return ImuInput{w, f}; }), py::arg("angular_velocity"),
           py::arg("specific_force"))
      .def_property("angular_velocity", by_value(&ImuInput::angular_velocity),
                    setter(&ImuInput::angular_velocity))
      .def_property("specific_force", by_value(&ImuInput::specific_force), setter(&ImuInput::specific_force));

  py::class_<Noise>(m, "Noise", "Continuous noise densities and chi-square gates.")
      .def(py::init<>())
      .def_readwrite("gyro", &Noise::gyro)
      .def_readwrite("accel", &Noise::accel)
      .def_readwrite("gyro_bias_walk", &Noise::gyro_bias_walk)
      .def_readwrite("accel_bias_walk", &Noise::accel_bias_walk)
      .def_property("missing_rate", by_value(&Noise::missing_rate), setter(&Noise::missing_rate))
      .def_property("missing_acceleration", by_value(&Noise::missing_acceleration),
                    setter(&Noise::missing_acceleration))
      .def_readwrite("turn_rate_walk", &Noise::turn_rate_walk)
      .def_readwrite("turn_rate_time", &Noise::turn_rate_time)
      .def_readwrite("gravity", &Noise::gravity)
      .def_readwrite("gate", &Noise::gate);

  py::class_<Outcome>(m, "Outcome", "What became of a measurement.")
      .def_readonly("accepted", &Outcome::accepted)
      .def_readonly("rows", &Outcome::rows)
      .def_readonly("nis", &Outcome::nis);

  py::class_<Eskf>(m, "Eskf", "15-state error-state Kalman filter; map ENU, body FLU.")
      .def(py::init<>())
      .def("copy", [](const Eskf& f) { return Eskf(f); })
      .def(
          "assign", [](Eskf& f, const Eskf& other) { f = other; }, py::arg("other"))
      .def_property("position", by_value(&Eskf::p), setter(&Eskf::p))
      .def_property("velocity", by_value(&Eskf::v), setter(&Eskf::v))
      .def_property("quaternion", &quaternion_wxyz, &set_quaternion)
      .def_property("gyro_bias", by_value(&Eskf::bg), setter(&Eskf::bg))
      .def_property("accel_bias", by_value(&Eskf::ba), setter(&Eskf::ba))
      .def_property("covariance", by_value(&Eskf::P), setter(&Eskf::P))
      .def_readwrite("noise", &Eskf::noise)
      .def_property_readonly("yaw", &Eskf::yaw)
      .def_property_readonly("yaw_std", &Eskf::yaw_std)
      .def_property_readonly("velocity_body", &Eskf::velocity_body)
      .def_property_readonly("pose_cov", &Eskf::pose_cov)
      .def("twist_cov", &Eskf::twist_cov, py::arg("imu"))
      .def("rate", &Eskf::rate, py::arg("imu"))
      .def("finite", &Eskf::finite)
      .def("predict", &Eskf::predict, py::arg("dt"), py::arg("imu"))
      .def("update_position", &Eskf::update_position, py::arg("z_map"), py::arg("std"), py::arg("lever"))
      .def("update_velocity", &Eskf::update_velocity, py::arg("z_map"), py::arg("std"), py::arg("lever"),
           py::arg("imu"))
      .def("update_body_velocity", &Eskf::update_body_velocity, py::arg("z_body"), py::arg("std"))
      .def("update_yaw", &Eskf::update_yaw, py::arg("z"), py::arg("std"))
      .def("update_level", &Eskf::update_level, py::arg("std"))
      .def("update_zero_rate", &Eskf::update_zero_rate, py::arg("imu"), py::arg("std"))
      .def("reset_position", &Eskf::reset_position, py::arg("value"), py::arg("std"))
      .def("reset_velocity", &Eskf::reset_velocity, py::arg("value"), py::arg("std"))
      .def("reset_gyro_bias_z", &Eskf::reset_gyro_bias_z, py::arg("value"), py::arg("std"))
      .def("reset_yaw", &Eskf::reset_yaw, py::arg("value"), py::arg("std"));
}

const giljabi::bindings::Registration registration{"estimation", "error-state Kalman filter", bind};

}  // namespace
