// Encoder of one device: an encode table compiled once, then SI values to bytes without allocation or
// exception.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/codecs/mavlink.hpp"
#include "giljabi/codecs/servo_wire.hpp"
#include "giljabi/codecs/wire_can.hpp"
#include "giljabi/codecs/wire_nmea.hpp"
#include "giljabi/codecs/wire_table.hpp"

namespace giljabi::codecs {

// The MessagePack datagram of a CAN FD frame has at most 220, one cycle of a servo chain far more.
constexpr std::size_t kMaxFrameBytes = servo::Chain::kMaxBytes;

class WireEncoder {
 public:
  // Checks and compiles; throws std::invalid_argument saying which message and field is wrong.
  WireEncoder(const EncodeTable& table, const std::vector<WireChannel>& channels)
      : protocol_(table.protocol), framing_(table.framing), link_(table.mavlink) {
    const bool datagrams = framing_ == Framing::iec61162_450 && protocol_ == Protocol::nmea;
    if (!datagrams &&
        (protocol_ == Protocol::can) == (framing_ == Framing::raw || framing_ == Framing::iec61162_450)) {
      throw std::invalid_argument(
          table.device +
          ": NMEA goes with framing raw or iec61162_450, MAVLink and servos with raw, "
          "CAN with socketcan, can_msgpack or slcan");
    }
    if (datagrams) {
      header_ = NmeaHeader(table.device, table.source_id);
    }
    if (table.messages.empty()) {
      throw std::invalid_argument(table.device + ": the encode table has no message");
    }
    if (protocol_ == Protocol::servo) {
      if (table.messages.size() != 1 || table.chain == nullptr) {
        throw std::invalid_argument(table.device + ": a servo table has one message and a chain");
      }
      servo_ = std::make_unique<servo::ServoWire>(table.device + "." + table.messages[0].name, table.chain,
                                                  table.messages[0].fields, channels);
    }
    for (const WireMessage& m : table.messages) {
      if (index(m.name) >= 0) {
        throw std::invalid_argument(table.device + ": two messages are called '" + m.name + "'");
      }
      messages_.push_back(compile(table.device + "." + m.name, m, channels));
    }
  }

  std::size_t size() const noexcept { return messages_.size(); }
  double period_s(std::size_t message) const noexcept { return messages_[message].period_s; }
  const std::string& name(std::size_t message) const noexcept { return messages_[message].name; }

  // Place of a message in the table, or -1.
  int index(const std::string& name) const noexcept {
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].name == name) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

  // True when some message carries the actuator's value, or goes out by it.
  bool carries(std::size_t channel) const noexcept {
    if (servo_ != nullptr) {
      return servo_->carries(channel);
    }
    for (const Message& m : messages_) {
      if (m.gate.channel >= 0 && static_cast<std::size_t>(m.gate.channel) == channel) {
        return true;
      }
      for (const Field& f : m.fields) {
        if (f.source == FieldSource::value && f.channel == channel) {
          return true;
        }
      }
      if (std::find(m.attitude.begin(), m.attitude.end(), channel) != m.attitude.end()) {
        return true;
      }
    }
    return false;
  }

  // Whether the message may go out now.
  bool open(std::size_t message, const WirePhase& phase, const double* values) const noexcept {
    return messages_[message].gate.open(phase, values);
  }

  // Servo chains: what to send now; they know of time and of each actuator's order (servo::Order).
  bool chain() const noexcept { return servo_ != nullptr; }
  std::size_t encode_chain(double t, const double* values, const std::uint8_t* orders,
                           std::uint8_t* out) const noexcept {
    return servo_->encode(t, values, orders, out, kMaxFrameBytes);
  }

  // Bytes of one message. values: SI, in the order of the channels; out holds kMaxFrameBytes. Returns the
  // length, 0 (nothing to send) when a value that the message carries is not finite. t: time [s], for
  // MAVLink.
  std::size_t encode(std::size_t message, const double* values, bool armed, std::uint32_t counter,
                     std::uint8_t* out, double t = 0.0) const noexcept {
    const Message& m = messages_[message];
    if (servo_ != nullptr) {
      return 0;
    }
    for (const Field& f : m.fields) {
      if (f.source == FieldSource::value && !std::isfinite(values[f.channel])) {
        return 0;
      }
    }
    if (!std::all_of(m.attitude.begin(), m.attitude.end(),
                     [values](std::size_t c) { return std::isfinite(values[c]); })) {
      return 0;
    }
    if (protocol_ == Protocol::mavlink) {
      return encode_mavlink(m, values, armed, t, out);
    }
    return protocol_ == Protocol::nmea ? encode_nmea(m, values, armed, out)
                                       : encode_can(m, values, armed, counter, out);
  }

