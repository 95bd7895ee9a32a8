// MAVLink messages of any layout are refused with a reason or give frames that their receiver reads back.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "giljabi/codecs/wire.hpp"

using namespace giljabi::codecs;

namespace {

const std::vector<WireChannel> kChannels{{"yaw", -3.2, 3.2}, {"climb", -3.0, 4.0}};
constexpr std::size_t kHead = 10;  // of a frame of MAVLink 2; behind it payload, CRC, signature

WireField field(FuzzedDataProvider& in) {
  WireField f;
  f.actuator = in.PickValueInArray({"yaw", "climb", "nobody"});
  f.scale = in.ConsumeBool() ? in.ConsumeFloatingPointInRange<double>(-1e3, 1e3)
                             : in.ConsumeFloatingPoint<double>();
  f.offset = in.ConsumeBool() ? 0.0 : in.ConsumeFloatingPoint<double>();
  f.start_bit =
      in.ConsumeBool() ? 8 * in.ConsumeIntegralInRange<int>(0, 60) : in.ConsumeIntegralInRange<int>(-9, 1000);
  f.length = in.PickValueInArray({8, 16, 32, 48, in.ConsumeIntegralInRange<int>(-1, 65)});
  f.is_signed = in.ConsumeBool();
  f.real = in.ConsumeBool();
  f.source = in.PickValueInArray(
      {FieldSource::value, FieldSource::value, FieldSource::armed, FieldSource::constant, FieldSource::time});
  return f;
}

EncodeTable table(FuzzedDataProvider& in) {
  EncodeTable t;
  t.device = "autopilot";
  t.protocol = Protocol::mavlink;
  WireMessage m;
  m.name = "m";
  m.period_s = 0.1;
  m.mavlink_id = in.ConsumeIntegralInRange<int>(-1, 0x1000000);
  m.crc_extra = in.ConsumeIntegralInRange<int>(-1, 256);
  m.size = in.ConsumeIntegralInRange<int>(-1, 130);
  for (int n = in.ConsumeIntegralInRange<int>(0, 6); n > 0; --n) m.fields.push_back(field(in));
  t.messages.push_back(m);
  t.mavlink.system = in.ConsumeIntegralInRange<int>(0, 256);
  t.mavlink.component = in.ConsumeIntegralInRange<int>(0, 256);
  t.mavlink.link_id = in.ConsumeIntegral<std::uint8_t>();
  t.mavlink.key.assign(in.PickValueInArray<std::size_t>({0, 32, 31}), 7);
  return t;
}

// CRC-16/MCRF4XX bit by bit: polynomial 0x1021 reflected, all ones at first.
unsigned crc(const std::uint8_t* data, std::size_t size, unsigned extra) {
  unsigned sum = 0xFFFF;
  for (std::size_t i = 0; i <= size; ++i) {
    sum ^= i < size ? data[i] : extra;
    for (int bit = 0; bit < 8; ++bit) sum = (sum & 1U) != 0 ? sum >> 1U ^ 0x8408U : sum >> 1U;
  }
  return sum;
}

// A field as its receiver sees it; what was cut off at the end is 0.
double read_back(const WireField& f, const std::uint8_t* payload) {
  std::uint64_t raw = 0;
  for (int i = f.length / 8 - 1; i >= 0; --i) raw = raw << 8U | payload[f.start_bit / 8 + i];
  if (f.real) {
    const auto bits = static_cast<std::uint32_t>(raw);
    float value = 0.0F;
    std::memcpy(&value, &bits, sizeof value);
    return static_cast<double>(value);
  }
  if (f.is_signed && (raw >> (f.length - 1)) != 0) raw |= ~0ULL << f.length;
  return static_cast<double>(static_cast<std::int64_t>(raw));
}

void check_fields(const WireMessage& m, const double* values, double t, const std::uint8_t* payload) {
  for (const WireField& f : m.fields) {
    if (f.source == FieldSource::time && f.length == 32 && !f.real && !f.is_signed)
      PROMISE(read_back(f, payload) == std::floor(std::fmod(t * 1e3, 4294967296.0)));
    if (f.source != FieldSource::value || f.offset != 0.0) continue;
    const double wanted = values[f.actuator == "yaw" ? 0 : 1] * f.scale;
    const double full = std::ldexp(1.0, f.is_signed ? f.length - 1 : f.length);
    const bool fits = wanted < full - 1.0 && wanted > (f.is_signed ? -full : 0.0);
    if (!(std::abs(wanted) < 1e9 && (f.real || fits))) continue;
    PROMISE(std::abs(read_back(f, payload) - wanted) <=
            (f.real ? 1e-6 * std::abs(wanted) + 1e-37 : 0.5 + 1e-6));
  }
}

// One frame; returns its signing stamp.
std::uint64_t check_frame(const EncodeTable& t, const double* values, double now, const std::uint8_t* frame,
                          std::size_t n, unsigned sequence) {
  const WireMessage& m = t.messages[0];
  const bool signs = !t.mavlink.key.empty();
  const std::size_t size = frame[1];
  PROMISE(frame[0] == 0xFD && frame[2] == (signs ? 1 : 0) && frame[3] == 0 && frame[4] == sequence);
  PROMISE(size >= 1 && size <= static_cast<std::size_t>(m.size) && n == kHead + size + 2 + (signs ? 13 : 0));
  PROMISE(frame[5] == t.mavlink.system && frame[6] == t.mavlink.component);
  PROMISE((frame[7] | frame[8] << 8 | frame[9] << 16) == m.mavlink_id);
  const unsigned sum = crc(frame + 1, kHead - 1 + size, static_cast<unsigned>(m.crc_extra));
  PROMISE(frame[kHead + size] == (sum & 0xFFU) && frame[kHead + size + 1] == sum >> 8U);
  PROMISE(size == 1 || frame[kHead + size - 1] != 0);
  std::uint8_t payload[256] = {};
  std::copy(frame + kHead, frame + kHead + size, payload);
  check_fields(m, values, now, payload);
  if (!signs) return sequence;
  PROMISE(frame[n - 13] == t.mavlink.link_id);
  std::uint64_t stamp = 0;
  for (std::size_t i = 0; i < 6; ++i) stamp |= static_cast<std::uint64_t>(frame[n - 12 + i]) << (8 * i);
  return stamp;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider in(data, size);
  const EncodeTable t = table(in);
  try {
    const WireEncoder encoder(t, kChannels);
    std::uint64_t last = 0;
    for (unsigned k = 0; k < 3; ++k) {
      const double values[2] = {in.ConsumeFloatingPointInRange<double>(-3.2, 3.2),
                                in.ConsumeBool() ? 1.0 : in.ConsumeFloatingPointInRange<double>(-3, 4)};
      const double now = in.ConsumeFloatingPointInRange<double>(0.0, 4e9);
      std::uint8_t out[kMaxFrameBytes] = {};
      const std::size_t n = encoder.encode(0, values, in.ConsumeBool(), 0, out, now);
      PROMISE(n > 0 && n <= kMaxFrameBytes);
      const std::uint64_t stamp = check_frame(t, values, now, out, n, k);
      PROMISE(k == 0 || stamp > last);  // also when time goes back
      last = stamp;
    }
  } catch (const std::invalid_argument& e) {
    PROMISE(std::string(e.what()).size() > 10);
  }
  return 0;
}
