// Any CRC of 4 to 64 bits, in the terms of the Rocksoft model (Williams, "A painless guide to CRC error
// detection algorithms"), with one table for each polynomial.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>

namespace giljabi::codecs {

struct CrcForm {
  int width = 8;
  std::uint64_t polynomial = 0;  // without its highest term
  std::uint64_t init = 0;
  std::uint64_t xorout = 0;
  bool reflect = false;  // bits of a byte least significant first, and the result too
};

class Crc {
 public:
  Crc() = default;

  // Throws std::invalid_argument when a number does not fit the width. Configure only: it may fill a table.
  Crc(const std::string& what, const CrcForm& form) : form_(form) {
    if (form.width < 4 || form.width > 64) {
      throw std::invalid_argument(what + ": the width of a CRC is 4 to 64 bits, not " +
                                  std::to_string(form.width));
    }
    mask_ = form.width == 64 ? ~0ULL : (1ULL << form.width) - 1;
    if ((form.polynomial | form.init | form.xorout) & ~mask_) {
      throw std::invalid_argument(what + ": polynomial, init and xorout must have at most " +
                                  std::to_string(form.width) + " bits");
    }
    if ((form.polynomial & 1U) == 0) {
      throw std::invalid_argument(what + ": the polynomial of a CRC is odd; is it written the other way?");
    }
    // A narrow register that is not reflected works in the upper bits of a byte.
    lift_ = !form.reflect && form.width < 8 ? 8 - form.width : 0;
    start_ = form.reflect ? mirror(form.init, form.width) : form.init << lift_;
    table_ = table_of(form, lift_);
  }

  std::uint64_t start() const noexcept { return start_; }

  std::uint64_t add(std::uint64_t crc, std::uint8_t byte) const noexcept {
    if (form_.reflect) {
      return (crc >> 8) ^ (*table_)[(crc ^ byte) & 0xFFU];
    }
    const int top = form_.width + lift_ - 8;
    return ((top == 0 ? 0 : crc << 8) ^ (*table_)[((crc >> top) ^ byte) & 0xFFU]) & (mask_ << lift_);
  }

  std::uint64_t end(std::uint64_t crc) const noexcept { return ((crc >> lift_) ^ form_.xorout) & mask_; }

  int width() const noexcept { return form_.width; }

 private:
  using Table = std::array<std::uint64_t, 256>;

  static std::uint64_t mirror(std::uint64_t value, int width) noexcept {
    std::uint64_t out = 0;
    for (int i = 0; i < width; ++i) {
      out |= ((value >> i) & 1U) << (width - 1 - i);
    }
    return out;
  }

  static std::shared_ptr<const Table> table_of(const CrcForm& form, int lift) {
    static std::mutex lock;
    static std::map<std::tuple<int, std::uint64_t, bool>, std::shared_ptr<const Table>> known;
    const std::lock_guard<std::mutex> hold(lock);
    auto& entry = known[{form.width, form.polynomial, form.reflect}];
    if (!entry) {
      entry = std::make_shared<const Table>(make(form, lift));
    }
    return entry;
  }

  static Table make(const CrcForm& form, int lift) noexcept {
    Table table{};
    const int width = form.width + lift;
    const std::uint64_t mask = width == 64 ? ~0ULL : (1ULL << width) - 1;
    const std::uint64_t polynomial =
        form.reflect ? mirror(form.polynomial, form.width) : form.polynomial << lift;
    for (std::uint64_t i = 0; i < 256; ++i) {
      std::uint64_t crc = form.reflect ? i : i << (width - 8);
      for (int bit = 0; bit < 8; ++bit) {
        const bool out = form.reflect ? (crc & 1U) != 0 : ((crc >> (width - 1)) & 1U) != 0;
        crc = form.reflect ? crc >> 1 : (crc << 1) & mask;
        crc = out ? crc ^ polynomial : crc;
      }
      table[i] = crc;
    }
    return table;
  }

  CrcForm form_;
  std::uint64_t mask_ = 0xFF;
  int lift_ = 0;
  std::uint64_t start_ = 0;
  std::shared_ptr<const Table> table_;
};

}  // namespace giljabi::codecs
