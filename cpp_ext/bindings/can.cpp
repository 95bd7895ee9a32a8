// giljabi._core.can: checksums of CAN messages, as the wire encoder computes them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <string>
#include <string_view>

#include "can_bind.hpp"
#include "giljabi/codecs/can_checks.hpp"
#include "guard_convert.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace giljabi::bindings {
namespace {

using codecs::CanCheck;

// A checksum of one message, with the payload's size checked on every call.
struct Checksum {
  CanCheck check;
  std::size_t size;

  Checksum(const py::object& spec, const py::object& counter, std::uint32_t can_id, bool extended, int bytes,
           const std::string& what)
      : size(static_cast<std::size_t>(bytes)) {
    if (!codecs::can_size_exists(bytes)) {
      throw std::invalid_argument(what + ": no CAN frame has " + std::to_string(bytes) + " bytes");
    }
    codecs::BitPlaces places;
    if (!counter.is_none()) {
      places = codecs::counter_places(what + " counter", to_counter(counter), bytes);
    }
    check = CanCheck(what, to_checksum(spec), places, can_id, extended, bytes);
  }

  const std::uint8_t* bytes_of(const py::bytes& payload) const {
    const std::string_view data = payload;
    if (data.size() != size) {
      throw std::invalid_argument("a payload of " + std::to_string(size) + " bytes is expected");
    }
    return reinterpret_cast<const std::uint8_t*>(data.data());
  }
};

void bind(py::module_& m) {
  m.def(
      "checksum_kinds",
      [] {
        py::typing::List<py::str> names;
        for (const auto& k : codecs::check_kinds()) {
          names.append(py::str(k.name));
        }
        return names;
      },
      "Names of all kinds of checksums.");
  m.def(
      "counter_max", [](const std::string& kind) { return codecs::check_kind("counter", kind).counter_max; },
      py::arg("kind"), "Highest value of the counter that a kind of checksum prescribes, -1 for none.");
  py::class_<Checksum>(m, "Checksum", "Checksum of one CAN message; ValueError when it is wrongly described.")
      .def(py::init<const py::object&, const py::object&, std::uint32_t, bool, int, const std::string&>(),
           py::arg("spec"), py::arg("counter"), py::arg("can_id"), py::arg("extended"), py::arg("size"),
           py::arg("what") = "checksum")
      .def(
          "value", [](const Checksum& c, const py::bytes& data) { return c.check.value(c.bytes_of(data)); },
          py::arg("data"), "Checksum of a payload whose counter is in place.")
      .def(
          "ok", [](const Checksum& c, const py::bytes& data) { return c.check.ok(c.bytes_of(data)); },
          py::arg("data"), "Whether checksum and header of a payload are right.")
      .def(
          "put",
          [](const Checksum& c, const py::bytes& data) {
            c.bytes_of(data);
            std::string out = data;
            c.check.put(reinterpret_cast<std::uint8_t*>(out.data()));
            return py::bytes(out);
          },
          py::arg("data"), "The payload with its checksum and header.");
  bind_can_watch(m);
  bind_can_receive(m);
}

const Registration kCan{"can", "CAN frames: checksums by name, the watch over a bus, reading", bind};

}  // namespace
}  // namespace giljabi::bindings
