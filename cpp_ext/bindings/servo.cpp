// giljabi._core.servo: packets of serial servos, and the cycle of a chain of them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/codecs/servo_instructions.hpp"
#include "giljabi/codecs/servo_wire.hpp"
#include "registry.hpp"
#include "servo_convert.hpp"
#include "servo_exchange.hpp"

namespace py = pybind11;

namespace {

using namespace giljabi::codecs::servo;
using giljabi::PriorityMutex;
using giljabi::bindings::Counters;
using StatusTuple = py::typing::Tuple<py::int_, py::int_, py::bytes>;
using StatusList = py::typing::List<StatusTuple>;
using Floats = py::typing::List<py::float_>;
using Ints = py::typing::List<py::int_>;

py::bytes to_bytes(const std::uint8_t* data, std::size_t size) {
  return py::bytes(reinterpret_cast<const char*>(data), size);
}
std::string_view view(const py::bytes& b) { return b; }
const std::uint8_t* bytes_of(std::string_view s) { return reinterpret_cast<const std::uint8_t*>(s.data()); }

StatusTuple status(std::uint8_t id, std::uint8_t error, const std::uint8_t* data, std::size_t size) {
  return StatusTuple(py::make_tuple(id, error, to_bytes(data, size)));
}

Counters to_dict(const Counts& c) {
  Counters out;
  out["accepted"] = c.accepted;
  out["echo"] = c.echoes;
  out["garbage_bytes"] = c.garbage;
  for (std::size_t i = 0; i < c.dropped.size(); ++i) {
    const auto name = text_of(static_cast<Drop>(i));
    out[py::str(name.data(), name.size())] = c.dropped[i];
  }
  return out;
}

// --- codec ------------------------------------------------------------------------------------------------

using BlockList = std::vector<std::tuple<int, int, py::bytes>>;  // id, address, data
using SpanList = std::vector<std::tuple<int, int, int>>;         // id, address, size

std::uint8_t to_id(int id) {
  if (id < 0 || id > kBroadcast) {
    throw py::value_error("id " + std::to_string(id) + " is not 0 to 254");
  }
  return static_cast<std::uint8_t>(id);
}

class Codec {
 public:
  explicit Codec(const std::string& family) : family_(giljabi::bindings::to_family(family)) {}

  template <class Body>
  py::bytes make(Body&& body) const {
    std::uint8_t data[2 * Chain::kMaxBytes];
    Out out(data, sizeof data);
    Instructions to(family_, out);
    body(to);
    if (out.overflow()) {
      throw py::value_error("the packet would be too long for its protocol");
    }
    return to_bytes(data, out.size());
  }
  unsigned word(int v) const {
    const int last = family_ == Family::dynamixel ? 0xFFFF : 0xFF;
    if (v < 0 || v > last) {
      throw py::value_error("address or size " + std::to_string(v) + " is not 0 to " + std::to_string(last));
    }
    return static_cast<unsigned>(v);
  }
  static std::vector<std::uint8_t> raw(std::string_view s) { return {bytes_of(s), bytes_of(s) + s.size()}; }

  py::bytes plain(int id, int instruction, const py::bytes& bytes) const {
    const std::string_view data = view(bytes);
    if (instruction < 0 || instruction > 0xFF) {
      throw py::value_error("instruction " + std::to_string(instruction) + " is not 0 to 255");
    }
    return make([&](Instructions& to) {
      to.plain(to_id(id), static_cast<std::uint8_t>(instruction), bytes_of(data), data.size());
    });
  }
  py::bytes read(int id, int address, int size) const {
    return make([&](Instructions& to) { to.read(to_id(id), word(address), word(size)); });
  }
  py::bytes write(int id, int address, const py::bytes& data, bool wait) const {
    return make([&](Instructions& to) {
      to.write(to_id(id), wait ? kRegWrite : kWrite, word(address), raw(view(data)));
    });
  }
  py::bytes sync_read(int address, int size, const std::vector<int>& ids, bool fast) const {
    dynamixel_only(fast, "fast sync read");
    std::vector<std::uint8_t> list;
    for (const int id : ids) {
      list.push_back(to_id(id));
    }
    return make([&](Instructions& to) {
      to.sync_read(fast ? kFastSyncRead : kSyncRead, word(address), word(size), list);
    });
  }
  py::bytes sync_write(int address, const std::vector<std::pair<int, py::bytes>>& data) const {
    std::vector<Block> blocks;
    for (const auto& [id, d] : data) {
      if (view(d).size() != view(data.front().second).size()) {
        throw py::value_error("sync write: every servo gets the same number of bytes");
      }
      blocks.push_back({to_id(id), 0, 0, raw(view(d))});
    }
    const int size = data.empty() ? 0 : static_cast<int>(view(data.front().second).size());
    return make([&](Instructions& to) { to.sync_write(word(address), word(size), blocks); });
  }
  py::bytes bulk_read(const SpanList& spans, bool fast) const {
    dynamixel_only(true, "bulk read");
    std::vector<Block> blocks;
    for (const auto& [id, address, size] : spans) {
      blocks.push_back(
          {to_id(id), static_cast<std::uint16_t>(word(address)), static_cast<std::uint16_t>(word(size)), {}});
    }
    return make([&](Instructions& to) { to.bulk(fast ? kFastBulkRead : kBulkRead, blocks); });
  }
  py::bytes bulk_write(const BlockList& data) const {
    dynamixel_only(true, "bulk write");
    std::vector<Block> blocks;
    for (const auto& [id, address, d] : data) {
      blocks.push_back({to_id(id), static_cast<std::uint16_t>(word(address)),
                        static_cast<std::uint16_t>(word(static_cast<int>(view(d).size()))), raw(view(d))});
    }
    return make([&](Instructions& to) { to.bulk(kBulkWrite, blocks); });
  }

