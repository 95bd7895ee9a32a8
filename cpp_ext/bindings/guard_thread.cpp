// The thread that owns a guard, for Python; every call lets go of the GIL before it waits for the guard.
#include "giljabi/guard/guard_thread.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "guard_bind.hpp"
#include "guard_convert.hpp"

namespace py = pybind11;

namespace giljabi::bindings {
namespace {

using guard::Guard;
using guard::GuardThread;

// Calls f(guard, now) without the GIL; Python objects are made after it, for their collector may run Python
// code.
template <class F>
auto unlocked(GuardThread& t, F&& f) {
  const py::gil_scoped_release release;
  return t.with(std::forward<F>(f));
}

std::string submit(GuardThread& t, const std::string& source, double t_stamp, const py::object& mapping) {
  std::vector<std::string> names;
  const auto values = to_values(mapping, names);
  return unlocked(t, [&](Guard& g, double now) {
    return std::string(guard::text_of(g.submit(source, t_stamp, now, values.data(), values.size())));
  });
}

std::string heartbeat(GuardThread& t, double t_stamp, bool ok, bool degraded, const py::object& texts,
                      bool guided) {
  const guard::Reasons reasons = to_reasons(texts);
  return unlocked(t, [&](Guard& g, double now) {
    return std::string(guard::text_of(g.heartbeat(now, t_stamp, to_level(ok, degraded, guided), reasons)));
  });
}

TextList arm(GuardThread& t) {
  guard::Reasons why;
  unlocked(t, [&](Guard& g, double now) { return g.arm(now, why); });
  return to_list(why);
}

StateTuple thread_state(GuardThread& t) {
  guard::Reasons reasons;
  std::string mode;
  bool armed = false;
  unlocked(t, [&](Guard& g, double) {
    g.reasons(reasons);
    mode = g.mode();
    armed = g.armed();
  });
  return py::make_tuple(mode, armed, to_list(reasons));
}

Outputs thread_output(GuardThread& t) {
  std::vector<double> values;
  std::vector<std::string> names;
  unlocked(t, [&](Guard& g, double) {
    values = g.output();
    for (const auto& a : g.config().actuators) {
      names.push_back(a.name);
    }
  });
  Outputs out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    out[py::str(names[i])] = values[i];
  }
  return out;
}

EventTuple thread_events(GuardThread& t, std::uint64_t since) {
  std::vector<std::pair<std::uint64_t, guard::Event>> copy;
  const std::uint64_t total = unlocked(t, [&](Guard& g, double) {
    const guard::EventLog& log = g.events();
    for (std::uint64_t n = std::max(since, log.first()); n < log.total(); ++n) {
      copy.emplace_back(n, log[n]);
    }
    return log.total();
  });
  py::list out;
  for (const auto& [n, e] : copy) {
    out.append(py::make_tuple(n, e.t, to_str(e.what.view())));
  }
  return py::make_tuple(total, out);
}

void set_descriptor(GuardThread& t, const std::string& device, int fd, const std::string& why) {
  int error = 0;
  {
    const py::gil_scoped_release release;
    error = t.set_descriptor(device, fd, why);
  }
  if (error == ENODEV) {
    throw py::key_error("no encode table is for device '" + device + "'");
  }
  if (error != 0) {
    throw py::value_error("descriptor " + std::to_string(fd) + " of device '" + device +
                          "': " + std::strerror(error));
  }
}

py::typing::Dict<py::str, py::typing::Dict<py::str, py::int_>> devices(GuardThread& t) {
  std::vector<std::pair<std::string, guard::WriterStats>> all;
  {
    const py::gil_scoped_release release;
    all = t.writers();
  }
  py::typing::Dict<py::str, py::typing::Dict<py::str, py::int_>> out;
  for (const auto& [name, s] : all) {
    py::dict d;
    d["frames"] = s.frames;
    d["bytes"] = s.bytes;
    d["partial"] = s.partial;
    d["would_block"] = s.would_block;
    d["errors"] = s.errors;
    d["no_device"] = s.no_device;
    d["last_errno"] = s.last_errno;
    out[py::str(name)] = d;
  }
  return out;
}

py::typing::Dict<py::str, py::float_> loop(GuardThread& t) {
  guard::LoopStats s;
  {
    const py::gil_scoped_release release;
    s = t.loop();
  }
  py::typing::Dict<py::str, py::float_> out;
  out["ticks"] = static_cast<double>(s.ticks);
  out["missed"] = static_cast<double>(s.missed);
  out["late_max_s"] = s.late_max_s;
  out["realtime"] = s.realtime ? 1.0 : 0.0;
  return out;
}

}  // namespace

