// giljabi._core.plants: what the simulator integrates.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>

#include "giljabi/plants/car.hpp"
#include "giljabi/plants/quadrotor.hpp"
#include "giljabi/plants/ship.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace {

using namespace giljabi::plants;
using Changes = std::map<std::string, double>;

template <class Parameters, std::size_t N>
Parameters with_changes(const Named<Parameters> (&table)[N], const Changes& changes, Parameters p = {}) {
  for (const auto& [name, value] : changes) {
    const auto* row =
        std::find_if(std::begin(table), std::end(table), [&](const auto& n) { return n.name == name; });
    if (row == std::end(table)) throw std::invalid_argument("unknown plant parameter '" + name + "'");
    if (!std::isfinite(value)) throw std::invalid_argument("plant parameter '" + name + "' is not finite");
    p.*(row->member) = value;
  }
  return p;
}

template <class Parameters, std::size_t N>
Changes as_map(const Named<Parameters> (&table)[N], const Parameters& p) {
  Changes out;
  for (const auto& row : table) out[row.name] = p.*(row.member);
  return out;
}

void require_finite(std::initializer_list<double> values) {
  for (const double v : values)
    if (!std::isfinite(v)) throw std::invalid_argument("plant input is not finite");
}

template <class State>
void require_finite_state(const State& x) {
  for (const double v : x)
    if (!std::isfinite(v)) throw std::invalid_argument("plant state is not finite");
}

void require_duration(double dt) {
  if (!(dt > 0.0 && dt <= 1.0)) throw std::invalid_argument("dt must lie in (0, 1] s");
}

QuadrotorParameters airframe_called(const std::string& name) {
  if (name == "x500") return {};
  if (name == "small") return small_quadrotor();
  throw std::invalid_argument("no airframe is called '" + name + "'; known are small, x500");
}

using Vector3 = std::array<double, 3>;
using Vector4 = std::array<double, 4>;

QuadrotorInput quadrotor_input(const Vector4& thrust, const Vector3& wind, const Vector4& effectiveness,
                               double ground) {
  require_finite({thrust[0], thrust[1], thrust[2], thrust[3], wind[0], wind[1], wind[2], effectiveness[0],
                  effectiveness[1], effectiveness[2], effectiveness[3], ground});
  return {thrust, wind, effectiveness, ground};
}

void bind_quadrotor(py::module_& m) {
  constexpr Vector3 calm{};
  constexpr Vector4 healthy{1.0, 1.0, 1.0, 1.0};
  py::class_<QuadrotorPlant>(m, "QuadrotorPlant",
                             "Multirotor with four rotors over flat ground, with motors, air and battery.\n\n"
                             "State (18,): x y z [m map], quaternion w x y z (body to map), velocity [m/s "
                             "map], rates [rad/s body],\n"
                             "rotor speeds (4) [rad/s], charge 0..1. Frames ENU and FLU; rotors: 1 front "
                             "right, 2 rear left, 3 front\n"
                             "left, 4 rear right. At first it stands on ground of height 0.")
      .def(py::init([](const Changes& parameters, const std::string& airframe) {
             return QuadrotorPlant(with_changes(kQuadrotorParameters, parameters, airframe_called(airframe)));
           }),
           py::arg("parameters") = Changes{}, py::arg("airframe") = "x500",
           "parameters: changed values by name; airframe: 'x500' (2 kg) or 'small' (0.5 kg). Raises "
           "ValueError.")
      .def_property(
          "state", [](const QuadrotorPlant& p) { return p.state(); },
          [](QuadrotorPlant& p, const QuadrotorPlant::State& x) {
            require_finite_state(x);
            const double n = x[3] * x[3] + x[4] * x[4] + x[5] * x[5] + x[6] * x[6];
            if (n < 1e-12) throw std::invalid_argument("plant quaternion is zero");
            p.set_state(x);
          })
      .def_property_readonly(
          "parameters", [](const QuadrotorPlant& p) { return as_map(kQuadrotorParameters, p.parameters()); })
      .def(
          "step",
          [](QuadrotorPlant& p, const Vector4& thrust, double dt, const Vector3& wind,
             const Vector4& effectiveness, double ground) {
            require_duration(dt);
            p.step(quadrotor_input(thrust, wind, effectiveness, ground), dt);
          },
          py::arg("thrust"), py::arg("dt"), py::arg("wind") = calm, py::arg("effectiveness") = healthy,
          py::arg("ground") = 0.0,
          "Advances by dt [s]; thrust wanted of each rotor [N], wind [m/s towards east, north, up],\n"
          "effectiveness of each rotor 0..1, height of the ground [m].")
      .def(
          "derivative",
          [](const QuadrotorPlant& p, const Vector4& thrust, const Vector3& wind,
             const Vector4& effectiveness, double ground) {
            return p.derivative(p.state(), quadrotor_input(thrust, wind, effectiveness, ground));
          },
          py::arg("thrust"), py::arg("wind") = calm, py::arg("effectiveness") = healthy,
          py::arg("ground") = 0.0, "Rate of the state (18,).")
      .def(
          "specific_force",
          [](const QuadrotorPlant& p, const Vector4& thrust, const Vector3& wind,
             const Vector4& effectiveness, double ground) {
            return p.specific_force(quadrotor_input(thrust, wind, effectiveness, ground));
          },
          py::arg("thrust"), py::arg("wind") = calm, py::arg("effectiveness") = healthy,
          py::arg("ground") = 0.0, "What an accelerometer at the centre of gravity feels (3,) [m/s^2 body].")
      .def("speed_wanted", &QuadrotorPlant::speed_wanted, py::arg("thrust"),
           "Rotor speed [rad/s] that a wanted thrust [N] asks for.")
      .def_property_readonly(
          "battery",
          [](const QuadrotorPlant& p) {
            const auto b = p.battery(p.state());
            return std::array<double, 2>{b.voltage, b.current};
          },
          "Voltage under load [V] and current [A].");
}

