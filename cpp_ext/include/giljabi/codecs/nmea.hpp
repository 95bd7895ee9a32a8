// NMEA 0183 framing (IEC 61162-1): bytes in any chunking to checked sentences, in bounded memory.
//
// A sentence starts at `$` or `!` and ends with `*hh`; both start characters are reserved by the standard, so
// each one seen inside a sentence begins a new one and the old one counts as truncated. Everything outside a
// sentence (logger prefixes, UBX, SiRF, RTCM) is skipped. A TAG block `\...\` (NMEA 0183 v4) goes with the
// sentence that follows it. A sentence is given out with its last checksum digit, not with the line end, so
// glued lines and missing line ends cost nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace giljabi::codecs {

enum class NmeaReject : std::uint8_t {
  kChecksum,    // `*hh` is wrong or not hexadecimal
  kNoChecksum,  // the line ended without `*hh`
  kOverlong,    // longer than the limit
  kNonAscii,    // a byte outside 0x20..0x7E
  kTruncated,   // a new start character, a line end inside `*hh`, or the end of the stream
  kAddress,     // checksum right, but no address such as GPGGA or PUBX
  kTagBlock,    // a TAG block with a wrong or missing checksum; its sentence is kept
};
constexpr std::size_t kNmeaRejects = 7;
constexpr std::array<const char*, kNmeaRejects> kNmeaRejectNames = {
    "checksum", "no_checksum", "overlong", "non_ascii", "truncated", "address", "tag_block"};

// Views into the framer's buffers, valid inside the sink only.
struct NmeaSentence {
  std::string_view text;  // from the start character up to, without, `*hh`
  std::string_view tag;   // inside of the TAG block without its checksum, empty when there is none
};

inline int nmea_hex_digit(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Exclusive or of all characters between the start character and `*`.
inline std::uint8_t nmea_checksum(std::string_view body) {
  std::uint8_t sum = 0;
  for (char c : body) sum = static_cast<std::uint8_t>(sum ^ static_cast<std::uint8_t>(c));
  return sum;
}

// GPGGA, AIVDM: 3 to 15 capital letters and digits, a letter first. PUBX, PSRFTXTVersion: `P`, three letters
// or digits of the maker, then whatever the maker likes.
inline bool nmea_address_ok(std::string_view address) {
  if (address.size() < 3 || address[0] < 'A' || address[0] > 'Z') return false;
  if (address[0] == 'P' && address.size() >= 4) address = address.substr(0, 4);
  if (address.size() > 15) return false;
  for (char c : address) {
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) return false;
  }
  return true;
}

class NmeaFramer {
 public:
  // checksum_required: a line without `*hh` is dropped; a wrong `*hh` is dropped in any case.
  // max_length: longest sentence kept, in characters (the standard says 82, devices send more).
  NmeaFramer(bool checksum_required, std::size_t max_length)
      : checksum_required_(checksum_required), max_length_(max_length) {
    body_.reserve(max_length);
    tag_.reserve(kMaxTag);
  }

  // sink(const NmeaSentence&) is called once for every accepted sentence; it must not call the framer.
  template <class Sink>
  void feed(const std::uint8_t* data, std::size_t size, Sink&& sink) {
    for (const std::uint8_t* end = data + size; data != end; ++data) {
      if (state_ == State::kBody) {
        data = body_run(data, end);
        if (data == end) return;
      }
      const std::uint8_t c = *data;
      if (c == '$' || c == '!') {
        if (state_ == State::kTag)
          drop_tag();
        else if (state_ != State::kIdle)
          reject(NmeaReject::kTruncated);
        begin(c);
        continue;
      }
      switch (state_) {
        case State::kIdle:
          idle(c);
          break;
        case State::kTag:
          tag(c);
          break;
        case State::kBody:
          body(c, sink);
          break;
        case State::kSumHigh:
        case State::kSumLow:
          checksum(c, sink);
          break;
      }
    }
  }

  // End of the stream, or of a datagram whose tail must not meet the next one: drops what is incomplete.
  void finish() {
    if (state_ == State::kTag)
      drop_tag();
    else if (state_ != State::kIdle)
      reject(NmeaReject::kTruncated);
    tag_ok_ = false;
    state_ = State::kIdle;
  }

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t rejected(NmeaReject reason) const { return rejected_[static_cast<std::size_t>(reason)]; }
  std::uint64_t skipped_bytes() const { return skipped_bytes_; }

 private:
  enum class State : std::uint8_t { kIdle, kTag, kBody, kSumHigh, kSumLow };
  static constexpr std::size_t kMaxTag = 80;  // IEC 61162-450: a TAG block is at most 80 characters

  void begin(std::uint8_t c) {
    body_.clear();
    body_.push_back(static_cast<char>(c));
    sum_ = 0;
    state_ = State::kBody;
  }