 private:
  void dynamixel_only(bool wanted, const char* what) const {
    if (wanted && family_ != Family::dynamixel) {
      throw py::value_error(std::string(what) + " is an instruction of Dynamixel only");
    }
  }
  Family family_;
};

class Parser {
 public:
  explicit Parser(const std::string& family)
      : dynamixel_(giljabi::bindings::to_family(family) == Family::dynamixel) {}

  StatusList feed(const py::bytes& bytes) {
    const std::string_view data = view(bytes);
    StatusList out;
    const auto sink = [&](const Status& s) { out.append(status(s.id, s.error, s.data, s.size)); };
    const auto wrong = [] {};
    if (dynamixel_) {
      two_.feed(bytes_of(data), data.size(), sink, wrong);
    } else {
      feetech_.feed(bytes_of(data), data.size(), sink, wrong);
    }
    return out;
  }
  void expect_fast(const std::vector<std::pair<int, int>>& parts) {
    std::vector<FastPart> list;
    for (const auto& [id, size] : parts) {
      list.push_back({to_id(id), static_cast<std::uint16_t>(std::min(size, 512))});
    }
    two_.expect_fast(list.data(), list.size());
  }
  void sent(const py::bytes& bytes) {
    const std::string_view data = view(bytes);
    feetech_.sent(bytes_of(data), data.size());
  }
  Counters counts() const { return to_dict(dynamixel_ ? two_.counts : feetech_.counts); }

 private:
  bool dynamixel_;
  DynamixelParser two_;
  FeetechParser feetech_;
};

// --- chain ------------------------------------------------------------------------------------------------

// Goals by channel as doubles, orders as bytes; sizes checked here, once.
struct Wanted {
  std::vector<double> goals;
  std::string orders;
  bool some = false;

