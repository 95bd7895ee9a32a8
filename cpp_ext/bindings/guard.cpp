// giljabi._core.guard: wire encoder and guard for Python.
#include "giljabi/guard/guard.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "guard_bind.hpp"
#include "guard_convert.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace giljabi::bindings {
namespace {

using codecs::WireEncoder;
using guard::Guard;

// The encoder with its channels, for tests and for drivers that want to see their own bytes.
struct NamedEncoder {
  std::vector<codecs::WireChannel> channels;
  WireEncoder encoder;

  NamedEncoder(const py::object& table, std::vector<codecs::WireChannel> all)
      : channels(std::move(all)), encoder(to_table(table), channels) {}

  py::bytes encode(const std::string& message, const py::object& values, bool armed, std::uint32_t counter,
                   double t) const {
    const int index = encoder.index(message);
    if (index < 0) {
      throw py::key_error("no message is called '" + message + "'");
    }
    std::vector<double> in_order;
    for (const codecs::WireChannel& c : channels) {
      in_order.push_back(values[py::str(c.name)].cast<double>());
    }
    std::uint8_t out[codecs::kMaxFrameBytes];
    const std::size_t n =
        encoder.encode(static_cast<std::size_t>(index), in_order.data(), armed, counter, out, t);
    if (n == 0) {
      throw py::value_error("a value of message '" + message + "' is not finite");
    }
    return {reinterpret_cast<const char*>(out), n};
  }
};

std::vector<codecs::WireChannel> to_channels(const py::object& limits) {
  std::vector<codecs::WireChannel> channels;
  for (const auto& item : limits.attr("items")()) {
    const auto [name, range] = item.cast<std::pair<std::string, std::pair<double, double>>>();
    channels.push_back({name, range.first, range.second});
  }
  return channels;
}

FrameList step(Guard& g, double now) {
  FrameList out;
  for (const guard::Frame& f : g.step(now)) {
    out.append(py::make_tuple(to_str(g.config().tables[f.device].device),
                              py::bytes(reinterpret_cast<const char*>(f.data.data()), f.size)));
  }
  return out;
}

std::string submit(Guard& g, const std::string& source, double t_stamp, double now,
                   const py::object& mapping) {
  std::vector<std::string> names;
  const auto values = to_values(mapping, names);
  return std::string(guard::text_of(g.submit(source, t_stamp, now, values.data(), values.size())));
}

void bind(py::module_& m) {
  py::class_<NamedEncoder>(m, "WireEncoder",
                           "An encode table compiled to bytes; ValueError when it is wrong.")
      .def(py::init([](const py::object& table, const py::object& limits) {
             return std::make_unique<NamedEncoder>(table, to_channels(limits));
           }),
           py::arg("table"), py::arg("limits"))
      .def("encode", &NamedEncoder::encode, py::arg("message"), py::arg("values"), py::arg("armed") = true,
           py::arg("counter") = 0, py::arg("t") = 0.0, "Bytes of one message from SI values by name; t [s].");

  py::class_<Guard>(m, "Guard",
                    "The only writer on the wire, sans-I/O; times in s of one clock, values in SI.")
      .def(py::init([](const py::object& config) { return std::make_unique<Guard>(to_config(config)); }),
           py::arg("config"))
      .def("submit", &submit, py::arg("source"), py::arg("t_stamp"), py::arg("now"), py::arg("values"),
           "Takes a command; returns '' or why it was refused.")
      .def(
          "release", [](Guard& g, const std::string& source, double now) { g.release(source, now); },
          py::arg("source"), py::arg("now"), "The source gives its lease back.")
      .def(
          "heartbeat",
          [](Guard& g, double now, double t_stamp, bool ok, bool degraded, const py::object& reasons,
             bool guided) {
            return std::string(guard::text_of(
                g.heartbeat(now, t_stamp, to_level(ok, degraded, guided), to_reasons(reasons))));
          },
          py::arg("now"), py::arg("t_stamp"), py::arg("ok"), py::arg("degraded") = false,
          py::arg("reasons") = py::tuple(), py::arg("guided") = false,
          "Takes the supervisor's verdict; returns '' or why it was refused.")
      .def(
          "pose",
          [](Guard& g, double now, double t_stamp, double x, double y, double yaw, double speed, double z,
             const std::array<double, 3>& v) {
            return std::string(guard::text_of(g.pose(now, {t_stamp, x, y, yaw, speed, z, v[0], v[1], v[2]})));
          },
          py::arg("now"), py::arg("t_stamp"), py::arg("x"), py::arg("y"), py::arg("yaw"), py::arg("speed"),
          py::arg("z") = kNone, py::arg("velocity") = kNoVelocity,
          "Takes base_link's pose in map [m, rad], speed along its nose and velocity in map [m/s]; NaN: not "
          "known. Returns '' or why it was refused.")
      .def(
          "feedback",
          [](Guard& g, double now, const std::string& name, double value) {
            return std::string(guard::text_of(g.feedback(now, name, value)));
          },
          py::arg("now"), py::arg("name"), py::arg("value"),
          "Takes an actuator's measured value [SI]; returns '' or why it was refused.")
      .def(
          "set_fences", [](Guard& g, const py::object& fences) { return g.set_fences(to_fences(fences)); },
          py::arg("fences"), "Fences in map to keep; False while a source leads.")
      .def(
          "set_device",
          [](Guard& g, const std::string& device, bool open, double now, const std::string& why) {
            if (!g.set_device(device, open, now, why)) {
              throw py::key_error("no encode table is for device '" + device + "'");
            }
          },
          py::arg("device"), py::arg("open"), py::arg("now"), py::arg("why") = "",
          "Says that a device is open or gone, and why.")
      .def(
          "arm",
          [](Guard& g, double now) {
            guard::Reasons why;
            g.arm(now, why);
            return to_list(why);
          },
          py::arg("now"), "Arms and returns [], or returns why not.")
      .def(
          "disarm", [](Guard& g, double now, const std::string& reason) { g.disarm(now, reason); },
          py::arg("now"), py::arg("reason") = "", "Disarms: safe values, armed field 0.")
      .def("stop", &Guard::stop, py::arg("now"), "Safe outputs from now on, at any time, until armed again.")
      .def("step", &step, py::arg("now"), "Moves time; returns the frames due as [(device, bytes)].")
      .def("output", &output, "Values on the wire last, by actuator.")
      .def("state", &state, "mode, armed and reasons.")
      .def("events", &events, py::arg("since") = 0,
           "(total, [(number, t, what)]) of the events numbered from `since`; the last 256 are kept.")
      .def(
          "counters", [](const Guard& g) { return counters(count(g)); },
          "Commands refused by reason, and values clamped.")
      .def("last_pose", &last_pose,
           "(t_stamp, x, y, yaw, speed) of the newest pose taken; t_stamp NaN before.")
      .def("last_feedback", &last_feedback, "Actuator: (t, value) of the newest feedback taken.");
  bind_guard_thread(m);
}

const Registration kGuard{
    "guard", "The only writer on the wire: limits, freshness, arming, safe output, encoding", bind};

}  // namespace

