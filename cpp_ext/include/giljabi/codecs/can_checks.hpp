// Checksums of CAN messages by name: one implementation for what is sent and for what is received.
//
// A checksum stands where its signal stands. Bytes that it fills are left out of the sum, in bytes that it
// shares with other signals its bits count as 0.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/codecs/can_bits.hpp"
#include "giljabi/codecs/can_crc.hpp"
#include "giljabi/codecs/wire_table.hpp"

namespace giljabi::codecs {

enum class CheckSum { none, toyota, honda, sum6, sum8, xor8, tsc1, j1939, crc };
enum class CheckId { none, optional, one, listed };  // data ID: not known, may be, must be, one per counter

struct CheckKind {
  const char* name;
  CheckSum sum;
  int width;  // bits
  CrcForm crc;
  CheckId id;
  int id_bytes;
  bool id_after;
  bool id_high_first;
  int counter_max;  // highest value of the counter, -1: all its bits
};

// toyota, honda, hyundai_*, vw_mqb: facts as in opendbc. j1939*: SAE J1939-71, SPN 4207 (TSC1) and SPN 3188
// (XBR and others). e2e_*: AUTOSAR E2E protocol specification, profiles 1, 2, 4, 5, 6, 7, 11.
inline const std::vector<CheckKind>& check_kinds() {
  using S = CheckSum;
  using I = CheckId;
  constexpr std::uint64_t kP7 = 0x42F0E1EBA9EA3693;
  static const std::vector<CheckKind> kinds = {
      {"none", S::none, 0, {}, I::none, 0, false, false, -1},
      {"toyota", S::toyota, 8, {}, I::none, 0, false, false, -1},
      {"honda", S::honda, 4, {}, I::none, 0, false, false, -1},
      {"hyundai_sum6", S::sum6, 8, {}, I::none, 0, false, false, -1},
      {"hyundai_sum7", S::sum8, 8, {}, I::none, 0, false, false, -1},
      {"hyundai_crc8", S::crc, 8, {8, 0x1D, 0xFD, 0xDF, false}, I::none, 0, false, false, -1},
      {"hyundai_canfd", S::crc, 16, {16, 0x1021, 0, 0, false}, I::none, 0, false, false, -1},
      {"xor8", S::xor8, 8, {}, I::none, 0, false, false, -1},
      {"sum8", S::sum8, 8, {}, I::none, 0, false, false, -1},
      {"crc8_j1850", S::crc, 8, {8, 0x1D, 0xFF, 0xFF, false}, I::none, 0, false, false, -1},
      {"vw_mqb", S::crc, 8, {8, 0x2F, 0xFF, 0xFF, false}, I::listed, 1, true, false, -1},
      {"j1939_tsc1", S::tsc1, 4, {}, I::none, 0, false, false, 7},
      {"j1939", S::j1939, 4, {}, I::none, 0, false, false, -1},
      {"e2e_p01", S::crc, 8, {8, 0x1D, 0x00, 0x00, false}, I::one, 2, false, false, 14},
      {"e2e_p02", S::crc, 8, {8, 0x2F, 0xFF, 0xFF, false}, I::listed, 1, true, false, -1},
      {"e2e_p04", S::crc, 32, {32, 0xF4ACFB13, 0xFFFFFFFF, 0xFFFFFFFF, true}, I::one, 0, false, false, -1},
      {"e2e_p05", S::crc, 16, {16, 0x1021, 0xFFFF, 0, false}, I::one, 2, true, false, -1},
      {"e2e_p06", S::crc, 16, {16, 0x1021, 0xFFFF, 0, false}, I::one, 2, true, true, -1},
      {"e2e_p07", S::crc, 64, {64, kP7, ~0ULL, ~0ULL, true}, I::one, 0, false, false, -1},
      {"e2e_p11", S::crc, 8, {8, 0x1D, 0x00, 0x00, false}, I::one, 2, false, false, 14},
      {"crc", S::crc, 0, {}, I::optional, 0, false, false, -1},
  };
  return kinds;
}

// The kind of a name; throws std::invalid_argument with all names.
inline const CheckKind& check_kind(const std::string& what, const std::string& name) {
  std::string known;
  for (const CheckKind& k : check_kinds()) {
    if (name == k.name) {
      return k;
    }
    known += (known.empty() ? "" : ", ") + std::string(k.name);
  }
  throw std::invalid_argument(what + ": the checksum kind '" + name + "' is not known; one of " + known +
                              " is expected");
}

inline BitPlaces counter_places(const std::string& what, const WireCounter& c, int size) {
  return bit_places(what, c.start_bit, c.length, c.big_endian, size, 32);
}

// How many values a counter has.
inline std::uint64_t counter_turn(const std::string& what, const WireCounter& c) {
  const std::uint64_t all = 1ULL << c.length;
  if (c.max >= 0 && (c.max == 0 || static_cast<std::uint64_t>(c.max) >= all)) {
    throw std::invalid_argument(what + ": a counter of " + std::to_string(c.length) + " bits cannot end at " +
                                std::to_string(c.max));
  }
  return c.max < 0 ? all : static_cast<std::uint64_t>(c.max) + 1;
}

class CanCheck {
 public:
  CanCheck() = default;