 private:
  struct Field {
    FieldSource source = FieldSource::value;
    std::size_t channel = 0;
    double scale = 1.0;
    double offset = 0.0;
    double raw_min = 0.0;
    double raw_max = 0.0;
    double turn = 0.0;     // 0: does not wrap
    double rounded = 0.0;  // half of the last digit: from turn - rounded on it is 0
    int decimals = 0;
    BitPlaces bits;
    std::size_t at = 0;  // MAVLink: byte, number of bytes
    std::size_t bytes = 0;
    bool real = false;
  };

  struct Message {
    std::string name;
    double period_s = 0.0;
    std::vector<Field> fields;
    std::vector<NmeaPiece> pieces;
    CanHeader can;
    std::size_t size = 0;
    BitPlaces counter;               // length 0: none
    std::uint64_t counter_turn = 1;  // so many values
    CanCheck check;
    std::uint32_t mavlink_id = 0;
    std::uint8_t crc_extra = 0;
    std::vector<std::size_t> attitude;  // channels of roll, pitch, yaw; or none
    WireGate gate;
  };

  static double raw(const Field& f, const double* values, bool armed) noexcept {
    double r = f.offset;
    if (f.source == FieldSource::value) {
      r += values[f.channel] * f.scale;
    } else if (f.source == FieldSource::armed && armed) {
      r += f.scale;
    }
    if (f.turn > 0.0) {
      r -= f.turn * std::floor(r / f.turn);
      r = r >= f.turn - f.rounded || r < 0.0 ? 0.0 : r;
    }
    return std::clamp(r, f.raw_min, f.raw_max);
  }

  std::size_t encode_nmea(const Message& m, const double* values, bool armed,
                          std::uint8_t* out) const noexcept {
    const std::size_t head = framing_ == Framing::iec61162_450 ? header_.put(out) : 0;
    out += head;
    std::size_t n = 0;
    const auto append = [out, &n](const std::string& text) {
      std::copy(text.begin(), text.end(), out + n);
      n += text.size();
    };
    for (const NmeaPiece& piece : m.pieces) {
      if (piece.field >= 0) {
        const Field& f = m.fields[static_cast<std::size_t>(piece.field)];
        char digits[24];
        const std::size_t k = print_fixed(raw(f, values, armed), f.decimals, digits);
        std::copy(digits, digits + k, out + n);
        n += k;
      } else {
        append(piece.choice && !armed ? piece.otherwise : piece.text);
      }
    }
    return head + close_nmea(out, n);
  }

  std::size_t encode_mavlink(const Message& m, const double* values, bool armed, double t,
                             std::uint8_t* out) const noexcept {
    std::uint8_t* payload = out + kMavlinkHeader;
    std::fill(payload, payload + m.size, std::uint8_t{0});
    std::array<double, 4> q{};
    if (!m.attitude.empty()) {
      q = ned_from_frd(values[m.attitude[0]], values[m.attitude[1]], values[m.attitude[2]]);
    }
    for (const Field& f : m.fields) {
      if (f.source >= FieldSource::q1) {
        const auto i = static_cast<std::size_t>(f.source) - static_cast<std::size_t>(FieldSource::q1);
        put_mavlink(payload, f.at, f.bytes, f.real, q[i]);
        continue;
      }
      const double r = f.source == FieldSource::time ? std::fmod(std::max(t, 0.0) * 1e3, 4294967296.0)
                                                     : raw(f, values, armed);
      put_mavlink(payload, f.at, f.bytes, f.real, f.source == FieldSource::time ? std::floor(r) : r);
    }
    return link_.close(t, m.mavlink_id, m.crc_extra, m.size, out);
  }

  std::size_t encode_can(const Message& m, const double* values, bool armed, std::uint32_t counter,
                         std::uint8_t* out) const noexcept {
    std::uint8_t data[kCanPayload] = {};
    for (const Field& f : m.fields) {
      // Two's complement: the low bits of a negative number are its raw form.
      const auto r = static_cast<std::int64_t>(std::nearbyint(raw(f, values, armed)));
      put_bits(f.bits, static_cast<std::uint64_t>(r), data);
    }
    put_bits(m.counter, counter % m.counter_turn, data);
    if (m.check) {
      m.check.put(data);
    }
    switch (framing_) {
      case Framing::socketcan:
        return frame_socketcan(m.can, data, m.size, out);
      case Framing::slcan:
        return frame_slcan(m.can, data, m.size, out);
      default:
        return frame_can_msgpack(m.can, data, m.size, out);
    }
  }