void bind_guard_thread(py::module_& m) {
  using py::arg;
  py::class_<GuardThread>(m, "GuardThread",
                          "A guard on its own thread, which ticks and writes whatever Python does; s of "
                          "CLOCK_MONOTONIC plus offset_ns.")
      .def(py::init([](const py::object& config, std::int64_t offset_ns, bool realtime) {
             return std::make_unique<GuardThread>(to_config(config), offset_ns, realtime);
           }),
           arg("config"), arg("offset_ns"), arg("realtime") = true)
      .def("set_descriptor", &set_descriptor, arg("device"), arg("fd"), arg("why") = "",
           "Hands over a descriptor (sockets connected; the guard keeps a duplicate), or -1: the device is "
           "gone.")
      .def("now", &GuardThread::now, "Stack time [s].")
      .def("submit", &submit, arg("source"), arg("t_stamp"), arg("values"))
      .def(
          "release",
          [](GuardThread& t, const std::string& source) {
            unlocked(t, [&](Guard& g, double now) { g.release(source, now); });
          },
          arg("source"))
      .def("heartbeat", &heartbeat, arg("t_stamp"), arg("ok"), arg("degraded") = false,
           arg("reasons") = py::tuple(), arg("guided") = false)
      .def(
          "set_fences",
          [](GuardThread& t, const py::object& given) {
            auto fences = to_fences(given);
            return unlocked(t, [&](Guard& g, double) { return g.set_fences(std::move(fences)); });
          },
          arg("fences"))
      .def(
          "pose",
          [](GuardThread& t, double t_stamp, double x, double y, double yaw, double speed, double z,
             const std::array<double, 3>& v) {
            return unlocked(t, [&](Guard& g, double now) {
              return std::string(
                  guard::text_of(g.pose(now, {t_stamp, x, y, yaw, speed, z, v[0], v[1], v[2]})));
            });
          },
          arg("t_stamp"), arg("x"), arg("y"), arg("yaw"), arg("speed"), arg("z") = kNone,
          arg("velocity") = kNoVelocity)
      .def(
          "feedback",
          [](GuardThread& t, const std::string& name, double value) {
            return unlocked(t, [&](Guard& g, double now) {
              return std::string(guard::text_of(g.feedback(now, name, value)));
            });
          },
          arg("name"), arg("value"))
      .def("arm", &arm)
      .def(
          "disarm",
          [](GuardThread& t, const std::string& reason) {
            unlocked(t, [&](Guard& g, double now) { g.disarm(now, reason); });
          },
          arg("reason") = "")
      .def("stop", [](GuardThread& t) { unlocked(t, [](Guard& g, double now) { g.stop(now); }); })
      .def("output", &thread_output)
      .def("state", &thread_state)
      .def("events", &thread_events, arg("since") = 0)
      .def("counters",
           [](GuardThread& t) {
             return counters(unlocked(t, [](const Guard& g, double) { return count(g); }));
           })
      .def("devices", &devices, "What was written and what was dropped, by device.")
      .def("loop", &loop, "ticks, missed, late_max_s, realtime (1 when SCHED_FIFO was granted).")
      .def("close", &GuardThread::close, py::call_guard<py::gil_scoped_release>(),
           "Stops the thread; every device gets one last, disarmed frame of each message.");
}

}  // namespace giljabi::bindings
