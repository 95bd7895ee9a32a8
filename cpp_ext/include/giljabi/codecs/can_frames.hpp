// Bytes as they arrive to CAN frames: the kernel's structs, python-can's datagram, Lawicel's ASCII protocol.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "giljabi/codecs/can_bits.hpp"

namespace giljabi::codecs {

struct CanFrame {
  static constexpr unsigned kExtended = 1, kRemote = 2, kError = 4, kFd = 8;
  std::uint32_t id = 0;
  unsigned flags = 0;
  std::size_t size = 0;
  std::array<std::uint8_t, kCanPayload> data{};
};

// struct can_frame or struct canfd_frame of <linux/can.h>; false when it is none.
inline bool parse_socketcan(const std::uint8_t* bytes, std::size_t n, CanFrame& out) noexcept {
  if (n != 16 && n != 72) {
    return false;
  }
  std::uint32_t id = 0;
  std::memcpy(&id, bytes, sizeof id);
  const std::size_t size = bytes[4];
  if (size > n - 8) {
    return false;
  }
  out.id = id & 0x1FFFFFFFU;
  out.flags = (id >> 31 & 1U) | (id >> 30 & 1U) << 1 | (id >> 29 & 1U) << 2 | (n == 72 ? CanFrame::kFd : 0U);
  out.size = (out.flags & CanFrame::kRemote) != 0 ? 0 : size;
  std::memcpy(out.data.data(), bytes + 8, out.size);
  return true;
}

// MessagePack, as much of it as a map of plain values needs (MessagePack specification, "formats").
class MsgpackReader {
 public:
  struct Value {
    enum Kind { nothing, boolean, whole, text, binary, other } kind = nothing;
    std::uint64_t number = 0;
    std::string_view bytes;
  };

  MsgpackReader(const std::uint8_t* bytes, std::size_t n) noexcept : p_(bytes), end_(bytes + n) {}

  bool done() const noexcept { return p_ == end_; }

  // Entries of the map that begins here; false when none does.
  bool map(std::size_t& entries) noexcept {
    unsigned head = 0;
    if (!byte(head)) {
      return false;
    }
    if (head >> 4 == 0x8U) {
      entries = head & 0xFU;
      return true;
    }
    std::uint64_t n = 0;
    if (head != 0xDEU || !number(2, n)) {
      return false;
    }
    entries = static_cast<std::size_t>(n);
    return true;
  }

  // The next value; false at what is cut off, or is an array, a map or an extension.
  bool value(Value& out) noexcept {
    unsigned head = 0;
    out = {};
    if (!byte(head)) {
      return false;
    }
    if (head < 0x80U) {
      out.kind = Value::whole;
      out.number = head;
      return true;
    }
    if (head >> 5 == 0x5U) {
      return span(Value::text, head & 0x1FU, out);
    }
    if (head >= 0xE0U) {  // negative
      out.kind = Value::other;
      return true;
    }
    std::uint64_t n = 0;
    switch (head) {
      case 0xC0:
        return true;
      case 0xC2:
      case 0xC3:
        out.kind = Value::boolean;
        out.number = head & 1U;
        return true;
      case 0xC4:
      case 0xC5:
      case 0xC6:
        return number(1U << (head - 0xC4U), n) && span(Value::binary, n, out);
      case 0xD9:
      case 0xDA:
      case 0xDB:
        return number(1U << (head - 0xD9U), n) && span(Value::text, n, out);
      case 0xCC:
      case 0xCD:
      case 0xCE:
      case 0xCF:
        out.kind = Value::whole;
        return number(1U << (head - 0xCCU), out.number);
      case 0xCA:
      case 0xCB:
        out.kind = Value::other;
        return number(head == 0xCAU ? 4 : 8, n);
      case 0xD0:
      case 0xD1:
      case 0xD2:
      case 0xD3:
        out.kind = Value::other;
        return number(1U << (head - 0xD0U), n);
      default:
        return false;
    }
  }

 private:
  bool byte(unsigned& out) noexcept {
    if (p_ == end_) {
      return false;
    }
    out = *p_++;
    return true;
  }
  bool number(std::size_t width, std::uint64_t& out) noexcept {
    if (static_cast<std::size_t>(end_ - p_) < width) {
      return false;
    }
    out = 0;
    for (std::size_t i = 0; i < width; ++i) {
      out = out << 8 | *p_++;
    }
    return true;
  }
  bool span(Value::Kind kind, std::uint64_t n, Value& out) noexcept {
    if (static_cast<std::uint64_t>(end_ - p_) < n) {
      return false;
    }
    out.kind = kind;
    out.bytes = {reinterpret_cast<const char*>(p_), static_cast<std::size_t>(n)};
    p_ += n;
    return true;
  }

