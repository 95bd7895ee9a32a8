// NMEA 0183 sentences from a template: literal text, numbers with fixed decimals, and a choice by the armed
// flag.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace giljabi::codecs {

constexpr std::size_t kNmeaMax = 82;  // IEC 61162-1: from '$' to <LF>
constexpr int kNmeaMaxDecimals = 6;
constexpr double kNmeaMaxNumber = 1e9;

// One piece of a template: text, or (field >= 0) a number, or (choice) text when armed, else text otherwise.
struct NmeaPiece {
  std::string text;
  std::string otherwise;
  int field = -1;
  bool choice = false;
};

// Prints `value` with `decimals` digits after the point, rounded half to even, never "-0"; returns the
// length. Own code because printf follows the locale's decimal point. |value| <= 1e9, out holds 20 bytes.
inline std::size_t print_fixed(double value, int decimals, char* out) noexcept {
  static constexpr std::array<std::int64_t, kNmeaMaxDecimals + 1> kPower{1,     10,     100,    1000,
                                                                         10000, 100000, 1000000};
  const std::int64_t power = kPower[static_cast<std::size_t>(decimals)];
  auto scaled = static_cast<std::int64_t>(std::nearbyint(value * static_cast<double>(power)));
  char* p = out;
  if (scaled < 0) {
    *p++ = '-';
    scaled = -scaled;
  }
  std::array<char, 20> reversed{};
  std::size_t n = 0;
  for (std::int64_t whole = scaled / power; whole != 0 || n == 0; whole /= 10) {
    reversed[n++] = static_cast<char>('0' + whole % 10);
  }
  while (n > 0) {
    *p++ = reversed[--n];
  }
  if (decimals > 0) {
    *p++ = '.';
    std::int64_t fraction = scaled % power;
    for (std::int64_t digit = power / 10; digit > 0; digit /= 10) {
      *p++ = static_cast<char>('0' + fraction / digit);
      fraction %= digit;
    }
  }
  return static_cast<std::size_t>(p - out);
}

// Splits "$AGROR,{rudder},{A|V},,,B" into pieces; `field_of(name)` gives the field's index or -1. Throws at
// configure.
template <class FieldOf>
std::vector<NmeaPiece> parse_nmea_template(const std::string& what, const std::string& text,
                                           FieldOf field_of) {
  if (text.size() < 6 || (text[0] != '$' && text[0] != '!')) {
    throw std::invalid_argument(what + ": template '" + text + "' does not begin like '$AGROR,'");
  }
  std::vector<NmeaPiece> pieces(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c < 0x20 || c > 0x7E || c == '*' || c == '}' || (i > 0 && (c == '$' || c == '!'))) {
      throw std::invalid_argument(what + ": template '" + text +
                                  "' holds a character that a sentence must not hold");
    }
    if (c != '{') {
      pieces.back().text.push_back(c);
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string::npos) {
      throw std::invalid_argument(what + ": template '" + text + "' has '{' without '}'");
    }
    const std::string inside = text.substr(i + 1, end - i - 1);
    const std::size_t bar = inside.find('|');
    NmeaPiece piece;
    if (bar != std::string::npos) {
      piece.choice = true;
      piece.text = inside.substr(0, bar);
      piece.otherwise = inside.substr(bar + 1);
      for (const char d : piece.text + piece.otherwise) {
        if (d < 0x20 || d > 0x7E || d == '*' || d == ',' || d == '{' || d == '$' || d == '!' || d == '|') {
          throw std::invalid_argument(what + ": template '" + text + "': {" + inside +
                                      "} is not {armed|disarmed} text");
        }
      }
    } else {
      piece.field = field_of(inside);
      if (piece.field < 0) {
        throw std::invalid_argument(what + ": template names {" + inside + "}, but no field has that name");
      }
    }
    pieces.push_back(piece);
    pieces.emplace_back();
    i = end;
  }
  return pieces;
}

// Appends "*hh\r\n" to a sentence of n bytes; returns the new length.
inline std::size_t close_nmea(std::uint8_t* out, std::size_t n) noexcept {
  static constexpr char kHex[] = "0123456789ABCDEF";
  unsigned parity = 0;
  for (std::size_t i = 1; i < n; ++i) {
    parity ^= out[i];
  }
  out[n++] = '*';
  out[n++] = static_cast<std::uint8_t>(kHex[(parity >> 4) & 0xFU]);
  out[n++] = static_cast<std::uint8_t>(kHex[parity & 0xFU]);
  out[n++] = '\r';
  out[n++] = '\n';
  return n;
}

// What stands in front of a sentence in a datagram of IEC 61162-450: the token UdPbC, and a TAG block with
// source and line counter (clauses 7.1 and 7.2.3).
class NmeaHeader {
 public:
  static constexpr unsigned kLines = 1000;

  NmeaHeader() = default;

  // Throws std::invalid_argument; source: like "AG0001".
  NmeaHeader(const std::string& what, const std::string& source) : source_(source) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool letters = source.size() == 6 && source[0] >= 'A' && source[0] <= 'Z' &&
                         ((source[1] >= 'A' && source[1] <= 'Z') || digit(source[1]));
    if (!letters || !digit(source[2]) || !digit(source[3]) || !digit(source[4]) || !digit(source[5])) {
      throw std::invalid_argument(what + ": source_id is '" + source +
                                  "'; two characters of a talker and four digits are expected, like AG0001");
    }
  }

  // Writes the header of the next line; returns its length, at most 32 bytes.
  std::size_t put(std::uint8_t* out) noexcept {
    static constexpr char kToken[] = {'U', 'd', 'P', 'b', 'C', '\0', '\\', 's', ':'};
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::uint8_t* p = out;
    const auto text = [&p](const char* from, std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) {
        *p++ = static_cast<std::uint8_t>(from[i]);
      }
    };
    text(kToken, sizeof kToken);
    text(source_.data(), source_.size());
    text(",n:", 3);
    char number[24];
    text(number, print_fixed(line_, 0, number));
    line_ = (line_ + 1) % kLines;
    unsigned parity = 0;
    for (const std::uint8_t* q = out + 7; q < p; ++q) {
      parity ^= *q;
    }
    const char end[] = {'*', kHex[(parity >> 4) & 0xFU], kHex[parity & 0xFU], '\\'};
    text(end, sizeof end);
    return static_cast<std::size_t>(p - out);
  }

 private:
  std::string source_;
  unsigned line_ = 0;
};

}  // namespace giljabi::codecs
