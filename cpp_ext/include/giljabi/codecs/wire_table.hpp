// Encode tables in plain data, as src/giljabi/wire.py describes them; converted once at configure.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace giljabi::codecs {

enum class FieldSource { value, armed, constant };
enum class ChecksumKind { none, toyota, crc8_j1850, xor8 };
enum class Protocol { nmea, can };
enum class Framing { raw, socketcan, can_msgpack };

// raw = value_si * scale + offset, clipped to [raw_min, raw_max].
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
};

struct WireChecksum {
  ChecksumKind kind = ChecksumKind::none;
  int start_bit = 0;
  int length = 8;
  bool big_endian = true;
};

struct WireCounter {
  int start_bit = 0;
  int length = 0;
  bool big_endian = true;
};

struct WireMessage {
  std::string name;
  double period_s = 0.0;
  std::vector<WireField> fields;
  std::string text_template;  // NMEA
  long long can_id = -1;
  bool extended = false;
  int size = 8;
  std::optional<WireCounter> counter;
  WireChecksum checksum;
};

struct EncodeTable {
  std::string device;
  Protocol protocol = Protocol::nmea;
  std::vector<WireMessage> messages;
  Framing framing = Framing::raw;
};

// One actuator as the encoder sees it: its place in the value array is its place in the list.
struct WireChannel {
  std::string name;
  double min = 0.0;  // SI
  double max = 0.0;
};

}  // namespace giljabi::codecs