void bind(py::module_& m) {
  bind_quadrotor(m);
  py::class_<ShipPlant>(
      m, "ShipPlant",
      "Ship with one propeller and one rudder.\n\n"
      "State (8,): x y [m map], psi [rad], u v [m/s over ground, body], r [rad/s], rudder [rad],\n"
      "shaft rate [1/s]. Frames ENU and FLU; a positive rudder turns the bow to port.")
      .def(py::init([](const Changes& parameters) {
             return ShipPlant(with_changes(kShipParameters, parameters));
           }),
           py::arg("parameters") = Changes{},
           "parameters: changed values by name; raises ValueError for unknown names.")
      .def_property(
          "state", [](const ShipPlant& p) { return p.state(); },
          [](ShipPlant& p, const ShipPlant::State& x) { require_finite_state(x), p.set_state(x); })
      .def_property_readonly("parameters",
                             [](const ShipPlant& p) { return as_map(kShipParameters, p.parameters()); })
      .def(
          "step",
          [](ShipPlant& p, double rudder, double lever, std::array<double, 2> wind,
             std::array<double, 2> current, double dt) {
            require_finite({rudder, lever, wind[0], wind[1], current[0], current[1]});
            require_duration(dt);
            p.step({rudder, lever, wind, current}, dt);
          },
          py::arg("rudder"), py::arg("lever"), py::arg("wind"), py::arg("current"), py::arg("dt"),
          "Advances by dt [s]; rudder [rad], lever -1..1, wind and current [m/s towards east, north].")
      .def(
          "derivative",
          [](const ShipPlant& p, double rudder, double lever, std::array<double, 2> wind,
             std::array<double, 2> current) {
            return p.derivative(p.state(), {rudder, lever, wind, current});
          },
          py::arg("rudder"), py::arg("lever"), py::arg("wind"), py::arg("current"), "Rate of the state (8,).")
      .def("thrust", &ShipPlant::thrust, py::arg("shaft_rate"), py::arg("advance_speed"),
           "Open-water thrust [N] at a shaft rate [1/s] and advance speed [m/s].")
      .def("resistance", &ShipPlant::resistance, py::arg("u"), "Hull drag [N] at u [m/s] through the water.");

  py::class_<CarPlant>(
      m, "CarPlant",
      "Two-track car.\n\n"
      "State (11,): rear axle x y [m map], psi [rad], vx vy at the centre of gravity [m/s body],\n"
      "r [rad/s], steering [rad], drive and brake force [N], ax ay filtered [m/s^2 body].")
      .def(py::init(
               [](const Changes& parameters) { return CarPlant(with_changes(kCarParameters, parameters)); }),
           py::arg("parameters") = Changes{},
           "parameters: changed values by name; raises ValueError for unknown names.")
      .def_property(
          "state", [](const CarPlant& p) { return p.state(); },
          [](CarPlant& p, const CarPlant::State& x) { require_finite_state(x), p.set_state(x); })
      .def_property_readonly("parameters",
                             [](const CarPlant& p) { return as_map(kCarParameters, p.parameters()); })
      .def(
          "step",
          [](CarPlant& p, double steering, double force, std::array<double, 2> wind, double friction_scale,
             double dt) {
            require_finite({steering, force, wind[0], wind[1], friction_scale});
            require_duration(dt);
            p.step({steering, force, wind, friction_scale}, dt);
          },
          py::arg("steering"), py::arg("force"), py::arg("wind"), py::arg("friction_scale"), py::arg("dt"),
          "Advances by dt [s]; steering [rad], force [N], wind [m/s towards east, north].")
      .def(
          "derivative",
          [](const CarPlant& p, double steering, double force, std::array<double, 2> wind,
             double friction_scale) {
            return p.derivative(p.state(), {steering, force, wind, friction_scale});
          },
          py::arg("steering"), py::arg("force"), py::arg("wind"), py::arg("friction_scale"),
          "Rate of the state (11,).");
}

const giljabi::bindings::Registration registration{"plants", "vehicles that the simulator integrates", bind};

}  // namespace
