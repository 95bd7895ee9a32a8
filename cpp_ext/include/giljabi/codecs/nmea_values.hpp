// Sentences of NMEA 0183 (IEC 61162-1) as named values in SI: one row of a table a field.
//
// A sentence gives what it says, also when it says that it is not valid; empty fields are left out. Keys end
// in a unit where the value is not SI. Angles and rates keep the sentence's sign: positive to starboard.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "giljabi/codecs/nmea_fields.hpp"
#include "giljabi/codecs/nmea_sentences.hpp"

namespace giljabi::codecs {

// What is wrong with a sentence; field < 0: nothing.
struct NmeaFault {
  int field = -1;
  const char* expected = "";
  explicit operator bool() const { return field >= 0; }
};

struct NmeaSatellite {
  std::int64_t id = 0;
  double elevation_deg = NAN, azimuth_deg = NAN, cn0_dbhz = NAN;  // NaN: not given
};

// The fields of one sentence, split once; field 0 is the first behind the address.
class NmeaFields {
 public:
  explicit NmeaFields(std::string_view text) {
    std::size_t at = text.find(',');
    while (at != std::string_view::npos && n_ < kMax) {
      const std::size_t end = text.find(',', at + 1);
      fields_[n_++] = text.substr(at + 1, (end == std::string_view::npos ? text.size() : end) - at - 1);
      at = end;
    }
  }
  std::size_t size() const { return n_; }
  std::string_view operator[](std::size_t i) const { return i < n_ ? fields_[i] : std::string_view(); }
  std::string_view text(std::size_t i) const { return nmea_trim((*this)[i]); }
  char letter(std::size_t i) const { return text(i).size() == 1 ? text(i)[0] : text(i).empty() ? '\0' : '?'; }

 private:
  static constexpr std::size_t kMax = 80;
  std::array<std::string_view, kMax> fields_{};
  std::size_t n_ = 0;
};

// Reads one sentence into a sink with number(key, double), whole(key, int64), text(key, string_view),
// flag(key, bool), used(key, const int64*, n) and satellites(key, const NmeaSatellite*, n).
template <class Sink>
class NmeaReader {
 public:
  NmeaReader(const NmeaFields& fields, Sink& sink) : f_(fields), sink_(sink) {}

  NmeaFault read(const NmeaRow* rows, std::size_t n) {
    const char* last = nullptr;
    bool given = false;
    for (std::size_t k = 0; k < n; ++k) {
      const NmeaRow& r = rows[k];
      if (r.key != last) given = false;  // rows of one key stand together: the first that is not empty counts
      last = r.key;
      if (given && r.kind == NmeaKind::kNumber) {
        if (malformed(r)) return {r.i, "a decimal number"};
        continue;
      }
      const NmeaFault fault = take(r, given);
      if (fault) return fault;
    }
    return {};
  }

 private:
  bool malformed(const NmeaRow& r) const {
    double v = 0.0;
    return nmea_number(f_[r.i], v) == NmeaValue::kMalformed;
  }

  NmeaFault take(const NmeaRow& r, bool& given) {
    switch (r.kind) {
      case NmeaKind::kText:
        if (!f_.text(r.i).empty()) sink_.text(r.key, f_.text(r.i));
        return {};
      case NmeaKind::kFlag:
        if (!f_.text(r.i).empty())
          sink_.flag(r.key, std::string_view(r.letters).find(f_.letter(r.i)) != std::string_view::npos);
        return {};
      case NmeaKind::kClock:
        return clock(r);
      case NmeaKind::kPosition:
        return position(r);
      case NmeaKind::kDate:
        return date(r);
      case NmeaKind::kUsed:
        return used(r);
      case NmeaKind::kSatellites:
        return satellites(r);
      default:
        return value(r, given);
    }
  }

  // Every kind that begins with a decimal number in field i.
  NmeaFault value(const NmeaRow& r, bool& given) {
    double v = 0.0;
    const NmeaValue kind = nmea_number(f_[r.i], v);
    if (kind == NmeaValue::kMalformed) return {r.i, "a decimal number"};
    if (kind == NmeaValue::kEmpty) return {};
    switch (r.kind) {
      case NmeaKind::kNumber:
        if (!(v >= r.low && v <= r.high)) return {r.i, "a value in its range"};
        sink_.number(r.key, r.scale == 1.0 ? v : v * r.scale);
        given = true;
        return {};
      case NmeaKind::kAside:
        if (v >= r.low && v <= r.high) sink_.number(r.key, v);
        return {};
      case NmeaKind::kWhole:
        if (!(v >= r.low && v <= r.high) || v != std::floor(v)) return {r.i, "a whole number in its range"};
        sink_.whole(r.key, static_cast<std::int64_t>(v));
        return {};
      case NmeaKind::kSided:
      case NmeaKind::kVariation: {
        const char letter = f_.letter(r.i + 1U);
        if ((letter == 'E' || letter == 'W') && v >= 0.0 && v <= 180.0)
          sink_.number(r.key, letter == 'E' ? v : -v);
        else if (r.kind == NmeaKind::kSided)  // a variation of 999.9, or without a letter, says nothing
          return {r.i, "0 to 180 and E or W"};
        return {};
      }
      default:
        return lettered(r, v);
    }
  }

