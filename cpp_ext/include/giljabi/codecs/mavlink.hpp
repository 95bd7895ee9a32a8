// MAVLink 2 frames for the guard: payload places, CRC with its extra byte, sequence, signature.
// mavlink.io/en/guide/serialization.html and message_signing.html.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/codecs/sha256.hpp"
#include "giljabi/codecs/wire_table.hpp"

namespace giljabi::codecs {

constexpr std::size_t kMavlinkHeader = 10;
constexpr std::size_t kMavlinkSignature = 13;
constexpr std::size_t kMavlinkPayload = 120;     // of the messages that the guard sends; the protocol has 255
constexpr double kMavlinkEpoch = 1420070400.0;   // 2015-01-01 UTC [s], where signing stamps begin
constexpr double kMavlinkStampsPerSecond = 1e5;  // of 10 us

// CRC-16/MCRF4XX, as MAVLink calls X.25.
inline std::uint16_t mavlink_crc(const std::uint8_t* data, std::size_t size,
                                 std::uint16_t crc = 0xFFFF) noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    auto x = static_cast<std::uint8_t>(data[i] ^ (crc & 0xFF));
    x = static_cast<std::uint8_t>(x ^ (x << 4));
    crc = static_cast<std::uint16_t>((crc >> 8) ^ (x << 8) ^ (x << 3) ^ (x >> 4));
  }
  return crc;
}

// The sender's end of one link: sequence and signing stamps go on from frame to frame.
class MavlinkLink {
 public:
  MavlinkLink() = default;
  explicit MavlinkLink(const WireMavlinkLink& in) : link_(in) {
    if (in.system < 1 || in.system > 255 || in.component < 1 || in.component > 255) {
      throw std::invalid_argument("MAVLink: system and component are 1 to 255");
    }
    if (!in.key.empty() && in.key.size() != Sha256::kSize) {
      throw std::invalid_argument("MAVLink: a signing key has 32 bytes");
    }
  }

  // Frame of a message whose payload stands at out + kMavlinkHeader; returns its length.
  std::size_t close(double t, std::uint32_t message_id, std::uint8_t crc_extra, std::size_t size,
                    std::uint8_t* out) noexcept {
    std::uint8_t* payload = out + kMavlinkHeader;
    while (size > 1 && payload[size - 1] == 0) {
      --size;  // MAVLink 2 cuts trailing zeros, but never the first byte
    }
    const bool signs = !link_.key.empty();
    const std::array<std::uint8_t, kMavlinkHeader> header = {0xFD,
                                                             static_cast<std::uint8_t>(size),
                                                             static_cast<std::uint8_t>(signs ? 1 : 0),
                                                             0,
                                                             sequence_++,
                                                             static_cast<std::uint8_t>(link_.system),
                                                             static_cast<std::uint8_t>(link_.component),
                                                             static_cast<std::uint8_t>(message_id),
                                                             static_cast<std::uint8_t>(message_id >> 8),
                                                             static_cast<std::uint8_t>(message_id >> 16)};
    std::copy(header.begin(), header.end(), out);
    std::size_t n = kMavlinkHeader + size;
    const std::uint16_t crc = mavlink_crc(&crc_extra, 1, mavlink_crc(out + 1, n - 1));
    out[n++] = static_cast<std::uint8_t>(crc);
    out[n++] = static_cast<std::uint8_t>(crc >> 8);
    return signs ? sign(t, n, out) : n;
  }

 private:
  std::size_t sign(double t, std::size_t n, std::uint8_t* out) noexcept {
    const double since = t >= kMavlinkEpoch ? t - kMavlinkEpoch : std::max(t, 0.0);
    stamp_ = std::max(static_cast<std::uint64_t>(since * kMavlinkStampsPerSecond), stamp_ + 1);
    out[n++] = static_cast<std::uint8_t>(link_.link_id);
    for (int i = 0; i < 6; ++i) {
      out[n++] = static_cast<std::uint8_t>(stamp_ >> (8 * i));
    }
    Sha256 hash;
    hash.add(link_.key.data(), link_.key.size());
    hash.add(out, n);
    const auto digest = hash.finish();
    std::copy(digest.begin(), digest.begin() + 6, out + n);
    return n + 6;
  }

  WireMavlinkLink link_;
  std::uint8_t sequence_ = 0;
  std::uint64_t stamp_ = 0;
};

// Quaternion (w x y z) from FRD to NED of roll, pitch and yaw [rad] from FLU to ENU.
inline std::array<double, 4> ned_from_frd(double roll, double pitch, double yaw) noexcept {
  constexpr double kHalfTurn = 3.14159265358979323846;
  const double p = -pitch;  // nose up, not down
  const double y = 0.5 * kHalfTurn - yaw;
  const double cr = std::cos(0.5 * roll), sr = std::sin(0.5 * roll);
  const double cp = std::cos(0.5 * p), sp = std::sin(0.5 * p);
  const double cy = std::cos(0.5 * y), sy = std::sin(0.5 * y);
  return {cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy,
          cr * cp * sy - sr * sp * cy};
}

// Puts one field into a payload, little-endian; integers are rounded and stay inside their range.
inline void put_mavlink(std::uint8_t* payload, std::size_t at, std::size_t bytes, bool real,
                        double value) noexcept {
  std::uint64_t raw = 0;
  if (real) {
    const auto f = static_cast<float>(value);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &f, sizeof bits);
    raw = bits;
  } else {
    raw = static_cast<std::uint64_t>(static_cast<std::int64_t>(std::nearbyint(value)));
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    payload[at + i] = static_cast<std::uint8_t>(raw >> (8 * i));
  }
}

// Checks the places of a message's fields; throws std::invalid_argument. They fill whole bytes.
inline void check_mavlink(const std::string& what, const WireMessage& m) {
  if (m.mavlink_id < 0 || m.mavlink_id > 0xFFFFFF || m.crc_extra < 0 || m.crc_extra > 0xFF) {
    throw std::invalid_argument(what + ": mavlink_id is 0 to 0xFFFFFF and crc_extra 0 to 255");
  }
  if (m.size < 1 || m.size > static_cast<int>(kMavlinkPayload)) {
    throw std::invalid_argument(what + ": size must be 1 to 120 bytes");
  }
  std::vector<bool> taken(static_cast<std::size_t>(m.size), false);
  for (const WireField& f : m.fields) {
    const int at = f.start_bit / 8;
    const int bytes = f.length / 8;
    const bool whole = f.start_bit >= 0 && f.start_bit % 8 == 0 && f.length % 8 == 0;
    if (!whole || bytes < 1 || bytes > 6 || at + bytes > m.size || (f.real && bytes != 4)) {
      throw std::invalid_argument(what + "." + f.actuator + ": its bytes do not fit into the message");
    }
    for (int i = at; i < at + bytes; ++i) {
      if (taken[static_cast<std::size_t>(i)]) {
        throw std::invalid_argument(what + "." + f.actuator + ": its bytes overlap another field");
      }
      taken[static_cast<std::size_t>(i)] = true;
    }
  }
}

}  // namespace giljabi::codecs
