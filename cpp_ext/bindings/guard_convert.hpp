// Python objects of giljabi.wire and giljabi.safety.guard as the plain C++ structs that the guard compiles.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "giljabi/guard/guard.hpp"

namespace giljabi::bindings {

// What Python sees, for its type checker.
using TextList = pybind11::typing::List<pybind11::str>;
using FrameList = pybind11::typing::List<pybind11::typing::Tuple<pybind11::str, pybind11::bytes>>;
using Outputs = pybind11::typing::Dict<pybind11::str, pybind11::float_>;
using Counters = pybind11::typing::Dict<pybind11::str, pybind11::int_>;
using StateTuple = pybind11::typing::Tuple<pybind11::str, pybind11::bool_, TextList>;
using EventTuple = pybind11::typing::Tuple<
    pybind11::int_,
    pybind11::typing::List<pybind11::typing::Tuple<pybind11::int_, pybind11::float_, pybind11::str>>>;
using PoseTuple = pybind11::typing::Tuple<pybind11::float_, pybind11::float_, pybind11::float_,
                                          pybind11::float_, pybind11::float_>;
using FeedbackDict =
    pybind11::typing::Dict<pybind11::str, pybind11::typing::Tuple<pybind11::float_, pybind11::float_>>;

template <class T>
T get(pybind11::handle object, const char* name) {
  try {
    return object.attr(name).cast<T>();
  } catch (const pybind11::cast_error&) {
    throw pybind11::type_error(std::string(name) + " has the wrong type: " +
                               pybind11::str(pybind11::repr(object.attr(name))).cast<std::string>());
  }
}

template <class E>
E choose(const std::string& what, const std::string& text,
         const std::vector<std::pair<std::string, E>>& choices) {
  std::string known;
  for (const auto& [name, value] : choices) {
    if (name == text) {
      return value;
    }
    known += (known.empty() ? "" : ", ") + name;
  }
  throw std::invalid_argument(what + " '" + text + "' is not known; known are " + known);
}

inline codecs::WireField to_field(pybind11::handle o) {
  codecs::WireField f;
  f.actuator = get<std::string>(o, "actuator");
  f.scale = get<double>(o, "scale");
  f.offset = get<double>(o, "offset");
  f.raw_min = get<double>(o, "raw_min");
  f.raw_max = get<double>(o, "raw_max");
  f.start_bit = get<int>(o, "start_bit");
  f.length = get<int>(o, "length");
  f.is_signed = get<bool>(o, "signed");
  f.big_endian = get<bool>(o, "big_endian");
  f.decimals = get<int>(o, "decimals");
  f.source = choose<codecs::FieldSource>("field source", get<std::string>(o, "source"),
                                         {{"value", codecs::FieldSource::value},
                                          {"armed", codecs::FieldSource::armed},
                                          {"constant", codecs::FieldSource::constant},
                                          {"time", codecs::FieldSource::time},
                                          {"q1", codecs::FieldSource::q1},
                                          {"q2", codecs::FieldSource::q2},
                                          {"q3", codecs::FieldSource::q3},
                                          {"q4", codecs::FieldSource::q4}});
  f.real = get<bool>(o, "real");
  f.turn = get<double>(o, "turn");
  return f;
}

inline codecs::WireCounter to_counter(pybind11::handle o) {
  const pybind11::object max = o.attr("max");
  return {get<int>(o, "start_bit"), get<int>(o, "length"), get<bool>(o, "big_endian"),
          max.is_none() ? -1 : max.cast<long long>()};
}

inline codecs::WireChecksum to_checksum(pybind11::handle o) {
  codecs::WireChecksum c;
  c.kind = get<std::string>(o, "kind");
  c.start_bit = get<int>(o, "start_bit");
  c.length = get<int>(o, "length");
  c.big_endian = get<bool>(o, "big_endian");
  c.data_id = get<std::vector<std::uint64_t>>(o, "data_id");
  c.mode = get<std::string>(o, "mode");
  if (const pybind11::object form = o.attr("crc"); !form.is_none()) {
    c.crc = {get<int>(form, "width"),
             get<std::uint64_t>(form, "polynomial"),
             get<std::uint64_t>(form, "init"),
             get<std::uint64_t>(form, "xorout"),
             get<bool>(form, "reflect"),
             get<int>(form, "id_bytes"),
             get<std::string>(form, "id_at") == "end",
             get<std::string>(form, "id_order") == "high_first",
             get<std::vector<int>>(form, "skip")};
  }
  return c;
}

// When a message may go out; bounds of None are open.
inline void to_gate(pybind11::handle o, codecs::WireMessage& m) {
  m.gate.when = choose<codecs::WireWhen>("when", get<std::string>(o, "when"),
                                         {{"always", codecs::WireWhen::always},
                                          {"healthy", codecs::WireWhen::healthy},
                                          {"armed", codecs::WireWhen::armed},
                                          {"driven", codecs::WireWhen::driven},
                                          {"safe", codecs::WireWhen::safe}});
  m.gate.from_s = get<double>(o, "from_s");
  m.gate.until_s = get<double>(o, "until_s");
  m.gate_actuator = get<std::string>(o, "actuator");
  m.gate.low = get<double>(o, "low");
  m.gate.high = get<double>(o, "high");
}

inline codecs::WireMavlinkLink to_mavlink_link(pybind11::handle o) {
  const auto key = get<std::string>(o, "key");
  return {get<int>(o, "system"), get<int>(o, "component"), get<int>(o, "link_id"), {key.begin(), key.end()}};
}

inline codecs::WireMessage to_message(pybind11::handle o) {
  codecs::WireMessage m;
  m.name = get<std::string>(o, "name");
  m.period_s = get<double>(o, "period_s");
  for (const auto& f : o.attr("fields")) {
    m.fields.push_back(to_field(f));
  }
  m.text_template = get<std::string>(o, "template");
  m.can_id = get<long long>(o, "can_id");
  m.extended = get<bool>(o, "extended");
  m.size = get<int>(o, "size");
  m.fd = get<bool>(o, "fd");
  m.bitrate_switch = get<bool>(o, "bitrate_switch");
  if (const pybind11::object c = o.attr("counter"); !c.is_none()) {
    m.counter = to_counter(c);
  }
  m.checksum = to_checksum(o.attr("checksum"));
  m.mavlink_id = get<long long>(o, "mavlink_id");
  m.crc_extra = get<int>(o, "crc_extra");
  m.attitude = get<std::vector<std::string>>(o, "attitude");
  to_gate(o.attr("gate"), m);
  return m;
}

inline codecs::EncodeTable to_table(pybind11::handle o) {
  codecs::EncodeTable t;
  t.device = get<std::string>(o, "device");
  t.protocol = choose<codecs::Protocol>("protocol", get<std::string>(o, "protocol"),
                                        {{"nmea", codecs::Protocol::nmea},
                                         {"can", codecs::Protocol::can},
                                         {"mavlink", codecs::Protocol::mavlink},
                                         {"servo", codecs::Protocol::servo}});
  if (const pybind11::object chain = o.attr("chain"); !chain.is_none()) {
    t.chain = get<std::shared_ptr<codecs::servo::LockedChain>>(o, "chain");
  }
  if (const pybind11::object link = o.attr("mavlink"); !link.is_none()) {
    t.mavlink = to_mavlink_link(link);
  }
  for (const auto& m : o.attr("messages")) {
    t.messages.push_back(to_message(m));
  }
  t.framing = choose<codecs::Framing>("framing", get<std::string>(o, "framing"),
                                      {{"raw", codecs::Framing::raw},
                                       {"socketcan", codecs::Framing::socketcan},
                                       {"can_msgpack", codecs::Framing::can_msgpack},
                                       {"slcan", codecs::Framing::slcan},
                                       {"iec61162_450", codecs::Framing::iec61162_450}});
  t.source_id = get<std::string>(o, "source_id");
  return t;
}

inline guard::GuardConfig to_config(pybind11::handle o) {
  guard::GuardConfig c;
  for (const auto& a : o.attr("actuators")) {
    c.actuators.push_back({get<std::string>(a, "name"), get<double>(a, "min"), get<double>(a, "max"),
                           get<double>(a, "rate_max"), get<double>(a, "safe_value"),
                           get<double>(a, "safe_rate"), get<double>(a, "hold_s"),
                           get<bool>(a, "safe_from_feedback"), get<bool>(a, "safe_release"),
                           get<bool>(a, "follow"), get<bool>(a, "wraps")});
  }
  for (const auto& t : o.attr("tables")) {
    c.tables.push_back(to_table(t));
  }
  for (const auto& s : o.attr("sources")) {
    c.sources.push_back(s.cast<std::string>());
  }
  c.rate_hz = get<double>(o, "rate_hz");
  c.command_timeout_s = get<double>(o, "command_timeout_s");
  c.heartbeat_timeout_s = get<double>(o, "heartbeat_timeout_s");
  c.pose_timeout_s = get<double>(o, "pose_timeout_s");
  c.command_lost_s = get<double>(o, "command_lost_s");
  c.stop_deceleration = get<double>(o, "stop_deceleration");
  c.front = get<double>(o, "front");
  c.rear = get<double>(o, "rear");
  c.half_width = get<double>(o, "half_width");
  const pybind11::object f = o.attr("fence");
  c.fence.delay_s = get<double>(f, "delay_s");
  c.fence.drift = get<double>(f, "drift");
  c.fence.position_error = get<double>(f, "position_error");
  c.fence.vertical_deceleration = get<double>(f, "vertical_deceleration");
  for (const auto& name : f.attr("velocity_inputs")) {
    c.fence.velocity.push_back(name.cast<std::string>());
  }
  for (const auto& name : f.attr("acceleration_inputs")) {
    c.fence.acceleration.push_back(name.cast<std::string>());
  }
  c.fence.climb = get<std::string>(f, "climb_input");
  c.fence.land = get<std::string>(f, "land_input");
  return c;
}

// Names and values of a Mapping[str, float]; the names live as long as `keep`.
inline std::vector<guard::NamedValue> to_values(const pybind11::object& mapping,
                                                std::vector<std::string>& keep) {
  std::vector<double> numbers;
  for (const auto& item : mapping.attr("items")()) {
    const auto pair = item.cast<pybind11::tuple>();
    keep.push_back(pair[0].cast<std::string>());
    numbers.push_back(pair[1].cast<double>());
  }
  std::vector<guard::NamedValue> values;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    values.push_back({keep[i], numbers[i]});
  }
  return values;
}