  // The letter in field j chooses the unit or the name.
  NmeaFault lettered(const NmeaRow& r, double v) {
    const char letter = f_.letter(r.j);
    if (letter == '\0') return {};
    for (const NmeaLetter& l : *r.choice) {
      if (l.letter != letter) continue;
      sink_.number(l.key != nullptr ? l.key : r.key, l.scale == 1.0 ? v : v * l.scale);
      return {};
    }
    if (r.kind == NmeaKind::kInUnit) return {r.j, "a unit letter"};
    return {};
  }

  NmeaFault clock(const NmeaRow& r) {
    double v = 0.0;
    const NmeaValue kind = nmea_clock(f_[r.i], v);
    if (kind == NmeaValue::kMalformed) return {r.i, "hhmmss.ss"};
    if (kind == NmeaValue::kOk) sink_.number(r.key, v);
    return {};
  }

  // Latitude and longitude, only both together.
  NmeaFault position(const NmeaRow& r) {
    double lat = 0.0, lon = 0.0;
    const NmeaValue a = nmea_coordinate(f_[r.i], f_[r.i + 1U], lat);
    if (a == NmeaValue::kMalformed) return {r.i, "ddmm.mmm and a hemisphere"};
    const NmeaValue b = nmea_coordinate(f_[r.i + 2U], f_[r.i + 3U], lon);
    if (b == NmeaValue::kMalformed) return {r.i + 2, "dddmm.mmm and a hemisphere"};
    const char ns = f_.letter(r.i + 1U), ew = f_.letter(r.i + 3U);
    if (ns == 'E' || ns == 'W' || ew == 'N' || ew == 'S') return {r.i, "latitude before longitude"};
    if (a == NmeaValue::kOk && b == NmeaValue::kOk) {
      sink_.number("lat_deg", lat);
      sink_.number("lon_deg", lon);
    }
    return {};
  }

  NmeaFault date(const NmeaRow& r) {
    const std::string_view s = f_.text(r.i);
    if (s.empty()) return {};
    if (s.size() != 6) return {r.i, "ddmmyy"};
    for (char c : s) {
      if (c < '0' || c > '9') return {r.i, "ddmmyy"};
    }
    const char* const keys[] = {"day", "month", "year"};
    for (std::size_t k = 0; k < 3; ++k) sink_.whole(keys[k], (s[2 * k] - '0') * 10 + (s[2 * k + 1] - '0'));
    return {};
  }

  NmeaFault used(const NmeaRow& r) {
    std::array<std::int64_t, 12> ids{};
    std::size_t n = 0;
    for (std::size_t i = 2; i < 14; ++i) {
      double v = 0.0;
      const NmeaValue kind = nmea_number(f_[i], v);
      if (kind == NmeaValue::kMalformed || (kind == NmeaValue::kOk && !(std::abs(v) < 1e9)))
        return {static_cast<int>(i), "the number of a satellite"};
      if (kind == NmeaValue::kOk) ids[n++] = static_cast<std::int64_t>(v);
    }
    sink_.used(r.key, ids.data(), n);
    return {};
  }

  // Up to four satellites of four fields each; since version 4.1 a signal number ends the sentence.
  NmeaFault satellites(const NmeaRow& r) {
    std::array<NmeaSatellite, 4> rows{};
    std::size_t n = 0;
    for (std::size_t i = 3; i + 3 < f_.size() && n < rows.size(); i += 4) {
      double v[4];
      for (std::size_t k = 0; k < 4; ++k) {
        if (nmea_number(f_[i + k], v[k]) == NmeaValue::kMalformed || std::abs(v[k]) >= 1e9)
          return {static_cast<int>(i + k), "a decimal number"};
      }
      if (!std::isnan(v[0])) rows[n++] = {static_cast<std::int64_t>(v[0]), v[1], v[2], v[3]};
    }
    sink_.satellites(r.key, rows.data(), n);
    return {};
  }

  const NmeaFields& f_;
  Sink& sink_;
};

// False when the sentence's kind is not known. text: from the start character up to, without, the checksum.
template <class Sink>
bool nmea_values(std::string_view type, std::string_view text, Sink& sink, NmeaFault& fault) {
  const NmeaKnown* known = nmea_known(type);
  if (known == nullptr) return false;
  const NmeaFields fields(text);
  const bool old = known->old_rows != nullptr && fields.size() <= known->old_fields;
  fault = NmeaReader<Sink>(fields, sink)
              .read(old ? known->old_rows : known->rows, old ? known->n_old_rows : known->n_rows);
  return true;
}

}  // namespace giljabi::codecs