  void idle(std::uint8_t c) {
    if (c == '\\') {
      tag_ok_ = false;
      tag_.clear();
      state_ = State::kTag;
      return;
    }
    tag_ok_ = false;  // a TAG block stands directly before its sentence
    if (c != '\r' && c != '\n') ++skipped_bytes_;
  }

  void tag(std::uint8_t c) {
    if (c == '\\') {
      close_tag();
    } else if (c < 0x20 || c > 0x7E || tag_.size() == kMaxTag) {
      drop_tag();
    } else {
      tag_.push_back(static_cast<char>(c));
    }
  }

  // A lone backslash of some other protocol is no TAG block: only text like `s:abc*hh` or `s:abc` counts.
  void drop_tag() {
    skipped_bytes_ += tag_.size() + 1;
    if (tag_.size() > 2 && tag_[1] == ':') ++rejected_[static_cast<std::size_t>(NmeaReject::kTagBlock)];
    tag_ok_ = false;
    state_ = State::kIdle;
  }

  void close_tag() {
    const std::size_t n = tag_.size();
    if (n < 4 || tag_[n - 3] != '*') return drop_tag();
    const int high = nmea_hex_digit(static_cast<std::uint8_t>(tag_[n - 2]));
    const int low = nmea_hex_digit(static_cast<std::uint8_t>(tag_[n - 1]));
    const std::string_view text(tag_.data(), n - 3);
    if (high < 0 || low < 0 || nmea_checksum(text) != high * 16 + low) return drop_tag();
    tag_.resize(n - 3);
    tag_ok_ = true;
    state_ = State::kIdle;
  }

  // Takes the plain characters at the front in one go; returns the first byte that needs a decision.
  const std::uint8_t* body_run(const std::uint8_t* data, const std::uint8_t* end) {
    const std::size_t room = max_length_ - body_.size();
    if (static_cast<std::size_t>(end - data) > room) end = data + room;
    const std::uint8_t* p = data;
    std::uint8_t sum = sum_;
    for (; p != end && *p >= 0x20 && *p <= 0x7E && *p != '*' && *p != '$' && *p != '!'; ++p)
      sum = static_cast<std::uint8_t>(sum ^ *p);
    sum_ = sum;
    body_.insert(body_.end(), data, p);
    return p;
  }

  template <class Sink>
  void body(std::uint8_t c, Sink&& sink) {
    if (c == '*') {
      state_ = State::kSumHigh;
    } else if (c == '\r' || c == '\n') {
      if (checksum_required_)
        reject(NmeaReject::kNoChecksum);
      else
        accept(sink);
    } else if (c < 0x20 || c > 0x7E) {
      reject(NmeaReject::kNonAscii);
    } else {
      reject(NmeaReject::kOverlong);  // body_run stops at a plain character only when the buffer is full
    }
  }

  template <class Sink>
  void checksum(std::uint8_t c, Sink&& sink) {
    const int digit = nmea_hex_digit(c);
    if (digit < 0) {
      reject(c == '\r' || c == '\n' ? NmeaReject::kTruncated : NmeaReject::kChecksum);
    } else if (state_ == State::kSumHigh) {
      wanted_ = digit * 16;
      state_ = State::kSumLow;
    } else if (wanted_ + digit == sum_) {
      accept(sink);
    } else {
      reject(NmeaReject::kChecksum);
    }
  }

  template <class Sink>
  void accept(Sink&& sink) {
    const std::string_view text(body_.data(), body_.size());
    if (!nmea_address_ok(text.substr(1, text.find(',') - 1))) return reject(NmeaReject::kAddress);
    ++accepted_;
    sink(NmeaSentence{text, tag_ok_ ? std::string_view(tag_.data(), tag_.size()) : std::string_view()});
    tag_ok_ = false;
    state_ = State::kIdle;
  }

  // A start character of another protocol, with no capital letter behind it, was never a sentence.
  void reject(NmeaReject reason) {
    if (body_.size() > 1 && body_[1] >= 'A' && body_[1] <= 'Z')
      ++rejected_[static_cast<std::size_t>(reason)];
    else
      skipped_bytes_ += body_.size();
    tag_ok_ = false;
    state_ = State::kIdle;
  }

  const bool checksum_required_;
  const std::size_t max_length_;
  State state_ = State::kIdle;
  bool tag_ok_ = false;
  std::uint8_t sum_ = 0;
  int wanted_ = 0;
  std::vector<char> body_;
  std::vector<char> tag_;
  std::uint64_t accepted_ = 0;
  std::uint64_t skipped_bytes_ = 0;
  std::array<std::uint64_t, kNmeaRejects> rejected_{};
};

}  // namespace giljabi::codecs