// Python strings are valid UTF-8 except for lone surrogates; those become '?'.
inline guard::Reasons to_reasons(const pybind11::object& texts) {
  guard::Reasons reasons;
  for (const auto& text : texts) {
    const auto bytes = text.attr("encode")("utf-8", "replace").cast<std::string>();
    reasons.add().add(bytes);
  }
  return reasons;
}

inline guard::Point to_point(pybind11::handle pair) {
  const auto p = pair.cast<pybind11::tuple>();
  return {p[0].cast<double>(), p[1].cast<double>()};
}

// Sequence of giljabi.fence.Fence; circles become polygons on their safe side.
inline std::vector<guard::Fence> to_fences(const pybind11::object& fences) {
  std::vector<guard::Fence> out;
  for (const auto& f : fences) {
    guard::Fence fence;
    fence.keep_out = get<bool>(f, "keep_out");
    fence.low = get<double>(f, "height_min");
    fence.high = get<double>(f, "height_max");
    for (const auto& corner : f.attr("points")) {
      fence.corners.push_back(to_point(corner));
    }
    if (const pybind11::object centre = f.attr("centre"); !centre.is_none()) {
      fence.corners = guard::round(to_point(centre), get<double>(f, "radius"), fence.keep_out);
    }
    out.push_back(std::move(fence));
  }
  return out;
}

inline guard::Level to_level(bool ok, bool degraded, bool guided) {
  if (!ok) {
    return guided ? guard::Level::guided : guard::Level::fault;
  }
  return degraded ? guard::Level::degraded : guard::Level::ok;
}

inline pybind11::str to_str(std::string_view text) {
  return pybind11::reinterpret_steal<pybind11::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

inline TextList to_list(const guard::Reasons& reasons) {
  TextList out;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    out.append(to_str(reasons[i].view()));
  }
  if (reasons.dropped() > 0) {
    out.append(pybind11::str("and " + std::to_string(reasons.dropped()) + " more"));
  }
  return out;
}

}  // namespace giljabi::bindings
