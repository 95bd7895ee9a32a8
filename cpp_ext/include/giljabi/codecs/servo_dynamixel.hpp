// Dynamixel Protocol 2.0 (ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0"): instruction packets out, status
// packets in.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "giljabi/codecs/servo_packet.hpp"

namespace giljabi::codecs::servo {

// CRC-16, polynomial 0x8005, start 0, most significant bit first (e-Manual, "CRC calculation").
constexpr std::array<std::uint16_t, 256> crc16_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x8005U : crc << 1;
    }
    table[i] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

inline constexpr std::array<std::uint16_t, 256> kCrc16 = crc16_table();

inline std::uint16_t crc16(const std::uint8_t* data, std::size_t size, std::uint16_t crc = 0) noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    crc = static_cast<std::uint16_t>((crc << 8) ^ kCrc16[((crc >> 8) ^ data[i]) & 0xFFU]);
  }
  return crc;
}

// Builds one instruction packet at the end of `out`: begin, put ..., end.
class DynamixelWriter {
 public:
  explicit DynamixelWriter(Out& out) noexcept : out_(out) {}

  void begin(std::uint8_t id, std::uint8_t instruction) noexcept {
    start_ = out_.size();
    for (const std::uint8_t b : {0xFF, 0xFF, 0xFD, 0x00}) {
      out_.put(b);
    }
    out_.put(id);
    out_.put(0);
    out_.put(0);
    ones_ = 0;
    put(instruction);
  }

  // FF FF FD inside of a packet would look like a header: a second FD says that it is none.
  void put(std::uint8_t byte) noexcept {
    out_.put(byte);
    if (byte == 0xFD && ones_ >= 2) {
      out_.put(0xFD);
    }
    ones_ = byte == 0xFF ? ones_ + 1 : 0;
  }

  void put16(unsigned v) noexcept {
    put(static_cast<std::uint8_t>(v & 0xFFU));
    put(static_cast<std::uint8_t>((v >> 8) & 0xFFU));
  }

  void end() noexcept {
    const std::size_t length = out_.size() - start_ - 7 + 2;
    out_.at(start_ + 5) = static_cast<std::uint8_t>(length & 0xFFU);
    out_.at(start_ + 6) = static_cast<std::uint8_t>(length >> 8);
    const std::uint16_t crc = out_.overflow() ? 0 : crc16(out_.data() + start_, out_.size() - start_);
    out_.put(static_cast<std::uint8_t>(crc & 0xFFU));
    out_.put(static_cast<std::uint8_t>(crc >> 8));
  }

 private:
  Out& out_;
  std::size_t start_ = 0;
  int ones_ = 0;
};

// One servo's part of a fast reply: error, id, `size` bytes, CRC over everything before it in the packet.
struct FastPart {
  std::uint8_t id = 0;
  std::uint16_t size = 0;
};

constexpr std::size_t kHeader = 7;                  // of a packet, up to and with the length
constexpr std::size_t kMaxLength = 4 * 253 + 2048;  // value of the length field
constexpr std::size_t kTwoReplies = 2 * (kHeader + kMaxLength);

// Status packets out of a byte stream in any chunking. Never allocates, never throws.
class DynamixelParser : public LineBuffer<kTwoReplies> {
 public:
  // Order and sizes of the parts of fast replies from here on. A reply that has begun keeps its order.
  void expect_fast(const FastPart* parts, std::size_t n) noexcept {
    next_size_ = std::min(n, next_.size());
    std::copy(parts, parts + next_size_, next_.begin());
  }

  // sink(const Status&): each reply with a right checksum. wrong(): a reply that was there but broken.
  template <class Sink, class Wrong>
  void feed(const std::uint8_t* data, std::size_t size, Sink&& sink, Wrong&& wrong) noexcept {
    fill(data, size, [&] { scan(sink, wrong); });
  }

  void reset() noexcept {
    forget();
    fast_ = false;
  }

 private:
  // First place in [from, to) where FF FF FD 00 begins; `to` when there is none.
  std::size_t header(std::size_t from, std::size_t to) const noexcept {
    const std::uint8_t* b = buffer_.data();
    for (std::size_t i = from; i + 4 <= to; ++i) {
      if (b[i + 2] == 0xFD && b[i] == 0xFF && b[i + 1] == 0xFF && b[i + 3] == 0) {
        return i;
      }
    }
    return to;
  }

  template <class Sink, class Wrong>
  void scan(Sink& sink, Wrong& wrong) noexcept {
    while (true) {
      if (fast_) {
        if (!scan_fast(sink, wrong)) {
          return;
        }
        continue;
      }
      const std::size_t begin = header(at_, size_);
      // The last three bytes may be the beginning of a header.
      const std::size_t keep = begin < size_ ? begin : std::max(at_, size_ - std::min<std::size_t>(size_, 3));
      counts.garbage += keep - at_;
      at_ = keep;
      if (begin == size_ || size_ - at_ < kHeader + 1) {
        return;
      }
      const std::uint8_t* p = buffer_.data() + at_;
      if (p[4] == kBroadcast && p[7] == kStatus && next_size_ > 0) {
        begin_fast();
        continue;
      }
      const std::size_t length = p[5] | (static_cast<std::size_t>(p[6]) << 8);
      if (length < 3 || length > kMaxLength) {
        refuse(Drop::length, at_ + 4, wrong);
        continue;
      }
      const std::size_t total = kHeader + length;
      if (size_ - at_ < total) {
        // A header inside means that the rest of this packet was lost.
        const std::size_t inner = header(at_ + 4, std::min(size_, at_ + total - 2));
        if (inner + 4 <= std::min(size_, at_ + total - 2)) {
          refuse(Drop::truncated, inner, wrong);
          continue;
        }
        return;
      }
      take(p, length, sink, wrong);
    }
  }

