// Fields of an NMEA 0183 sentence: strict numbers, positions and times of day.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace giljabi::codecs {

enum class NmeaValue : std::uint8_t { kOk, kEmpty, kMalformed };

// Field i of "$GPGGA,a,b,...": field 0 is the first one behind the address. Absent fields are empty.
inline std::string_view nmea_field(std::string_view text, std::size_t i) {
  std::size_t start = text.find(',');
  for (std::size_t k = 0; start != std::string_view::npos; ++k) {
    const std::size_t end = text.find(',', start + 1);
    if (k == i)
      return text.substr(start + 1, (end == std::string_view::npos ? text.size() : end) - start - 1);
    start = end;
  }
  return {};
}

inline std::string_view nmea_trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

// Decimal number [+-]digits[.digits]; no exponent, no hexadecimal, no nan or inf; at most 32 characters.
inline NmeaValue nmea_number(std::string_view field, double& out) {
  out = std::numeric_limits<double>::quiet_NaN();
  const std::string_view s = nmea_trim(field);
  if (s.empty()) return NmeaValue::kEmpty;
  if (s.size() > 32) return NmeaValue::kMalformed;
  std::size_t i = (s[0] == '-' || s[0] == '+') ? 1 : 0;
  const std::size_t first = i;
  std::size_t digits = 0;
  bool point = false;
  for (; i < s.size(); ++i) {
    if (s[i] == '.' && !point)
      point = true;
    else if (s[i] >= '0' && s[i] <= '9')
      ++digits;
    else
      return NmeaValue::kMalformed;
  }
  if (digits == 0) return NmeaValue::kMalformed;
  double value = 0.0;
  const auto r = std::from_chars(s.data() + first, s.data() + s.size(), value, std::chars_format::fixed);
  if (r.ec != std::errc() || r.ptr != s.data() + s.size()) return NmeaValue::kMalformed;
  out = s[0] == '-' ? -value : value;
  return NmeaValue::kOk;
}

// "ddmm.mmm" and hemisphere (N S E W) to signed degrees; out of range is malformed. 60 minutes, which some
// receivers print when they round up, are the next degree.
inline NmeaValue nmea_coordinate(std::string_view field, std::string_view hemisphere, double& out) {
  double value = 0.0;
  const NmeaValue kind = nmea_number(field, value);
  out = std::numeric_limits<double>::quiet_NaN();
  if (kind != NmeaValue::kOk) return kind;
  const std::string_view h = nmea_trim(hemisphere);
  if (h.empty()) return NmeaValue::kEmpty;
  if (h.size() != 1 || value < 0.0) return NmeaValue::kMalformed;
  const bool latitude = h[0] == 'N' || h[0] == 'S';
  if (!latitude && h[0] != 'E' && h[0] != 'W') return NmeaValue::kMalformed;
  const double degrees = std::floor(value / 100.0);
  const double minutes = value - 100.0 * degrees;
  const double result = degrees + minutes / 60.0;
  if (minutes > 60.0 || result > (latitude ? 90.0 : 180.0)) return NmeaValue::kMalformed;
  out = (h[0] == 'S' || h[0] == 'W') ? -result : result;
  return NmeaValue::kOk;
}

// "hhmmss[.sss]" to seconds of the day, 0 to below 86401 (second 60 is a leap second, IEC 61162-1).
inline NmeaValue nmea_clock(std::string_view field, double& out) {
  out = std::numeric_limits<double>::quiet_NaN();
  const std::string_view s = nmea_trim(field);
  if (s.empty()) return NmeaValue::kEmpty;
  double value = 0.0;
  const std::size_t whole = s.find('.') == std::string_view::npos ? s.size() : s.find('.');
  if (whole != 6 || s[0] == '-' || s[0] == '+' || nmea_number(s, value) != NmeaValue::kOk)
    return NmeaValue::kMalformed;
  const int hour = (s[0] - '0') * 10 + (s[1] - '0');
  const int minute = (s[2] - '0') * 10 + (s[3] - '0');
  double second = 0.0;
  if (nmea_number(s.substr(4), second) != NmeaValue::kOk) return NmeaValue::kMalformed;
  if (hour > 23 || minute > 59 || second >= 61.0) return NmeaValue::kMalformed;
  out = 3600.0 * hour + 60.0 * minute + second;
  return NmeaValue::kOk;
}

}  // namespace giljabi::codecs
