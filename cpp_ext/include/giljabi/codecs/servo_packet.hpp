// What the two families of serial servos share: instructions, status packets, counts of what was dropped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace giljabi::codecs::servo {

enum class Family { dynamixel, feetech_sts, feetech_scs };

// Numbers of both families; the ones from clear on are Dynamixel's.
enum Instruction : std::uint8_t {
  kPing = 0x01,
  kRead = 0x02,
  kWrite = 0x03,
  kRegWrite = 0x04,
  kAction = 0x05,
  kFactoryReset = 0x06,
  kReboot = 0x08,
  kClear = 0x10,
  kStatus = 0x55,
  kSyncRead = 0x82,
  kSyncWrite = 0x83,
  kFastSyncRead = 0x8A,
  kBulkRead = 0x92,
  kBulkWrite = 0x93,
  kFastBulkRead = 0x9A,
};

constexpr std::uint8_t kBroadcast = 0xFE;
constexpr int kLastId = 252;           // Dynamixel; Feetech has 253
constexpr std::size_t kMaxData = 512;  // bytes of one status packet

// One reply with a right checksum. `data` stays valid during the call that hands it out.
struct Status {
  std::uint8_t id = 0;
  std::uint8_t error = 0;  // Dynamixel: bit 7 is the hardware alert, the rest why an instruction was refused
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

enum class Drop : std::uint8_t { checksum, truncated, length, id, unexpected, count };

inline std::string_view text_of(Drop d) noexcept {
  constexpr std::array<std::string_view, static_cast<std::size_t>(Drop::count)> kText{
      "checksum", "truncated", "length", "id", "unexpected"};
  return kText[static_cast<std::size_t>(d)];
}

struct Counts {
  std::uint64_t accepted = 0;
  std::uint64_t echoes = 0;   // own bytes that a half-duplex adapter gave back
  std::uint64_t garbage = 0;  // bytes outside of any packet
  std::array<std::uint64_t, static_cast<std::size_t>(Drop::count)> dropped{};

  void drop(Drop d) noexcept { ++dropped[static_cast<std::size_t>(d)]; }
};

// Bytes appended to a caller's buffer; what does not fit makes the packet void, never the buffer overflow.
class Out {
 public:
  Out(std::uint8_t* data, std::size_t room) noexcept : data_(data), room_(room) {}
  void put(std::uint8_t byte) noexcept {
    if (size_ < room_) {
      data_[size_] = byte;
    } else {
      overflow_ = true;
    }
    ++size_;
  }
  std::uint8_t* data() noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::uint8_t& at(std::size_t i) noexcept { return i < room_ ? data_[i] : spare_; }
  bool overflow() const noexcept { return overflow_; }
  void cut(std::size_t size) noexcept {
    size_ = size;
    overflow_ = false;
  }

 private:
  std::uint8_t* data_;
  std::size_t room_;
  std::size_t size_ = 0;
  bool overflow_ = false;
  std::uint8_t spare_ = 0;
};

// What came and was not read yet, kRoom bytes at most: bytes [at_, size_) of buffer_. Never allocates.
template <std::size_t kRoom>
class LineBuffer {
 public:
  Counts counts;

 protected:
  // Takes bytes as they fit; scan() moves at_ on over what it has read.
  template <class Scan>
  void fill(const std::uint8_t* data, std::size_t size, Scan&& scan) noexcept {
    while (size > 0) {
      const std::size_t n = std::min(size, kRoom - size_);
      std::memcpy(buffer_.data() + size_, data, n);
      size_ += n;
      data += n;
      size -= n;
      scan();
      std::memmove(buffer_.data(), buffer_.data() + at_, size_ - at_);
      size_ -= at_;
      at_ = 0;
    }
  }

  // Forgets half a packet: the line was closed.
  void forget() noexcept {
    if (size_ > 0) {
      counts.drop(Drop::truncated);
    }
    size_ = at_ = 0;
  }

  // A broken packet; the next one may begin at `next`, inside of it.
  template <class Wrong>
  void refuse(Drop why, std::size_t next, Wrong& wrong) noexcept {
    counts.drop(why);
    at_ = next;
    wrong();
  }

  std::array<std::uint8_t, kRoom> buffer_{};
  std::size_t size_ = 0;
  std::size_t at_ = 0;
};

}  // namespace giljabi::codecs::servo