  Message compile(const std::string& what, const WireMessage& in,
                  const std::vector<WireChannel>& channels) const {
    if (!(in.period_s > 0.0) || !std::isfinite(in.period_s)) {
      throw std::invalid_argument(what + ": period_s is not a positive number of seconds");
    }
    Message m;
    m.name = in.name;
    m.period_s = in.period_s;
    for (const WireField& f : in.fields) {
      m.fields.push_back(compile_field(what + "." + f.actuator, f, channels));
    }
    m.gate = compile_gate(what, in, channels);
    compile_attitude(what, in, channels, m);
    if (protocol_ == Protocol::nmea) {
      compile_nmea(what, in, channels, m);
    } else if (protocol_ == Protocol::can) {
      compile_can(what, in, m);
    } else if (protocol_ == Protocol::mavlink) {
      check_mavlink(what, in);
      m.mavlink_id = static_cast<std::uint32_t>(in.mavlink_id);
      m.crc_extra = static_cast<std::uint8_t>(in.crc_extra);
      m.size = static_cast<std::size_t>(in.size);
    }
    return m;
  }

  void compile_attitude(const std::string& what, const WireMessage& in,
                        const std::vector<WireChannel>& channels, Message& m) const {
    const bool turns = std::any_of(in.fields.begin(), in.fields.end(),
                                   [](const WireField& f) { return f.source >= FieldSource::q1; });
    if (turns != (in.attitude.size() == 3) || (turns && protocol_ != Protocol::mavlink)) {
      throw std::invalid_argument(what +
                                  ": q1 to q4 are MAVLink's, and go with an attitude of three actuators");
    }
    for (const std::string& name : in.attitude) {
      m.attitude.push_back(channel_of(what, name, channels));
    }
  }

  static std::size_t channel_of(const std::string& what, const std::string& name,
                                const std::vector<WireChannel>& channels) {
    const auto found =
        std::find_if(channels.begin(), channels.end(), [&](const WireChannel& c) { return c.name == name; });
    if (found == channels.end()) {
      throw std::invalid_argument(what + ": no actuator is called '" + name + "'");
    }
    return static_cast<std::size_t>(found - channels.begin());
  }

  static WireGate compile_gate(const std::string& what, const WireMessage& in,
                               const std::vector<WireChannel>& channels) {
    WireGate gate = in.gate;
    if (!in.gate_actuator.empty()) {
      gate.channel = static_cast<int>(channel_of(what, in.gate_actuator, channels));
    }
    return gate;
  }

  Field compile_field(const std::string& what, const WireField& in,
                      const std::vector<WireChannel>& channels) const {
    for (const double v : {in.scale, in.offset, in.raw_min, in.raw_max}) {
      if (!std::isfinite(v)) {
        throw std::invalid_argument(what + ": scale, offset, raw_min and raw_max must be finite");
      }
    }
    Field f;
    f.source = in.source;
    f.scale = in.scale;
    f.offset = in.offset;
    f.raw_min = std::max(in.raw_min, -kNmeaMaxNumber);
    f.raw_max = std::min(in.raw_max, kNmeaMaxNumber);
    f.decimals = in.decimals;
    if (in.turn != 0.0 && !(std::isfinite(in.turn) && in.turn > 0.0)) {
      throw std::invalid_argument(what + ": turn must be above 0, or 0 for what does not wrap");
    }
    f.turn = in.turn;
    f.rounded = in.real ? 0.0 : 0.5 * std::pow(10.0, protocol_ == Protocol::nmea ? -in.decimals : 0);
    if (in.source == FieldSource::value) {
      const auto found = std::find_if(channels.begin(), channels.end(),
                                      [&](const WireChannel& c) { return c.name == in.actuator; });
      if (found == channels.end()) {
        throw std::invalid_argument(what + ": no actuator has that name");
      }
      if (in.scale == 0.0) {
        throw std::invalid_argument(what + ": scale is 0, so no value would reach the wire");
      }
      f.channel = static_cast<std::size_t>(found - channels.begin());
    }
    if (protocol_ == Protocol::nmea && (in.decimals < 0 || in.decimals > kNmeaMaxDecimals)) {
      throw std::invalid_argument(what + ": decimals must be 0 to 6");
    }
    if (protocol_ == Protocol::can && in.length >= 1 &&
        in.length <= kCanMaxBits) {  // bit_places reports the rest
      const double full = std::ldexp(1.0, in.is_signed ? in.length - 1 : in.length);
      f.raw_min = std::max(in.raw_min, in.is_signed ? -full : 0.0);
      f.raw_max = std::min(in.raw_max, full - 1.0);
      f.raw_min = std::ceil(f.raw_min);
      f.raw_max = std::floor(f.raw_max);
    }
    if (protocol_ == Protocol::mavlink) {
      f.at = static_cast<std::size_t>(std::max(in.start_bit, 0) / 8);
      f.bytes = static_cast<std::size_t>(std::max(in.length, 0) / 8);
      f.real = in.real;
      if (!f.real && in.length >= 1 && in.length <= 48) {  // check_mavlink reports the rest
        const double full = std::ldexp(1.0, in.is_signed ? in.length - 1 : in.length);
        f.raw_min = std::max(in.raw_min, in.is_signed ? -full : 0.0);
        f.raw_max = std::min(in.raw_max, full - 1.0);
      }
    }
    if (f.raw_min > f.raw_max) {
      throw std::invalid_argument(what + ": raw_min is above raw_max");
    }
    return f;
  }