  const std::uint8_t* p_;
  const std::uint8_t* end_;
};

// The datagram of python-can's udp_multicast interface; false when it is none. The sender's time is not ours.
inline bool parse_can_msgpack(const std::uint8_t* bytes, std::size_t n, CanFrame& out) noexcept {
  using Value = MsgpackReader::Value;
  MsgpackReader reader(bytes, n);
  std::size_t entries = 0;
  if (!reader.map(entries) || entries > 32) {
    return false;
  }
  bool has_id = false;
  bool has_data = false;
  std::string_view data;
  out.flags = 0;
  for (; entries > 0; --entries) {
    Value key;
    Value value;
    if (!reader.value(key) || key.kind != Value::text || !reader.value(value)) {
      return false;
    }
    const bool set = (value.kind == Value::boolean || value.kind == Value::whole) && value.number != 0;
    if (key.bytes == "arbitration_id" && value.kind == Value::whole && value.number <= 0x1FFFFFFFU) {
      out.id = static_cast<std::uint32_t>(value.number);
      has_id = true;
    } else if (key.bytes == "data" && value.kind == Value::binary) {
      data = value.bytes;
      has_data = true;
    } else if (key.bytes == "is_extended_id") {
      out.flags |= set ? CanFrame::kExtended : 0U;
    } else if (key.bytes == "is_remote_frame") {
      out.flags |= set ? CanFrame::kRemote : 0U;
    } else if (key.bytes == "is_error_frame") {
      out.flags |= set ? CanFrame::kError : 0U;
    } else if (key.bytes == "is_fd") {
      out.flags |= set ? CanFrame::kFd : 0U;
    }
  }
  const bool fd = (out.flags & CanFrame::kFd) != 0;
  const bool extended = (out.flags & CanFrame::kExtended) != 0;
  if (!has_id || !has_data || !reader.done() || data.size() > (fd ? 64U : 8U) ||
      (!extended && out.id > 0x7FFU)) {
    return false;
  }
  out.size = data.size();
  std::memcpy(out.data.data(), data.data(), data.size());
  return true;
}

// Lines of Lawicel's ASCII protocol out of a stream: t, T, r, R (CANUSB manual), CANable's d, D, b, B for FD.
class SlcanParser {
 public:
  enum class Got { nothing, frame, answer, refusal, malformed };

  // Takes one byte; a frame is complete at its carriage return.
  Got add(std::uint8_t byte, CanFrame& out) noexcept {
    if (byte == '\a') {
      n_ = 0;
      return Got::refusal;
    }
    if (byte != '\r') {
      if (n_ < line_.size()) {
        line_[n_] = static_cast<char>(byte);
      }
      n_ += n_ <= line_.size() ? 1 : 0;
      return Got::nothing;
    }
    const std::size_t n = n_;
    n_ = 0;
    if (n > line_.size()) {
      return Got::malformed;
    }
    const std::string_view line(line_.data(), n);
    // z and Z say that a frame was taken; others answer commands
    constexpr std::string_view kFrames = "tTrRdDbB";
    if (line.empty() || kFrames.find(line[0]) == std::string_view::npos) {
      return Got::answer;
    }
    return frame(line, out) ? Got::frame : Got::malformed;
  }

 private:
  static int digit(char c) noexcept {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  }

  static bool frame(std::string_view line, CanFrame& out) noexcept {
    const char kind = line[0];
    const bool extended = kind < 'a';
    const bool fd = kind != 't' && kind != 'T' && kind != 'r' && kind != 'R';
    const bool remote = kind == 'r' || kind == 'R';
    const std::size_t head = extended ? 9 : 4;
    if (line.size() <= head) {
      return false;
    }
    std::uint32_t id = 0;
    for (std::size_t i = 1; i < head; ++i) {
      const int d = digit(line[i]);
      if (d < 0) {
        return false;
      }
      id = id << 4 | static_cast<std::uint32_t>(d);
    }
    constexpr std::array<std::uint8_t, 16> kSizes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64};
    const int code = digit(line[head]);
    if (code < 0 || (!fd && code > 8) || id > (extended ? 0x1FFFFFFFU : 0x7FFU)) {
      return false;
    }
    out.id = id;
    out.flags =
        (extended ? CanFrame::kExtended : 0U) | (remote ? CanFrame::kRemote : 0U) | (fd ? CanFrame::kFd : 0U);
    out.size = remote ? 0 : kSizes[static_cast<std::size_t>(code)];
    const std::string_view text = line.substr(head + 1);
    // an adapter may add a time stamp of four digits
    if (text.size() != 2 * out.size && text.size() != 2 * out.size + 4) {
      return false;
    }
    for (std::size_t i = 0; i < out.size; ++i) {
      const int high = digit(text[2 * i]);
      const int low = digit(text[2 * i + 1]);
      if (high < 0 || low < 0) {
        return false;
      }
      out.data[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return true;
  }

  std::array<char, 144> line_{};
  std::size_t n_ = 0;
};

}  // namespace giljabi::codecs
