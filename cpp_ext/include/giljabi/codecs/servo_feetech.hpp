// Feetech STS and SCS series: packets FF FF id length instruction parameters ~sum. They differ in the byte
// order of words only: STS little-endian, SCS big-endian (Feetech, "Communication Protocol User Manual").
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "giljabi/codecs/servo_packet.hpp"

namespace giljabi::codecs::servo {

class FeetechWriter {
 public:
  explicit FeetechWriter(Out& out) noexcept : out_(out) {}

  void begin(std::uint8_t id, std::uint8_t instruction) noexcept {
    out_.put(0xFF);
    out_.put(0xFF);
    start_ = out_.size();
    out_.put(id);
    out_.put(0);
    out_.put(instruction);
  }
  void put(std::uint8_t byte) noexcept { out_.put(byte); }
  // A packet longer than its length field can say becomes void.
  void end() noexcept {
    const std::size_t length = out_.size() - start_ - 2 + 1;
    if (length > 0xFF) {
      while (!out_.overflow()) {
        out_.put(0);
      }
      return;
    }
    out_.at(start_ + 1) = static_cast<std::uint8_t>(length);
    unsigned sum = 0;
    for (std::size_t i = start_; i < out_.size(); ++i) {
      sum += out_.at(i);
    }
    out_.put(static_cast<std::uint8_t>(~sum & 0xFFU));
  }

 private:
  Out& out_;
  std::size_t start_ = 0;
};

// Status packets out of a byte stream in any chunking. Never allocates, never throws. An own packet that
// comes back looks like a reply, so the caller says what it sent.
class FeetechParser : public LineBuffer<1024> {
 public:
  // Bytes that an adapter with echo gives back first.
  void sent(const std::uint8_t* data, std::size_t size) noexcept {
    echo_size_ = std::min(size, echo_.size());
    std::memcpy(echo_.data(), data, echo_size_);
  }

  // No reply has more data bytes than that: a broken length field must not swallow the replies behind it.
  void expect_at_most(std::size_t size) noexcept { most_ = size; }

  template <class Sink, class Wrong>
  void feed(const std::uint8_t* data, std::size_t size, Sink&& sink, Wrong&& wrong) noexcept {
    fill(data, size, [&] { scan(sink, wrong); });
  }

  void reset() noexcept {
    forget();
    echo_size_ = 0;
  }

 private:
  // True while what has come may still be, or was, the echo of what was sent.
  bool skip_echo() noexcept {
    if (echo_size_ == 0) {
      return false;
    }
    const std::size_t n = std::min(size_ - at_, echo_size_);
    if (std::memcmp(buffer_.data() + at_, echo_.data(), n) != 0) {
      echo_size_ = 0;
      return false;
    }
    if (n < echo_size_) {
      return true;
    }
    at_ += echo_size_;
    echo_size_ = 0;
    ++counts.echoes;
    return false;
  }

  template <class Sink, class Wrong>
  void scan(Sink& sink, Wrong& wrong) noexcept {
    if (skip_echo()) {
      return;
    }
    while (size_ - at_ >= 6) {
      const std::uint8_t* p = buffer_.data() + at_;
      if (p[0] != 0xFF || p[1] != 0xFF || p[2] >= kBroadcast) {
        ++counts.garbage;
        ++at_;
        continue;
      }
      const std::size_t length = p[3];
      if (length < 2 || length - 2 > most_) {
        refuse(Drop::length, at_ + 2, wrong);
        continue;
      }
      const std::size_t total = 4 + length;
      if (size_ - at_ < total) {
        return;
      }
      unsigned sum = 0;
      for (std::size_t i = 2; i + 1 < total; ++i) {
        sum += p[i];
      }
      if ((~sum & 0xFFU) != p[total - 1]) {
        refuse(Drop::checksum, at_ + 2, wrong);
        continue;
      }
      at_ += total;
      ++counts.accepted;
      sink(Status{p[2], p[4], p + 5, length - 2});
    }
  }

  std::array<std::uint8_t, 1024> echo_{};
  std::size_t echo_size_ = 0;
  std::size_t most_ = 253;
};

}  // namespace giljabi::codecs::servo