  // Compiles; throws std::invalid_argument saying what is wrong and what is expected.
  CanCheck(const std::string& what, const WireChecksum& in, const BitPlaces& counter, std::uint32_t id,
           bool extended, int size)
      : sum_(check_kind(what, in.kind).sum), counter_(counter), size_(static_cast<std::size_t>(size)) {
    if (sum_ == CheckSum::none) {
      return;
    }
    const CheckKind kind = resolve(what, in);
    const bool whole = kind.sum != CheckSum::tsc1 || in.length != 3;  // TSC1 has 3 bits in a field of 3 or 4
    if (whole && in.length != kind.width) {
      throw std::invalid_argument(what + ": " + in.kind + " has " + std::to_string(kind.width) +
                                  " bits; its signal has " + std::to_string(in.length));
    }
    own_ = bit_places(what, in.start_bit, in.length, in.big_endian, size, kCanCheckBits);
    for (int i = 0; i < own_.length; ++i) {
      const unsigned bit = own_.at[static_cast<std::size_t>(i)];
      mine_[bit / 8] = static_cast<std::uint8_t>(mine_[bit / 8] | 1U << (bit % 8));
    }
    for (std::size_t i = 0; i < size_; ++i) {
      left_out_[i] = mine_[i] == 0xFF;
    }
    for (const int i : in.crc.skip) {
      if (i < 0 || i >= size) {
        throw std::invalid_argument(what + ": skip names byte " + std::to_string(i) + " of " +
                                    std::to_string(size));
      }
      left_out_[static_cast<std::size_t>(i)] = true;
    }
    sum_of_id(id, extended, kind.sum == CheckSum::honda);
    if (kind.sum != CheckSum::crc) {
      if (!in.data_id.empty()) {
        throw std::invalid_argument(what + ": " + in.kind + " takes no data_id");
      }
    } else {
      crc_ = Crc(what, kind.crc);
      take_data_id(what, in, kind);
      if (in.kind == "hyundai_canfd") {
        hyundai_canfd(what, id, size);
      }
      header(what, in, size);
    }
  }

  explicit operator bool() const noexcept { return sum_ != CheckSum::none; }
  const BitPlaces& places() const noexcept { return own_; }
  const std::vector<BitPlaces>& constants() const noexcept { return constant_places_; }

  // Checksum of a payload of `size` bytes with its counter in place.
  std::uint64_t value(const std::uint8_t* data) const noexcept {
    return sum_ == CheckSum::crc ? crc_value(data) : sum_value(data);
  }

  // Puts what the profile prescribes, then the checksum.
  void put(std::uint8_t* data) const noexcept {
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      put_bits(constant_places_[i], constants_[i], data);
    }
    put_bits(own_, value(data), data);
  }