  void compile_nmea(const std::string& what, const WireMessage& in, const std::vector<WireChannel>& channels,
                    Message& m) const {
    if (in.counter || in.checksum.kind != "none" || in.can_id >= 0) {
      throw std::invalid_argument(what + ": counter, checksum and can_id belong to CAN messages");
    }
    std::vector<bool> used(in.fields.size(), false);
    m.pieces = parse_nmea_template(what, in.text_template, [&](const std::string& name) {
      for (std::size_t i = 0; i < in.fields.size(); ++i) {
        if (in.fields[i].actuator == name) {
          used[i] = true;
          return static_cast<int>(i);
        }
      }
      return -1;
    });
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) {
        throw std::invalid_argument(what + ": the template has no place for {" + in.fields[i].actuator + "}");
      }
    }
    std::size_t longest = 5;  // *hh<CR><LF>
    for (const NmeaPiece& piece : m.pieces) {
      longest += std::max(piece.text.size(), piece.otherwise.size());
      if (piece.field >= 0) {
        longest += longest_number(m.fields[static_cast<std::size_t>(piece.field)], channels);
      }
    }
    if (longest > kNmeaMax) {
      throw std::invalid_argument(what + ": the sentence can have " + std::to_string(longest) +
                                  " characters; at most 82 are allowed");
    }
  }

  static std::size_t longest_number(const Field& f, const std::vector<WireChannel>& channels) {
    std::vector<double> low;
    std::vector<double> high;
    for (const WireChannel& c : channels) {
      low.push_back(c.min);
      high.push_back(c.max);
    }
    char digits[24];
    const std::size_t turn = f.turn > 0.0 ? print_fixed(std::min(f.turn, f.raw_max), f.decimals, digits) : 0;
    return std::max({turn, print_fixed(raw(f, low.data(), false), f.decimals, digits),
                     print_fixed(raw(f, high.data(), true), f.decimals, digits)});
  }

  void compile_can(const std::string& what, const WireMessage& in, Message& m) const {
    const long long last_id = in.extended ? 0x1FFFFFFF : 0x7FF;
    if (in.can_id < 0 || in.can_id > last_id) {
      throw std::invalid_argument(what + ": can_id " + std::to_string(in.can_id) + " is not 0 to " +
                                  std::to_string(last_id));
    }
    if (in.size < 1 || !can_size_exists(in.size)) {
      throw std::invalid_argument(what +
                                  ": size must be 1 to 8 bytes, or with CAN FD 12, 16, 20, 24, 32, 48 or 64");
    }
    if (!in.text_template.empty()) {
      throw std::invalid_argument(what + ": a CAN message has no template");
    }
    m.can = {static_cast<std::uint32_t>(in.can_id), in.extended, in.fd || in.size > 8, in.bitrate_switch};
    m.size = static_cast<std::size_t>(in.size);
    std::bitset<8 * kCanPayload> taken;
    const auto claim = [&taken](const std::string& part, const BitPlaces& places) {
      for (int i = 0; i < places.length; ++i) {
        const std::size_t bit = places.at[static_cast<std::size_t>(i)];
        if (taken[bit]) {
          throw std::invalid_argument(part + ": its bits overlap another field");
        }
        taken[bit] = true;
      }
    };
    for (std::size_t i = 0; i < in.fields.size(); ++i) {
      const WireField& f = in.fields[i];
      const std::string part = what + "." + f.actuator;
      m.fields[i].bits = bit_places(part, f.start_bit, f.length, f.big_endian, in.size);
      claim(part, m.fields[i].bits);
    }
    if (in.counter) {
      m.counter = counter_places(what + " counter", *in.counter, in.size);
      m.counter_turn = counter_turn(what + " counter", *in.counter);
      claim(what + " counter", m.counter);
    }
    m.check = CanCheck(what + " checksum", in.checksum, m.counter, m.can.id, in.extended, in.size);
    if (m.check) {
      claim(what + " checksum", m.check.places());
      for (const BitPlaces& places : m.check.constants()) {
        claim(what + " header", places);
      }
    }
  }

  Protocol protocol_;
  Framing framing_;
  mutable MavlinkLink link_;  // the sequence goes on with every frame
  mutable NmeaHeader header_;
  std::vector<Message> messages_;
  std::unique_ptr<servo::ServoWire> servo_;
};

}  // namespace giljabi::codecs
