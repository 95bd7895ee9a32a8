// CAN payload bits (DBC numbering), checksums, and the two framings of a classic CAN frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "giljabi/codecs/wire_table.hpp"

namespace giljabi::codecs {

constexpr std::size_t kCanPayload = 8;       // classic CAN, ISO 11898-1
constexpr int kCanMaxBits = 53;              // raw values are exact in a double
constexpr std::uint32_t kCanEff = 1U << 31;  // CAN_EFF_FLAG of <linux/can.h>

// Places of a signal's bits in the payload, least significant first: byte * 8 + bit, bit 0 the least
// significant.
struct BitPlaces {
  std::array<std::uint8_t, kCanMaxBits> at{};
  int length = 0;
};

// DBC numbering: a little-endian (Intel) signal starts at its least significant bit, a big-endian (Motorola)
// one at its most significant bit and goes on from bit 0 of a byte to bit 7 of the next. Throws at configure
// only.
inline BitPlaces bit_places(const std::string& what, int start_bit, int length, bool big_endian, int size) {
  if (length < 1 || length > kCanMaxBits) {
    throw std::invalid_argument(what + ": length " + std::to_string(length) + " is not 1 to 53 bits");
  }
  BitPlaces places;
  places.length = length;
  int bit = start_bit;
  for (int i = 0; i < length; ++i) {
    if (bit < 0 || bit >= 8 * size) {
      throw std::invalid_argument(what + ": start bit " + std::to_string(start_bit) + " and length " +
                                  std::to_string(length) + " do not fit into " + std::to_string(size) +
                                  " bytes");
    }
    const int rank = big_endian ? length - 1 - i : i;
    places.at[static_cast<std::size_t>(rank)] = static_cast<std::uint8_t>(bit);
    bit = big_endian ? (bit % 8 == 0 ? bit + 15 : bit - 1) : bit + 1;
  }
  return places;
}

inline void put_bits(const BitPlaces& places, std::uint64_t raw, std::uint8_t* data) noexcept {
  for (int i = 0; i < places.length; ++i) {
    const unsigned bit = places.at[static_cast<std::size_t>(i)];
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    if ((raw >> i) & 1U) {
      data[bit / 8] = static_cast<std::uint8_t>(data[bit / 8] | mask);
    } else {
      data[bit / 8] = static_cast<std::uint8_t>(data[bit / 8] & ~mask);
    }
  }
}

// CRC-8/SAE-J1850 over chained chunks: polynomial 0x1D, start 0xFF, final XOR 0xFF (AUTOSAR CRC library,
// CRC8).
class Crc8J1850 {
 public:
  void add(std::uint8_t byte) noexcept {
    crc_ = static_cast<std::uint8_t>(crc_ ^ byte);
    for (int i = 0; i < 8; ++i) {
      crc_ = static_cast<std::uint8_t>((crc_ & 0x80U) != 0 ? (crc_ << 1) ^ 0x1DU : crc_ << 1);
    }
  }
  std::uint8_t value() const noexcept { return static_cast<std::uint8_t>(crc_ ^ 0xFFU); }

 private:
  std::uint8_t crc_ = 0xFF;
};

// Checksum of a payload, leaving out the byte that carries it.
// toyota: length + bytes of the identifier + payload, modulo 256.
inline std::uint8_t can_checksum(ChecksumKind kind, std::uint32_t id, const std::uint8_t* data,
                                 std::size_t size, std::size_t own_byte) noexcept {
  Crc8J1850 crc;
  unsigned sum = static_cast<unsigned>(size);
  unsigned parity = 0;
  for (std::uint32_t rest = id; rest != 0; rest >>= 8) {
    sum += rest & 0xFFU;
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (i != own_byte) {
      crc.add(data[i]);
      sum += data[i];
      parity ^= data[i];
    }
  }
  switch (kind) {
    case ChecksumKind::toyota:
      return static_cast<std::uint8_t>(sum & 0xFFU);
    case ChecksumKind::crc8_j1850:
      return crc.value();
    case ChecksumKind::xor8:
      return static_cast<std::uint8_t>(parity);
    case ChecksumKind::none:
      break;
  }
  return 0;
}

// struct can_frame of <linux/can.h>, 16 bytes in native byte order.
inline std::size_t frame_socketcan(std::uint32_t id, bool extended, const std::uint8_t* data,
                                   std::size_t size, std::uint8_t* out) noexcept {
  const std::uint32_t with_flags = extended ? id | kCanEff : id;
  std::memset(out, 0, 16);
  std::memcpy(out, &with_flags, sizeof with_flags);
  out[4] = static_cast<std::uint8_t>(size);
  std::memcpy(out + 8, data, size);
  return 16;
}

// The datagram of python-can's udp_multicast interface (can.interfaces.udp_multicast.utils.pack_message) for
// a message without timestamp and channel: receivers put in their own. MessagePack specification, "formats".
inline std::size_t frame_can_msgpack(std::uint32_t id, bool extended, const std::uint8_t* data,
                                     std::size_t size, std::uint8_t* out) noexcept {
  std::uint8_t* p = out;
  const auto byte = [&p](unsigned b) { *p++ = static_cast<std::uint8_t>(b); };
  const auto key = [&p, &byte](const char* text) {
    const std::size_t n = std::strlen(text);
    byte(0xA0U | static_cast<unsigned>(n));  // fixstr, at most 31 bytes
    std::memcpy(p, text, n);
    p += n;
  };
  const auto flag = [&key, &byte](const char* text, bool value) {
    key(text);
    byte(value ? 0xC3U : 0xC2U);
  };
  byte(0x8BU);  // fixmap of 11
  key("timestamp");
  byte(0xCBU);  // float 64: 0.0
  for (int i = 0; i < 8; ++i) {
    byte(0);
  }
  key("arbitration_id");
  if (id < 0x80U) {
    byte(id);  // positive fixint
  } else if (id <= 0xFFU) {
    byte(0xCCU);
    byte(id);
  } else if (id <= 0xFFFFU) {
    byte(0xCDU);
    byte(id >> 8);
    byte(id & 0xFFU);
  } else {
    byte(0xCEU);
    for (int shift = 24; shift >= 0; shift -= 8) {
      byte((id >> shift) & 0xFFU);
    }
  }
  flag("is_extended_id", extended);
  flag("is_remote_frame", false);
  flag("is_error_frame", false);
  key("channel");
  byte(0xC0U);  // nil
  key("dlc");
  byte(static_cast<unsigned>(size));
  key("data");
  byte(0xC4U);  // bin 8
  byte(static_cast<unsigned>(size));
  std::memcpy(p, data, size);
  p += size;
  flag("is_fd", false);
  flag("bitrate_switch", false);
  flag("error_state_indicator", false);
  return static_cast<std::size_t>(p - out);
}

}  // namespace giljabi::codecs