  Wanted(const Chain& chain, const std::optional<std::vector<double>>& g,
         const std::optional<std::string>& o) {
    some = g.has_value();
    goals = g.value_or(std::vector<double>{});
    orders = o.value_or("");
    std::size_t channels = 0;
    for (const JointConfig& j : chain.config().joints) {
      for (const GoalItem& item : j.goals) {
        channels = std::max(channels, static_cast<std::size_t>(item.channel + 1));
      }
    }
    if (some && goals.size() != channels) {
      throw py::value_error(std::to_string(goals.size()) + " goals; one for each of " +
                            std::to_string(channels) + " channels is expected");
    }
    if (o.has_value() && orders.size() != chain.joints().size()) {
      throw py::value_error("one order for each servo is expected");
    }
  }
  const double* data() const { return some ? goals.data() : nullptr; }
  const std::uint8_t* order() const { return orders.empty() ? nullptr : bytes_of(orders); }
};

using MaybeGoals = std::optional<std::vector<double>>;
using MaybeOrders = std::optional<py::bytes>;

std::optional<std::string> text(const MaybeOrders& o) {
  return o.has_value() ? std::optional<std::string>(std::string(*o)) : std::nullopt;
}

template <class F>
auto locked(LockedChain& c, F&& f) {
  const std::lock_guard<PriorityMutex> lock(c.lock);
  return f(c.chain);
}

py::bytes cycle(LockedChain& c, double now, const MaybeGoals& goals, const MaybeOrders& orders) {
  const Wanted w(c.chain, goals, text(orders));
  std::uint8_t out[Chain::kMaxBytes];
  const std::size_t n =
      locked(c, [&](Chain& k) { return k.cycle(now, w.data(), w.order(), out, sizeof out); });
  return to_bytes(out, n);
}

bool exchange(LockedChain& c, int fd, const MaybeGoals& goals, const MaybeOrders& orders) {
  const Wanted w(c.chain, goals, text(orders));
  int error = 0;
  bool whole = false;
  {
    const py::gil_scoped_release release;
    whole = giljabi::bindings::Exchange(c, fd).run(w.data(), w.order(), error);
  }
  if (error != 0) {
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }
  return whole;
}

Floats values(LockedChain& c, int quantity) {
  if (quantity < 0 || quantity >= kQuantities) {
    throw py::value_error("there is no such quantity");
  }
  return locked(c, [&](Chain& k) {
    Floats out;
    for (const Joint& j : k.joints()) {
      out.append(py::float_(j.value[static_cast<std::size_t>(quantity)]));
    }
    return out;
  });
}

Ints take_fresh(LockedChain& c) {
  return locked(c, [&](Chain& k) {
    Ints out;
    for (std::size_t i = 0; i < k.joints().size(); ++i) {
      if (k.joints()[i].fresh) {
        k.joints()[i].fresh = false;
        out.append(py::int_(i));
      }
    }
    return out;
  });
}

StatusList replies(LockedChain& c) {
  return locked(c, [&](Chain& k) {
    StatusList out;
    Reply r;
    while (k.take_reply(r)) {
      out.append(status(r.id, r.error, r.data.data(), r.size));
    }
    return out;
  });
}

py::typing::Dict<py::str, py::object> joint(LockedChain& c, std::size_t i) {
  return locked(c, [&](Chain& k) {
    if (i >= k.joints().size()) {
      throw py::index_error("there is no such joint");
    }
    const Joint& j = k.joints()[i];
    py::typing::Dict<py::str, py::object> out;
    out["t"] = j.t;
    out["errors"] = j.errors;
    out["missed"] = j.missed;
    out["silent"] = j.silent >= Chain::kSilent;
    out["status"] = j.status;
    out["torque"] = j.torque;
    return out;
  });
}

Counters chain_stats(LockedChain& c) {
  return locked(c, [](Chain& k) {
    Counters out = to_dict(k.counts());
    out["cycles"] = k.stats().cycles;
    out["complete"] = k.stats().complete;
    out["skipped"] = k.stats().skipped;
    out["followed"] = k.stats().followed;
    return out;
  });
}

void bind_chain(py::module_& m) {
  const auto none = py::none();
  py::class_<LockedChain, std::shared_ptr<LockedChain>>(
      m, "Chain", "Cycles of a chain of servos; sent by the guard's thread, fed by the driver's.")
      .def(py::init([](const py::object& config) {
             return std::make_shared<LockedChain>(giljabi::bindings::to_chain(config));
           }),
           py::arg("config"),
           "config: giljabi_drivers.servo_layout.ChainLayout; ValueError says what is wrong.")
      .def("cycle", &cycle, py::arg("now"), py::arg("goals") = none, py::arg("orders") = none,
           "Bytes of one cycle; empty while replies are due. goals by channel, SI; orders by joint: 0 "
           "released, 1 "
           "driven, 2 safe.")
      .def(
          "feed",
          [](LockedChain& c, double now, const py::bytes& bytes) {
            const std::string_view data = view(bytes);
            locked(c, [&](Chain& k) { k.feed(now, bytes_of(data), data.size()); });
          },
          py::arg("now"), py::arg("data"), "Bytes that came, in any chunking.")
      .def(
          "follow_up",
          [](LockedChain& c, double now) {
            std::uint8_t out[Chain::kMaxBytes];
            const std::size_t n = locked(c, [&](Chain& k) { return k.follow_up(now, out, sizeof out); });
            return to_bytes(out, n);
          },
          py::arg("now"), "After a gap in a fast reply: a request for those behind it.")
      .def("exchange", &exchange, py::arg("fd"), py::arg("goals") = none, py::arg("orders") = none,
           "One whole cycle on a descriptor that the caller owns, without the GIL; True when everybody "
           "answered.")
      .def(
          "done", [](LockedChain& c) { return locked(c, [](Chain& k) { return k.done(); }); },
          "Everybody who was asked answered.")
      .def(
          "deadline", [](LockedChain& c) { return locked(c, [](Chain& k) { return k.deadline(); }); },
          "Time from which there is no use in waiting [s].")
      .def(
          "began", [](LockedChain& c) { return locked(c, [](Chain& k) { return k.began(); }); },
          "Time of the newest cycle [s].")
      .def(
          "request",
          [](LockedChain& c, const py::bytes& bytes, int count, int size) {
            const std::string_view packet = view(bytes);
            return locked(c, [&](Chain& k) {
              return k.request(bytes_of(packet), packet.size(), std::max(count, 0),
                               static_cast<std::size_t>(std::max(size, 0)));
            });
          },
          py::arg("packet"), py::arg("replies"), py::arg("reply_size"),
          "A packet that goes out instead of the next read; False while another waits, and for what may move "
          "a joint.")
      .def(
          "idle",
          [](LockedChain& c, double now) {
            return locked(c, [&](Chain& k) {
              k.look(now);
              return k.idle();
            });
          },
          py::arg("now"), "No request waits for its turn or its reply.")
      .def("replies", &replies, "Replies to requests: (id, error, data).")
      .def(
          "polling", [](LockedChain& c, bool on) { locked(c, [&](Chain& k) { k.polling(on); }); },
          py::arg("on"), "Whether cycles read the joints.")
      .def(
          "reset", [](LockedChain& c) { locked(c, [](Chain& k) { k.reset(); }); },
          "The line was opened anew.")
      .def("values", &values, py::arg("quantity"),
           "By joint; 0 position, 1 velocity, 2 effort, 3 voltage, 4 temperature, 5 hardware error. NaN "
           "until read.")
      .def("take_fresh", &take_fresh, "Joints read since the last call.")
      .def("joint", &joint, py::arg("i"), "t, errors, missed, silent, status, torque of one joint.")
      .def("stats", &chain_stats, "Cycles, and packets by what became of them.")
      .def(
          "wire_time",
          [](LockedChain& c, bool goals, bool slow) {
            return locked(c, [&](Chain& k) { return k.wire_time(goals, slow); });
          },
          py::arg("goals") = true, py::arg("slow") = false, "Seconds of one cycle on the wire.");
}

void bind(py::module_& m) {
  const auto fast = py::arg("fast") = false;
  py::class_<Codec>(m, "Codec", "Instruction packets of one family: dynamixel, feetech_sts or feetech_scs.")
      .def(py::init<const std::string&>(), py::arg("family"))
      .def("plain", &Codec::plain, py::arg("id"), py::arg("instruction"), py::arg("data") = py::bytes(""),
           "Any instruction with its parameters as they are.")
      .def("read", &Codec::read, py::arg("id"), py::arg("address"), py::arg("size"))
      .def("write", &Codec::write, py::arg("id"), py::arg("address"), py::arg("data"),
           py::arg("wait") = false, "wait: a reg write, which an action carries out.")
      .def("sync_read", &Codec::sync_read, py::arg("address"), py::arg("size"), py::arg("ids"), fast)
      .def("sync_write", &Codec::sync_write, py::arg("address"), py::arg("data"), "data: (id, bytes) each.")
      .def("bulk_read", &Codec::bulk_read, py::arg("spans"), fast, "spans: (id, address, size) each.")
      .def("bulk_write", &Codec::bulk_write, py::arg("data"), "data: (id, address, bytes) each.");
  py::class_<Parser>(m, "Parser", "Status packets out of bytes in any chunking; counts what it drops.")
      .def(py::init<const std::string&>(), py::arg("family"))
      .def("feed", &Parser::feed, py::arg("data"), "Replies with a right checksum: (id, error, data).")
      .def("expect_fast", &Parser::expect_fast, py::arg("parts"),
           "(id, size) of fast replies from here on, in order.")
      .def("sent", &Parser::sent, py::arg("data"), "Feetech: what an adapter with echo gives back first.")
      .def("counts", &Parser::counts, "Packets by what became of them.");
  m.def(
      "crc16", [](std::string_view data) { return crc16(bytes_of(data), data.size()); }, py::arg("data"),
      "CRC of Dynamixel Protocol 2.0.");
  bind_chain(m);
}

const giljabi::bindings::Registration registration{"servo", "Dynamixel and Feetech servos", bind};

}  // namespace
