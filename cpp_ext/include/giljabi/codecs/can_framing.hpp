// How a CAN frame becomes bytes on a descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "giljabi/codecs/can_bits.hpp"

namespace giljabi::codecs {

constexpr std::uint32_t kCanEff = 1U << 31;  // CAN_EFF_FLAG of <linux/can.h>
constexpr std::uint8_t kCanFdBrs = 0x01;     // CANFD_BRS
constexpr std::uint8_t kCanFdFrame = 0x04;   // CANFD_FDF

struct CanHeader {
  std::uint32_t id = 0;
  bool extended = false;
  bool fd = false;
  bool bitrate_switch = false;
};

// struct can_frame of <linux/can.h>, 16 bytes, or struct canfd_frame, 72 bytes, in native byte order.
inline std::size_t frame_socketcan(const CanHeader& h, const std::uint8_t* data, std::size_t size,
                                   std::uint8_t* out) noexcept {
  const std::uint32_t with_flags = h.extended ? h.id | kCanEff : h.id;
  const std::size_t length = h.fd ? 72 : 16;
  std::memset(out, 0, length);
  std::memcpy(out, &with_flags, sizeof with_flags);
  out[4] = static_cast<std::uint8_t>(size);
  if (h.fd) {
    out[5] = static_cast<std::uint8_t>(kCanFdFrame | (h.bitrate_switch ? kCanFdBrs : 0));
  }
  std::memcpy(out + 8, data, size);
  return length;
}

// A command of Lawicel's ASCII protocol (CANUSB manual, "transmit"), with CANable's d, D, b, B for CAN FD.
inline std::size_t frame_slcan(const CanHeader& h, const std::uint8_t* data, std::size_t size,
                               std::uint8_t* out) noexcept {
  std::uint8_t* p = out;
  const auto digit = [&p](unsigned v) { *p++ = static_cast<std::uint8_t>("0123456789ABCDEF"[v & 0xFU]); };
  const char kind = h.fd ? (h.bitrate_switch ? 'b' : 'd') : 't';
  *p++ = static_cast<std::uint8_t>(h.extended ? kind - 'a' + 'A' : kind);
  for (int shift = h.extended ? 28 : 8; shift >= 0; shift -= 4) {
    digit(h.id >> shift);
  }
  digit(can_length_code(size));
  for (std::size_t i = 0; i < size; ++i) {
    digit(data[i] >> 4U);
    digit(data[i]);
  }
  *p++ = '\r';
  return static_cast<std::size_t>(p - out);
}

// The datagram of python-can's udp_multicast interface (can.interfaces.udp_multicast.utils.pack_message) for
// a message without timestamp and channel: receivers put in their own. MessagePack specification, "formats".
inline std::size_t frame_can_msgpack(const CanHeader& h, const std::uint8_t* data, std::size_t size,
                                     std::uint8_t* out) noexcept {
  const std::uint32_t id = h.id;
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
  flag("is_extended_id", h.extended);
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
  flag("is_fd", h.fd);
  flag("bitrate_switch", h.bitrate_switch);
  flag("error_state_indicator", false);
  return static_cast<std::size_t>(p - out);
}

}  // namespace giljabi::codecs
