// Encode tables in plain data, as src/giljabi/wire.py describes them; converted once at configure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "giljabi/codecs/wire_gate.hpp"

namespace giljabi::codecs {

namespace servo {
struct LockedChain;
}

// q1 to q4: of the quaternion (w x y z, NED from FRD) that a message's attitude makes.
enum class FieldSource { value, armed, constant, time, q1, q2, q3, q4 };
enum class Protocol { nmea, can, mavlink, servo };
enum class Framing { raw, socketcan, can_msgpack, slcan, iec61162_450 };

// raw = value_si * scale + offset, clipped to [raw_min, raw_max]; of an angle brought to [0, turn) first.
struct WireField {
  std::string actuator;
  double scale = 1.0;
  double offset = 0.0;
  double raw_min = -1e18;
  double raw_max = 1e18;
  int start_bit = 0;
  int length = 0;
  bool is_signed = false;
  bool big_endian = false;
  int decimals = 1;
  FieldSource source = FieldSource::value;
  bool real = false;  // MAVLink: an IEEE 754 float
  double turn = 0.0;  // 0: no angle that wraps
};

// Of a checksum of kind "crc": the Rocksoft parameters, where the data ID stands, which bytes are left out.
struct WireCrc {
  int width = 8;
  std::uint64_t polynomial = 0;
  std::uint64_t init = 0;
  std::uint64_t xorout = 0;
  bool reflect = false;
  int id_bytes = 0;
  bool id_after = false;
  bool id_high_first = false;
  std::vector<int> skip;
};

struct WireChecksum {
  std::string kind = "none";  // see can_checks.hpp
  int start_bit = 0;
  int length = 8;
  bool big_endian = true;
  std::vector<std::uint64_t> data_id;  // one, or 16 chosen by the counter
  std::string mode = "both";           // of the data ID, AUTOSAR E2E_P01DataIDMode
  WireCrc crc;
};

struct WireCounter {
  int start_bit = 0;
  int length = 0;
  bool big_endian = true;
  long long max = -1;  // highest value before 0 follows; -1: all bits set
};

struct WireMessage {
  std::string name;
  double period_s = 0.0;
  std::vector<WireField> fields;
  std::string text_template;  // NMEA
  long long can_id = -1;
  bool extended = false;
  bool fd = false;
  bool bitrate_switch = false;
  int size = 8;
  std::optional<WireCounter> counter;
  WireChecksum checksum;
  long long mavlink_id = -1;
  int crc_extra = 0;
  std::vector<std::string> attitude;  // MAVLink: actuators roll, pitch, yaw (ENU, FLU) of q1 to q4, or none
  WireGate gate;                      // its channel is found from gate_actuator
  std::string gate_actuator;
};

// MAVLink: who speaks, and the key that signs (empty, or 32 bytes).
struct WireMavlinkLink {
  int system = 255;
  int component = 191;
  int link_id = 0;
  std::vector<std::uint8_t> key;
};

struct EncodeTable {
  EncodeTable() = default;
  EncodeTable(std::string d, Protocol p, std::vector<WireMessage> m, Framing f = Framing::raw)
      : device(std::move(d)), protocol(p), messages(std::move(m)), framing(f) {}

  std::string device;
  Protocol protocol = Protocol::nmea;
  std::vector<WireMessage> messages;
  Framing framing = Framing::raw;
  std::string source_id;  // IEC 61162-450: who sends, two letters and four digits
  WireMavlinkLink mavlink;
  std::shared_ptr<servo::LockedChain>
      chain;  // servo: its bytes; shared with the driver, which reads the replies
};

// One actuator as the encoder sees it: its place in the value array is its place in the list.
struct WireChannel {
  std::string name;
  double min = 0.0;  // SI
  double max = 0.0;
};

}  // namespace giljabi::codecs
