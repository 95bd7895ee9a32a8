// The watch over a bus's messages for Python: lists of Received in, what somebody takes out.
#include "giljabi/codecs/can_watch.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "can_bind.hpp"
#include "can_objects.hpp"
#include "guard_convert.hpp"

namespace py = pybind11;

namespace giljabi::bindings {
namespace {

using codecs::CanFrame;
using codecs::CanVerdict;
using codecs::CanWatch;

constexpr std::array<const char*, 6> kVerdicts = {"accepted",         "other",          "short", "checksum",
                                                  "counter_repeated", "counter_invalid"};

class Watch {
 public:
  Watch(const py::object& received, int bus) : type_(received), bus_(bus) {}

  std::size_t add(const py::object& message, bool wanted, bool counted) {
    const auto name = get<std::string>(message, "name");
    const int size = get<int>(message, "size");
    const auto id = get<std::uint32_t>(message, "can_id");
    const bool extended = get<bool>(message, "extended");
    codecs::CanWatched w;
    w.size = static_cast<std::size_t>(size);
    w.period = get<double>(message, "cycle_s");
    codecs::BitPlaces counter;
    if (const py::object c = message.attr("counter"); !c.is_none()) {
      counter = codecs::counter_places(name + " counter", to_counter(c), size);
      w.turn = codecs::counter_turn(name + " counter", to_counter(c));
      w.counter = counted ? counter : codecs::BitPlaces{};
    }
    if (!message.attr("checker").is_none()) {
      w.check = codecs::CanCheck(name, to_checksum(message.attr("check")), counter, id, extended, size);
    }
    for (const auto& f : message.attr("fields").attr("values")()) {
      if (get<int>(f, "length") <= codecs::kCanMaxBits) {
        w.signals.emplace_back(name, get<int>(f, "start"), get<int>(f, "length"), get<bool>(f, "big_endian"),
                               get<bool>(f, "signed"), get<double>(f, "scale"), get<double>(f, "offset"),
                               size);
        names_.resize(watch_.size() + 1);
        names_.back().push_back(get<std::string>(f, "name"));
      }
    }
    names_.resize(watch_.size() + 1);
    wanted_.push_back(wanted);
    return watch_.add(id | (extended ? 1U << 31 : 0U), std::move(w));
  }

  // (what somebody takes, counts by reason): reasons that did not occur are left out.
  py::tuple feed(const py::sequence& frames) {
    std::array<std::size_t, kVerdicts.size()> counts{};
    std::size_t skipped_frames = 0;
    std::size_t no_data = 0;
    py::list out;
    for (const py::handle item : frames) {
      const py::object r = py::reinterpret_borrow<py::object>(item);
      const long id = type_.can_id(r);
      const unsigned flags = type_.flags(r);
      if (id < 0 || (flags & (CanFrame::kRemote | CanFrame::kError)) != 0) {
        ++no_data;
        continue;
      }
      const int bus = type_.bus(r);
      if (id > 0x1FFFFFFF || (bus_ >= 0 && bus != bus_)) {
        ++counts[1];
        continue;
      }
      const py::object data = type_.get(r, 1);
      char* bytes = nullptr;
      Py_ssize_t n = 0;
      if (PyBytes_AsStringAndSize(data.ptr(), &bytes, &n) != 0) {
        throw py::error_already_set();
      }
      std::size_t index = 0;
      bool skipped = false;
      const CanVerdict v = watch_.judge(static_cast<std::uint32_t>(id) | (flags & 1U) << 31, bus, type_.t(r),
                                        reinterpret_cast<const std::uint8_t*>(bytes),
                                        static_cast<std::size_t>(n), index, skipped);
      ++counts[static_cast<std::size_t>(v)];
      skipped_frames += skipped ? 1 : 0;
      if (v == CanVerdict::accepted && wanted_[index]) {
        out.append(py::make_tuple(index, r));
      }
    }
    py::dict told;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] > 0) told[kVerdicts[i]] = counts[i];
    }
    if (no_data > 0) told["no_data_frame"] = no_data;
    if (skipped_frames > 0) told["counter_skipped"] = skipped_frames;
    return py::make_tuple(out, told);
  }

  py::dict told(std::size_t i) const {
    const codecs::CanTold& t = watch_.told(check(i));
    py::dict out;
    for (std::size_t v = 0; v < kVerdicts.size(); ++v) {
      out[kVerdicts[v]] = t.counts[v];
    }
    out["counter_skipped"] = t.skipped;
    out["silences"] = t.silences;
    out["stale"] = t.stale ? 1 : 0;
    out["last_t"] = t.last_t;
    out["interval_s"] = t.interval;
    out["period_s"] = watch_.period(i);
    return out;
  }

  py::dict values(std::size_t i) const {
    py::dict out;
    const auto& all = watch_.values(check(i));
    for (std::size_t s = 0; s < all.size(); ++s) {
      out[py::str(names_[i][s])] = all[s];
    }
    return out;
  }

  double expire(double now) { return watch_.expire(now); }

 private:
  std::size_t check(std::size_t i) const {
    if (i >= watch_.size()) {
      throw py::index_error("no message " + std::to_string(i));
    }
    return i;
  }

  ReceivedType type_;
  int bus_;
  CanWatch watch_;
  std::vector<bool> wanted_;
  std::vector<std::vector<std::string>> names_;
};

}  // namespace

void bind_can_watch(py::module_& m) {
  using py::arg;
  py::class_<Watch>(m, "Watch", "Checks, counts and reads the frames of one bus; times in s.")
      .def(py::init<const py::object&, int>(), arg("received"), arg("bus") = -1,
           "received: the class of frames; bus: only frames of this one, -1 all.")
      .def("add", &Watch::add, arg("message"), arg("wanted"), arg("counted"),
           "Watches a message of a database; returns its index. wanted: feed gives its frames out.")
      .def("feed", &Watch::feed, arg("frames"), "([(index, frame)] of wanted messages, counts by verdict).")
      .def("expire", &Watch::expire, arg("now"),
           "Marks messages that are silent for 2.5 periods; returns when the next one would be.")
      .def("told", &Watch::told, arg("index"), "Counts by verdict, last_t, interval_s, period_s, stale.")
      .def("values", &Watch::values, arg("index"),
           "Newest signals of a message, in the units of its database.");
}

}  // namespace giljabi::bindings
