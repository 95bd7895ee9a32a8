// Encode tables of any content are refused with a reason or give messages that their receiver reads back.
#include "giljabi/codecs/wire.hpp"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz.hpp"

using namespace giljabi::codecs;

namespace {

const std::vector<WireChannel> kChannels{{"rudder", -0.6, 0.6}, {"throttle", -9000.0, 4500.0}};

WireField field(FuzzedDataProvider& in) {
  WireField f;
  f.actuator = in.PickValueInArray({"rudder", "throttle", "nobody", ""});
  f.scale = in.ConsumeBool() ? in.ConsumeFloatingPointInRange<double>(-1e3, 1e3)
                             : in.ConsumeFloatingPoint<double>();
  f.offset = in.ConsumeBool() ? 0.0 : in.ConsumeFloatingPoint<double>();
  f.start_bit = in.ConsumeIntegralInRange<int>(-2, 520);
  f.length = in.ConsumeIntegralInRange<int>(-1, 65);
  f.is_signed = in.ConsumeBool();
  f.big_endian = in.ConsumeBool();
  f.decimals = in.ConsumeIntegralInRange<int>(-1, 8);
  f.turn = in.PickValueInArray({0.0, 0.0, 0.0, 360.0, 4096.0, in.ConsumeFloatingPoint<double>()});
  f.source = in.PickValueInArray({FieldSource::value, FieldSource::armed, FieldSource::constant});
  return f;
}

WireChecksum checksum(FuzzedDataProvider& in) {
  const auto& kinds = check_kinds();
  WireChecksum c;
  c.kind = in.ConsumeIntegralInRange<int>(0, 20) == 0
               ? in.ConsumeRandomLengthString(8)
               : kinds[in.ConsumeIntegralInRange<std::size_t>(0, kinds.size() - 1)].name;
  c.start_bit = in.ConsumeIntegralInRange<int>(-1, 520);
  c.length = in.PickValueInArray({8, 4, 16, 32, 64, 3, in.ConsumeIntegralInRange<int>(-1, 70)});
  c.big_endian = in.ConsumeBool();
  for (std::size_t n = in.PickValueInArray<std::size_t>({0, 1, 16, 2}); n > 0; --n) {
    c.data_id.push_back(in.ConsumeBool() ? in.ConsumeIntegral<std::uint8_t>()
                                         : in.ConsumeIntegral<std::uint64_t>());
  }
  c.mode = in.PickValueInArray({"both", "both", "low", "alternating", "nibble", "none"});
  if (c.kind == "crc") {
    c.crc.width = in.ConsumeIntegralInRange<int>(-1, 70);
    c.crc.polynomial = in.ConsumeIntegral<std::uint64_t>();
    c.crc.init = in.ConsumeIntegral<std::uint64_t>();
    c.crc.xorout = in.ConsumeIntegral<std::uint64_t>();
    c.crc.reflect = in.ConsumeBool();
    c.crc.id_bytes = in.ConsumeIntegralInRange<int>(-1, 10);
    c.crc.id_after = in.ConsumeBool();
    c.crc.id_high_first = in.ConsumeBool();
    if (in.ConsumeBool()) c.crc.skip = {in.ConsumeIntegralInRange<int>(-1, 65)};
  }
  return c;
}

EncodeTable table(FuzzedDataProvider& in) {
  EncodeTable t;
  t.device = "device";
  const bool can = in.ConsumeBool();
  t.protocol = can ? Protocol::can : Protocol::nmea;
  t.framing = can ? in.PickValueInArray({Framing::socketcan, Framing::can_msgpack, Framing::slcan})
                  : in.PickValueInArray({Framing::raw, Framing::iec61162_450});
  if (t.framing == Framing::iec61162_450)
    t.source_id = in.ConsumeBool() ? "AG0001" : in.ConsumeRandomLengthString(8);
  WireMessage m;
  m.name = "m";
  m.period_s = in.ConsumeBool() ? 0.1 : in.ConsumeFloatingPoint<double>();
  for (int n = in.ConsumeIntegralInRange<int>(0, 3); n > 0; --n) m.fields.push_back(field(in));
  if (can) {
    m.can_id = in.ConsumeIntegralInRange<int>(-1, 0x20000000);
    m.extended = in.ConsumeBool();
    m.fd = in.ConsumeBool();
    m.bitrate_switch = in.ConsumeBool();
    m.size = in.ConsumeBool() ? 8 : in.ConsumeIntegralInRange<int>(-1, 65);
    if (in.ConsumeBool()) {
      const auto places = in.ConsumeIntegralInRange<int>(0, 511);
      m.counter = WireCounter{places, in.ConsumeIntegralInRange<int>(0, 33), in.ConsumeBool(),
                              in.ConsumeIntegralInRange<int>(-1, 300)};
    }
    if (in.ConsumeBool()) m.checksum = checksum(in);
  } else {
    m.text_template = in.ConsumeRandomLengthString(90);
    if (in.ConsumeBool()) m.text_template = "$AGROR,{rudder},{A|V}" + m.text_template;
  }
  t.messages.push_back(m);
  return t;
}

// Bits of the payload by the DBC's numbering, written anew: walks from the most significant bit.
std::uint64_t read_back(const WireField& f, const std::uint8_t* data) {
  std::uint64_t raw = 0;
  for (int i = 0; i < f.length; ++i) {
    int at = 0;
    if (f.big_endian) {
      const int from_msb =
          8 * (f.start_bit / 8) + 7 - f.start_bit % 8 + i;  // counted from bit 7 of byte 0 on
      at = 8 * (from_msb / 8) + 7 - from_msb % 8;
    } else {
      at = f.start_bit + f.length - 1 - i;
    }
    raw = raw << 1 | ((data[at / 8] >> (at % 8)) & 1U);
  }
  return raw;
}

void check_nmea(const std::uint8_t* out, std::size_t n) {
  PROMISE(n <= 82 && n >= 5 && out[n - 5] == '*' && out[n - 2] == '\r' && out[n - 1] == '\n');
  unsigned parity = 0;
  for (std::size_t i = 1; i + 5 < n; ++i) {
    PROMISE(out[i] >= 0x20 && out[i] <= 0x7E && out[i] != '*');
    parity ^= out[i];
  }
  char sum[4];
  std::snprintf(sum, sizeof sum, "%02X", parity);
  PROMISE(std::memcmp(sum, out + n - 4, 2) == 0);
}

// A datagram of IEC 61162-450: token, TAG block, then the sentence; returns what is in front of it.
std::size_t check_450(const EncodeTable& t, const std::uint8_t* out, std::size_t n) {
  const std::string text(out, out + n);
  const std::string body = "s:" + t.source_id + ",n:0";
  unsigned parity = 0;
  for (const char c : body) parity ^= static_cast<unsigned char>(c);
  char sum[4];
  std::snprintf(sum, sizeof sum, "%02X", parity);
  const std::string head = std::string("UdPbC\0\\", 7) + body + "*" + sum + "\\";
  PROMISE(text.compare(0, head.size(), head) == 0 && t.source_id.size() == 6);
  return head.size();
}

void check_can(const WireMessage& m, const double* values, std::uint8_t* out, unsigned flipped) {
  PROMISE(out[4] == m.size);
  for (const WireField& f : m.fields) {
    if (f.source != FieldSource::value || f.offset != 0.0 || f.turn != 0.0) continue;
    const double wanted = values[f.actuator == "rudder" ? 0 : 1] * f.scale;
    const double full = std::ldexp(1.0, f.is_signed ? f.length - 1 : f.length);
    if (!(std::abs(wanted) < 1e9 && wanted < full - 1.0 && wanted > (f.is_signed ? -full : 0.0))) continue;
    std::uint64_t raw = read_back(f, out + 8);
    if (f.is_signed && (raw >> (f.length - 1)) != 0) raw |= ~0ULL << f.length;
    PROMISE(std::abs(static_cast<double>(static_cast<std::int64_t>(raw)) - wanted) <= 0.5 + 1e-6);
  }
  const BitPlaces counter = m.counter ? counter_places("counter", *m.counter, m.size) : BitPlaces{};
  const CanCheck check("check", m.checksum, counter, static_cast<std::uint32_t>(m.can_id), m.extended,
                       m.size);
  if (!check) return;
  std::uint8_t* const payload = out + 8;
  PROMISE(check.ok(payload));
  if (m.checksum.kind == "crc") return;  // one of anybody's making may miss what it likes
  flipped %= 8U * static_cast<unsigned>(m.size);
  if (m.checksum.kind == "hyundai_sum6" && flipped / 8 >= 6) return;  // its maker sums six bytes
  payload[flipped / 8] = static_cast<std::uint8_t>(payload[flipped / 8] ^ 1U << (flipped % 8));
  PROMISE(!check.ok(payload));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider in(data, size);
  const EncodeTable t = table(in);
  try {
    const WireEncoder encoder(t, kChannels);
    const double values[2] = {
        in.ConsumeFloatingPointInRange<double>(-0.6, 0.6),
        in.ConsumeBool() ? std::nan("") : in.ConsumeFloatingPointInRange<double>(-9000, 4500)};
    std::uint8_t out[kMaxFrameBytes] = {};
    const std::size_t n =
        encoder.encode(0, values, in.ConsumeBool(), in.ConsumeIntegral<std::uint32_t>(), out);
    PROMISE(n <= kMaxFrameBytes);
    if (n == 0) return 0;
    if (t.protocol == Protocol::nmea) {
      const std::size_t head = t.framing == Framing::iec61162_450 ? check_450(t, out, n) : 0;
      check_nmea(out + head, n - head);
    } else if (t.framing == Framing::socketcan) {
      check_can(t.messages[0], values, out, in.ConsumeIntegral<std::uint16_t>());
    }
  } catch (const std::invalid_argument& e) {
    PROMISE(std::string(e.what()).size() > 10);
  }
  return 0;
}
