// Every instruction of both families as bytes; addresses and sizes as the maker's control tables give them.
#pragma once

#include <utility>
#include <vector>

#include "giljabi/codecs/servo_dynamixel.hpp"
#include "giljabi/codecs/servo_feetech.hpp"

namespace giljabi::codecs::servo {

struct Block {  // a piece of one servo's control table; data empty: to be read
  std::uint8_t id = 0;
  std::uint16_t address = 0;
  std::uint16_t size = 0;
  std::vector<std::uint8_t> data;
};

class Instructions {
 public:
  Instructions(Family family, Out& out) noexcept : family_(family), out_(out) {}

  // Any instruction with its parameters as they are.
  void plain(std::uint8_t id, std::uint8_t instruction, const std::uint8_t* data = nullptr,
             std::size_t size = 0) {
    compose(id, instruction, [&](auto& w) { bytes(w, data, size); });
  }
  void read(std::uint8_t id, unsigned address, unsigned size) {
    compose(id, kRead, [&](auto& w) {
      word(w, address);
      word(w, size);
    });
  }
  // instruction: kWrite, or kRegWrite, which waits for kAction.
  void write(std::uint8_t id, std::uint8_t instruction, unsigned address,
             const std::vector<std::uint8_t>& data) {
    compose(id, instruction, [&](auto& w) {
      word(w, address);
      bytes(w, data.data(), data.size());
    });
  }
  // instruction: kSyncRead or kFastSyncRead.
  void sync_read(std::uint8_t instruction, unsigned address, unsigned size,
                 const std::vector<std::uint8_t>& ids) {
    compose(kBroadcast, instruction, [&](auto& w) {
      word(w, address);
      word(w, size);
      bytes(w, ids.data(), ids.size());
    });
  }
  void sync_write(unsigned address, unsigned size, const std::vector<Block>& blocks) {
    compose(kBroadcast, kSyncWrite, [&](auto& w) {
      word(w, address);
      word(w, size);
      for (const Block& b : blocks) {
        w.put(b.id);
        bytes(w, b.data.data(), b.data.size());
      }
    });
  }
  // instruction: kBulkRead, kFastBulkRead or kBulkWrite; Dynamixel only.
  void bulk(std::uint8_t instruction, const std::vector<Block>& blocks) {
    compose(kBroadcast, instruction, [&](auto& w) {
      for (const Block& b : blocks) {
        w.put(b.id);
        word(w, b.address);
        word(w, b.size);
        bytes(w, b.data.data(), b.data.size());
      }
    });
  }

 private:
  template <class Body>
  void compose(std::uint8_t id, std::uint8_t instruction, Body&& body) {
    if (family_ == Family::dynamixel) {
      DynamixelWriter w(out_);
      w.begin(id, instruction);
      body(w);
      w.end();
    } else {
      FeetechWriter w(out_);
      w.begin(id, instruction);
      body(w);
      w.end();
    }
  }
  // An address or a size: two bytes for Dynamixel, one for Feetech.
  template <class Writer>
  void word(Writer& w, unsigned v) {
    w.put(static_cast<std::uint8_t>(v & 0xFFU));
    if (family_ == Family::dynamixel) {
      w.put(static_cast<std::uint8_t>((v >> 8) & 0xFFU));
    }
  }
  template <class Writer>
  static void bytes(Writer& w, const std::uint8_t* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      w.put(data[i]);
    }
  }

  Family family_;
  Out& out_;
};

}  // namespace giljabi::codecs::servo