  template <class Sink, class Wrong>
  void take(const std::uint8_t* p, std::size_t length, Sink& sink, Wrong& wrong) noexcept {
    const std::size_t total = kHeader + length;
    const unsigned crc = p[total - 2] | (static_cast<unsigned>(p[total - 1]) << 8);
    const std::size_t inner = header(at_ + 4, at_ + total - 2);  // no packet holds one: it would be stuffed
    if (inner < at_ + total - 2 || crc16(p, total - 2) != crc) {
      refuse(inner < at_ + total - 2 ? Drop::truncated : Drop::checksum,
             inner < at_ + total - 2 ? inner : at_ + 4, wrong);
      return;
    }
    at_ += total;
    if (p[7] != kStatus) {
      ++counts.echoes;
      return;
    }
    if (length < 4 || length - 4 > 2 * kMaxData) {
      counts.drop(Drop::length);
      return;
    }
    Status s;
    s.id = p[4];
    s.size = unstuff(p + 8, length - 3);
    s.error = data_[0];
    s.data = data_.data() + 1;
    --s.size;
    ++counts.accepted;
    sink(s);
  }

  // Copies without the second FD of each FF FF FD FD; returns the size.
  std::size_t unstuff(const std::uint8_t* p, std::size_t n) noexcept {
    std::size_t size = 0;
    int ones = 0;
    for (std::size_t i = 0; i < n; ++i) {
      data_[size++] = p[i];
      if (p[i] == 0xFD && ones >= 2 && i + 1 < n && p[i + 1] == 0xFD) {
        ++i;
      }
      ones = p[i] == 0xFF ? ones + 1 : 0;
    }
    return size;
  }

  // --- fast replies: one packet, one part of each servo, not stuffed -------------------------------------

  void begin_fast() noexcept {
    fast_ = true;
    parts_ = next_;
    parts_size_ = next_size_;
    part_ = 0;
    sure_ = true;
    crc_ = crc16(buffer_.data() + at_, kHeader + 1);
    at_ += kHeader + 1;
  }

  // One part; false when more bytes are needed. A wrong part leaves the others readable: the CRC goes on
  // either from the CRC field that came (then the data before it were wrong) or from the one computed (then
  // the field was).
  template <class Sink, class Wrong>
  bool scan_fast(Sink& sink, Wrong& wrong) noexcept {
    if (part_ >= parts_size_) {
      fast_ = false;
      return true;
    }
    const std::size_t need = 2U + parts_[part_].size + 2U;
    const std::size_t there = std::min(size_ - at_, need);
    const std::uint8_t* p = buffer_.data() + at_;
    if (there >= 4 && header(at_, at_ + 4) ==
                          at_) {  // no servo has the id FF: the chain broke off, this is the next packet
      fast_ = false;
      return true;
    }
    if (there < need) {
      return false;
    }
    const unsigned field = p[need - 2] | (static_cast<unsigned>(p[need - 1]) << 8);
    const std::uint16_t first = crc16(p, need - 2, crc_);
    const std::uint16_t second = sure_ ? first : crc16(p, need - 2, other_);
    const bool right = field == first || field == second;
    if (right) {
      crc_ = crc16(p + need - 2, 2, static_cast<std::uint16_t>(field));
      sure_ = true;
      if (p[1] == parts_[part_].id) {
        ++counts.accepted;
        sink(Status{p[1], p[0], p + 2, parts_[part_].size});
      } else {
        counts.drop(Drop::id);
        wrong();
      }
    } else {
      const std::uint8_t computed[2] = {static_cast<std::uint8_t>(first & 0xFFU),
                                        static_cast<std::uint8_t>(first >> 8)};
      crc_ = crc16(p + need - 2, 2, static_cast<std::uint16_t>(field));
      other_ = crc16(computed, 2, first);
      sure_ = false;
      counts.drop(Drop::checksum);
      wrong();
      const std::size_t inner = header(at_ + 1, size_);
      if (inner < std::min(size_, at_ + need)) {
        at_ = inner;
        fast_ = false;
        return true;
      }
    }
    at_ += need;
    ++part_;
    return true;
  }

  std::array<std::uint8_t, 2 * kMaxData + 8> data_{};
  bool fast_ = false;
  bool sure_ = true;
  std::array<FastPart, 253> parts_{};
  std::array<FastPart, 253> next_{};
  std::size_t parts_size_ = 0;
  std::size_t next_size_ = 0;
  std::size_t part_ = 0;
  std::uint16_t crc_ = 0;
  std::uint16_t other_ = 0;
};

}  // namespace giljabi::codecs::servo
