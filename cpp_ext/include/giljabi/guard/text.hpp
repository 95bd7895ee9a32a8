// Text of bounded length and the guard's event log: written in the control tick, so nothing here allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace giljabi::guard {

// At most N bytes of UTF-8, cut at a character's border.
template <std::size_t N>
class Text {
 public:
  Text() = default;

  std::string_view view() const noexcept { return {data_.data(), size_}; }
  bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept { size_ = 0; }

  Text& add(std::string_view text) noexcept {
    std::size_t n = text.size() < N - size_ ? text.size() : N - size_;
    while (n > 0 && n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80U) {
      --n;
    }
    for (std::size_t i = 0; i < n; ++i) {
      data_[size_ + i] = text[i];
    }
    size_ += n;
    return *this;
  }

  // A number with two decimals; ages and values for people.
  Text& add(double value) noexcept {
    std::array<char, 40> digits{};
    const int n =
        std::snprintf(digits.data(), digits.size(), value < 1e9 && value > -1e9 ? "%.2f" : "%.3g", value);
    return add(std::string_view(digits.data(), n > 0 ? static_cast<std::size_t>(n) : 0));
  }

 private:
  std::array<char, N> data_{};
  std::size_t size_ = 0;
};

using Reason = Text<192>;

// At most 16 reasons; further ones are counted, not kept.
class Reasons {
 public:
  static constexpr std::size_t kMax = 16;

  Reason& add() noexcept {
    if (size_ < kMax) {
      items_[size_].clear();
      return items_[size_++];
    }
    ++dropped_;
    spill_.clear();
    return spill_;
  }
  // All but what was told already.
  void add_all(const Reasons& other, std::string_view told = {}) noexcept {
    for (std::size_t i = 0; i < other.size_; ++i) {
      if (other.items_[i].view() != told) {
        add().add(other.items_[i].view());
      }
    }
    dropped_ += other.dropped_;
  }
  void clear() noexcept { size_ = dropped_ = 0; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  std::size_t dropped() const noexcept { return dropped_; }
  const Reason& operator[](std::size_t i) const noexcept { return items_[i]; }

 private:
  std::array<Reason, kMax> items_{};
  Reason spill_{};
  std::size_t size_ = 0;
  std::size_t dropped_ = 0;
};

struct Event {
  double t = 0.0;  // stack time [s]
  Reason what;
};

// The last 256 events; `total` counts all, so a reader sees what it missed.
class EventLog {
 public:
  static constexpr std::size_t kMax = 256;

  Reason& add(double t) noexcept {
    Event& e = ring_[total_ % kMax];
    ++total_;
    e.t = t;
    e.what.clear();
    return e.what;
  }
  std::uint64_t total() const noexcept { return total_; }
  std::uint64_t first() const noexcept { return total_ > kMax ? total_ - kMax : 0; }
  const Event& operator[](std::uint64_t number) const noexcept { return ring_[number % kMax]; }

 private:
  std::array<Event, kMax> ring_{};
  std::uint64_t total_ = 0;
};

}  // namespace giljabi::guard
