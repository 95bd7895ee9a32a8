// Bits of a CAN payload in DBC numbering.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace giljabi::codecs {

constexpr std::size_t kCanPayload = 64;  // CAN FD, ISO 11898-1; a classic frame has at most 8
constexpr int kCanMaxBits = 53;          // raw values are exact in a double
constexpr int kCanCheckBits = 64;        // a checksum is no double

// True for a number of bytes that a frame can have: 0 to 8, and with CAN FD 12, 16, 20, 24, 32, 48, 64.
inline bool can_size_exists(int size) noexcept {
  if (size <= 8) {
    return size >= 0;
  }
  return size <= 24 ? size % 4 == 0 : size == 32 || size == 48 || size == 64;
}

// Data length code of a number of bytes that exists (ISO 11898-1, table of DLC).
inline unsigned can_length_code(std::size_t size) noexcept {
  const auto n = static_cast<unsigned>(size);
  return n <= 8 ? n : n <= 24 ? 6 + n / 4 : 11 + n / 16;
}

// Places of a signal's bits in the payload, least significant first: byte * 8 + bit, bit 0 the least
// significant.
struct BitPlaces {
  std::array<std::uint16_t, kCanCheckBits> at{};
  int length = 0;
};

// DBC numbering: a little-endian (Intel) signal starts at its least significant bit, a big-endian (Motorola)
// one at its most significant bit and goes on from bit 0 of a byte to bit 7 of the next. Throws at configure
// only.
inline BitPlaces bit_places(const std::string& what, int start_bit, int length, bool big_endian, int size,
                            int longest = kCanMaxBits) {
  if (length < 1 || length > longest) {
    throw std::invalid_argument(what + ": length " + std::to_string(length) + " is not 1 to " +
                                std::to_string(longest) + " bits");
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
    places.at[static_cast<std::size_t>(rank)] = static_cast<std::uint16_t>(bit);
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

inline std::uint64_t get_bits(const BitPlaces& places, const std::uint8_t* data) noexcept {
  std::uint64_t raw = 0;
  for (int i = 0; i < places.length; ++i) {
    const unsigned bit = places.at[static_cast<std::size_t>(i)];
    raw |= static_cast<std::uint64_t>((data[bit / 8] >> (bit % 8)) & 1U) << i;
  }
  return raw;
}

}  // namespace giljabi::codecs