  bool ok(const std::uint8_t* data) const noexcept {
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      if (get_bits(constant_places_[i], data) != constants_[i]) {
        return false;
      }
    }
    return get_bits(own_, data) == value(data);
  }

 private:
  static CheckKind resolve(const std::string& what, const WireChecksum& in) {
    CheckKind kind = check_kind(what, in.kind);
    const std::string name = in.kind;
    if (name == "crc") {
      kind.crc = {in.crc.width, in.crc.polynomial, in.crc.init, in.crc.xorout, in.crc.reflect};
      kind.width = in.crc.width;
      kind.id_bytes = in.crc.id_bytes;
      kind.id_after = in.crc.id_after;
      kind.id_high_first = in.crc.id_high_first;
    }
    const bool p01 = name == "e2e_p01";
    if (in.mode != "both" && !((p01 && (in.mode == "low" || in.mode == "alternating")) ||
                               ((p01 || name == "e2e_p11") && in.mode == "nibble"))) {
      throw std::invalid_argument(what + ": the data ID of " + name + " has no mode '" + in.mode +
                                  "'; both is expected (e2e_p01 also knows low, alternating and nibble, "
                                  "e2e_p11 nibble)");
    }
    return kind;
  }

  void sum_of_id(std::uint32_t id, bool extended, bool nibbles) noexcept {
    const int step = nibbles ? 4 : 8;
    for (std::uint32_t rest = id; rest != 0; rest >>= step) {
      id_sum_ += rest & (nibbles ? 0xFU : 0xFFU);
    }
    extended_ = extended;
  }

  // Byte order of the data ID for each value of the counter.
  void take_data_id(const std::string& what, const WireChecksum& in, const CheckKind& kind) {
    const std::size_t n = in.data_id.size();
    const bool wanted = kind.id == CheckId::one || kind.id == CheckId::listed || kind.id_bytes > 0;
    const bool list = kind.id == CheckId::listed || kind.id == CheckId::optional;
    if (wanted && n == 0) {
      throw std::invalid_argument(what + ": " + in.kind + " needs a data_id");
    }
    if (!wanted && n != 0) {
      throw std::invalid_argument(
          what + ": " + in.kind +
          (kind.id == CheckId::optional ? " takes a data_id with id_bytes only" : " takes no data_id"));
    }
    if (n > 1 && (!list || n != 16)) {
      throw std::invalid_argument(what + ": data_id has " + std::to_string(n) + " numbers; one" +
                                  (list ? " or 16, one for each counter," : "") + " is expected");
    }
    if (kind.id_bytes < 0 || kind.id_bytes > 8) {
      throw std::invalid_argument(what + ": id_bytes is 0 to 8");
    }
    const int bits = in.mode == "nibble" ? 12
                     : in.mode == "low"  ? 16
                     : kind.id_bytes > 0 ? 8 * kind.id_bytes
                                         : 32;
    for (const std::uint64_t v : in.data_id) {
      if (bits < 64 && v >> bits != 0) {
        throw std::invalid_argument(what + ": data_id " + std::to_string(v) + " has more than " +
                                    std::to_string(bits) + " bits");
      }
    }
    id_after_ = kind.id_after;
    id_bytes_ = static_cast<std::size_t>(n == 0 ? 0 : kind.id_bytes);
    if (in.mode == "low" || in.mode == "alternating") {
      id_bytes_ = 1;
    }
    by_counter_ = n > 1 || in.mode == "alternating";
    if (by_counter_ && counter_.length == 0) {
      throw std::invalid_argument(what + ": the data ID goes by the counter, and the message has none");
    }
    if (n == 0) {
      return;
    }
    for (std::size_t c = 0; c < 16; ++c) {
      const std::uint64_t v = in.data_id[n > 1 ? c : 0] >> (in.mode == "alternating" && c % 2 == 1 ? 8 : 0);
      for (std::size_t i = 0; i < id_bytes_; ++i) {
        const std::size_t rank = kind.id_high_first ? id_bytes_ - 1 - i : i;
        // nibble: the low byte, then 0; the other four bits stand in the frame
        id_[c][i] = in.mode == "nibble" && i == 1 ? 0 : static_cast<std::uint8_t>(v >> (8 * rank));
      }
    }
  }

  // The identifier follows the payload; what is left over depends on the length.
  void hyundai_canfd(const std::string& what, std::uint32_t id, int size) {
    struct Rest {
      int size;
      std::uint64_t value;
    };
    constexpr std::array<Rest, 4> kRest = {{{8, 0x5F29}, {16, 0x041D}, {24, 0x819D}, {32, 0x9F5B}}};
    const auto* found =
        std::find_if(kRest.begin(), kRest.end(), [&](const Rest& r) { return r.size == size; });
    if (found == kRest.end()) {
      throw std::invalid_argument(what + ": hyundai_canfd is known for 8, 16, 24 and 32 bytes");
    }
    crc_ = Crc(what, {16, 0x1021, 0, found->value, false});
    id_after_ = true;
    id_bytes_ = 2;
    id_[0][0] = static_cast<std::uint8_t>(id);
    id_[0][1] = static_cast<std::uint8_t>(id >> 8);
  }

  // What the header of a profile holds beside CRC and counter; places go from the CRC's first byte.
  void header(const std::string& what, const WireChecksum& in, int size) {
    const int first = *std::min_element(own_.at.begin(), own_.at.begin() + own_.length) / 8;
    const auto put = [&](int byte, int bits, std::uint64_t value) {
      constant_places_.push_back(bit_places(what + " header", 8 * byte + 7, bits, true, size));
      constants_.push_back(value);
    };
    const std::uint64_t id = in.data_id.empty() ? 0 : in.data_id[0];
    if (in.mode == "nibble") {
      put(first + 1, 4, id >> 8);
    } else if (in.kind == "e2e_p04") {
      put(first - 8, 16, static_cast<std::uint64_t>(size));
      put(first - 4, 32, id);
    } else if (in.kind == "e2e_p06") {
      put(first + 2, 16, static_cast<std::uint64_t>(size));
    } else if (in.kind == "e2e_p07") {
      put(first + 8, 32, static_cast<std::uint64_t>(size));
      put(first + 16, 32, id);
    }
  }

  std::uint64_t crc_value(const std::uint8_t* data) const noexcept {
    const auto& id = id_[by_counter_ ? get_bits(counter_, data) & 0xFU : 0];
    std::uint64_t crc = crc_.start();
    if (!id_after_) {
      for (std::size_t i = 0; i < id_bytes_; ++i) {
        crc = crc_.add(crc, id[i]);
      }
    }
    for (std::size_t i = 0; i < size_; ++i) {
      if (!left_out_[i]) {
        crc = crc_.add(crc, static_cast<std::uint8_t>(data[i] & ~mine_[i]));
      }
    }
    if (id_after_) {
      for (std::size_t i = 0; i < id_bytes_; ++i) {
        crc = crc_.add(crc, id[i]);
      }
    }
    return crc_.end(crc);
  }

  std::uint64_t sum_value(const std::uint8_t* data) const noexcept {
    unsigned sum = 0;
    unsigned parity = 0;
    unsigned nibbles = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      const unsigned byte = data[i] & ~static_cast<unsigned>(mine_[i]);
      if (sum_ != CheckSum::sum6 || i < 6) {
        sum += byte;
      }
      parity ^= byte;
      nibbles += (byte & 0xFU) + (byte >> 4);
    }
    switch (sum_) {
      case CheckSum::toyota:
        return (sum + id_sum_ + static_cast<unsigned>(size_)) & 0xFFU;
      case CheckSum::honda:
        return (8U - nibbles - id_sum_ + (extended_ ? 3U : 0U)) & 0xFU;
      case CheckSum::sum6:
      case CheckSum::sum8:
        return sum & 0xFFU;
      case CheckSum::xor8:
        return parity;
      case CheckSum::tsc1:
        sum += id_sum_;
        return (((sum >> 6) & 0x3U) + (sum >> 3) + sum) & 0x7U;
      case CheckSum::j1939:
        sum += id_sum_;
        return ((sum >> 4) + sum) & 0xFU;
      case CheckSum::crc:
      case CheckSum::none:
        break;
    }
    return 0;
  }

  CheckSum sum_ = CheckSum::none;
  BitPlaces counter_;
  std::size_t size_ = 0;
  BitPlaces own_;
  std::array<std::uint8_t, kCanPayload> mine_{};  // bits of the checksum itself
  std::array<bool, kCanPayload> left_out_{};
  unsigned id_sum_ = 0;
  bool extended_ = false;
  Crc crc_;
  std::array<std::array<std::uint8_t, 8>, 16> id_{};
  std::size_t id_bytes_ = 0;
  bool id_after_ = false;
  bool by_counter_ = false;
  std::vector<BitPlaces> constant_places_;
  std::vector<std::uint64_t> constants_;
};

}  // namespace giljabi::codecs