Outputs output(const Guard& g) {
  Outputs out;
  for (std::size_t i = 0; i < g.output().size(); ++i) {
    out[py::str(g.config().actuators[i].name)] = g.output()[i];
  }
  return out;
}

StateTuple state(const Guard& g) {
  guard::Reasons reasons;
  g.reasons(reasons);
  return py::make_tuple(to_str(g.mode()), g.armed(), to_list(reasons));
}

EventTuple events(const Guard& g, std::uint64_t since) {
  const guard::EventLog& log = g.events();
  py::list out;
  for (std::uint64_t n = std::max(since, log.first()); n < log.total(); ++n) {
    out.append(py::make_tuple(n, log[n].t, to_str(log[n].what.view())));
  }
  return py::make_tuple(log.total(), out);
}

CounterList count(const Guard& g) {
  CounterList out;
  for (std::size_t i = 1; i < static_cast<std::size_t>(guard::Refusal::count); ++i) {
    const auto r = static_cast<guard::Refusal>(i);
    if (g.refused(r) > 0) {
      out.emplace_back(guard::text_of(r), g.refused(r));
    }
  }
  if (g.clamped() > 0) {
    out.emplace_back("clamped to limits", g.clamped());
  }
  if (g.held_back() > 0) {
    out.emplace_back("ticks held back by a fence", g.held_back());
  }
  return out;
}

Counters counters(const CounterList& counted) {
  Counters out;
  for (const auto& [what, n] : counted) {
    out[py::str(what)] = n;
  }
  return out;
}

PoseTuple last_pose(const Guard& g) {
  return py::make_tuple(g.pose().t, g.pose().x, g.pose().y, g.pose().yaw, g.pose().speed);
}

FeedbackDict last_feedback(const Guard& g) {
  FeedbackDict out;
  for (std::size_t i = 0; i < g.feedback().size(); ++i) {
    if (std::isfinite(g.feedback()[i].t)) {
      out[py::str(g.config().actuators[i].name)] = py::make_tuple(g.feedback()[i].t, g.feedback()[i].value);
    }
  }
  return out;
}

}  // namespace giljabi::bindings
