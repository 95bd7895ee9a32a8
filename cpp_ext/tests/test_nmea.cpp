// NMEA framing and fields against the rules of IEC 61162-1, and that chunking never changes the result.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "giljabi/codecs/nmea.hpp"
#include "giljabi/codecs/nmea_fields.hpp"
#include "giljabi/codecs/nmea_values.hpp"

using namespace giljabi::codecs;

namespace {

std::string with_checksum(const std::string& body) {
  char tail[8];
  std::snprintf(tail, sizeof tail, "*%02X\r\n", nmea_checksum(body));
  return body + tail;
}

struct Result {
  std::vector<std::string> text;
  std::vector<std::string> tags;
  std::vector<std::uint64_t> rejected;
  std::uint64_t accepted = 0;
  bool operator==(const Result& o) const {
    return text == o.text && tags == o.tags && rejected == o.rejected && accepted == o.accepted;
  }
  std::uint64_t of(NmeaReject r) const { return rejected[static_cast<std::size_t>(r)]; }
};

template <class NextChunk>
Result run(const std::string& bytes, NextChunk&& next, bool required = true, std::size_t max_length = 1024) {
  NmeaFramer framer(required, max_length);
  Result out;
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t n = std::min(bytes.size() - i, static_cast<std::size_t>(next()));
    framer.feed(reinterpret_cast<const std::uint8_t*>(bytes.data()) + i, n, [&out](const NmeaSentence& s) {
      out.text.emplace_back(s.text);
      out.tags.emplace_back(s.tag);
    });
    i += n;
  }
  framer.finish();
  out.accepted = framer.accepted();
  for (std::size_t i = 0; i < kNmeaRejects; ++i)
    out.rejected.push_back(framer.rejected(static_cast<NmeaReject>(i)));
  return out;
}

Result whole(const std::string& bytes, bool required = true, std::size_t max_length = 1024) {
  return run(bytes, [] { return std::size_t{1} << 20; }, required, max_length);
}

const std::string kHdt = "$" + with_checksum("HEHDT,090.0,T");

}  // namespace

TEST_CASE("nmea: a sentence with a right checksum passes, whatever ends or surrounds it") {
  for (const std::string end : {"\r\n", "\n", "\r", "", "\n\r", "   "}) {
    const Result r = whole("2024-01-01 12:00:00;" + kHdt.substr(0, kHdt.size() - 2) + end + kHdt);
    CHECK(r.text == std::vector<std::string>{"$HEHDT,090.0,T", "$HEHDT,090.0,T"});
  }
  CHECK(whole("$HEHDT,090.0,T*1f$HEHDT,090.0,T*1F").accepted == 0);  // the checksum is 2B, not 1F
}

TEST_CASE("nmea: every reason to drop is counted, and the next sentence survives") {
  const auto one = [](const std::string& bad, NmeaReject reason) {
    const Result r = whole(bad + kHdt, true, 100);
    CHECK(r.accepted == 1);
    CHECK(r.of(reason) == 1);
    std::uint64_t total = 0;
    for (auto n : r.rejected) total += n;
    CHECK(total == 1);
  };
  one("$HEHDT,091.0,T*2B\r\n", NmeaReject::kChecksum);
  one("$HEHDT,090.0,T*GG\r\n", NmeaReject::kChecksum);
  one("$HEHDT,090.0,T\r\n", NmeaReject::kNoChecksum);
  one("$HEHDT,090.0,T*2\r\n", NmeaReject::kTruncated);
  one("$HEHDT,09", NmeaReject::kTruncated);
  one("$HEHDT,090.\xff", NmeaReject::kNonAscii);
  one(std::string("$HEHDT,090.\0", 12), NmeaReject::kNonAscii);
  one("$HEHDT," + std::string(200, '0'), NmeaReject::kOverlong);
  one("$" + with_checksum("HEhdt,090.0,T"), NmeaReject::kAddress);
  one("\\s:abc*00\\", NmeaReject::kTagBlock);
}

TEST_CASE("nmea: without a checksum only where it was declared, and a wrong one never") {
  CHECK(whole("$HEHDT,090.0,T\r\n", true).accepted == 0);
  CHECK(whole("$HEHDT,090.0,T\r\n", false).accepted == 1);
  CHECK(whole("$HEHDT,090.0,T*00\r\n", false).accepted == 0);
}

TEST_CASE("nmea: a TAG block goes with the sentence behind it and with no other") {
  const std::string tag = "s:r1,c:1428621738";
  char sum[8];
  std::snprintf(sum, sizeof sum, "*%02X", nmea_checksum(tag));
  const Result r = whole("\\" + tag + sum + "\\" + kHdt + kHdt);
  CHECK(r.tags == std::vector<std::string>{tag, ""});
  CHECK(whole("\\" + tag + sum + "\\ " + kHdt).tags == std::vector<std::string>{""});
}

TEST_CASE("nmea: chunking never changes the result, on random and on mutated bytes") {
  std::mt19937 rng(7);
  const std::string seedling =
      "\\s:a*2A\\" + kHdt + "$PUBX,00,x*00\r\n!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23\n";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = seedling + seedling;
    for (int k = 0; k < round % 8; ++k) bytes[rng() % bytes.size()] = static_cast<char>(rng());
    if (round % 3 == 0) bytes.insert(rng() % bytes.size(), kHdt.substr(0, rng() % kHdt.size()));
    const Result a = whole(bytes, round % 2 == 0, 64);
    CHECK(a == run(bytes, [] { return 1; }, round % 2 == 0, 64));
    CHECK(a == run(bytes, [&rng] { return 1 + rng() % 9; }, round % 2 == 0, 64));
  }
}

TEST_CASE("nmea: numbers are decimal and nothing else") {
  double v = 0.0;
  CHECK(nmea_number("-12.5", v) == NmeaValue::kOk);
  CHECK(v == -12.5);
  CHECK(nmea_number("  7. ", v) == NmeaValue::kOk);
  CHECK(v == 7.0);
  CHECK(nmea_number("", v) == NmeaValue::kEmpty);
  CHECK(std::isnan(v));
  for (const char* bad : {"nan", "inf", "1e5", "0x10", "1_0", "-", ".", "1.2.3", "--1", "+-1", "1 2"}) {
    CAPTURE(bad);
    CHECK(nmea_number(bad, v) == NmeaValue::kMalformed);
    CHECK(std::isnan(v));
  }
}

TEST_CASE("nmea: positions and times of day") {
  double v = 0.0;
  CHECK(nmea_coordinate("4807.038", "N", v) == NmeaValue::kOk);
  CHECK(v == doctest::Approx(48.1173).epsilon(1e-12));
  CHECK(nmea_coordinate("01131.000", "W", v) == NmeaValue::kOk);
  CHECK(v == doctest::Approx(-11.516666666666667).epsilon(1e-12));
  CHECK(nmea_coordinate("4860.000", "N", v) == NmeaValue::kOk);
  CHECK(v == 49.0);
  CHECK(nmea_coordinate("4807.038", "", v) == NmeaValue::kEmpty);
  for (const auto& bad : {std::pair("9000.001", "N"), std::pair("18000.001", "E"), std::pair("4860.1", "N"),
                          std::pair("-4807.0", "N"), std::pair("4807.0", "X")})
    CHECK(nmea_coordinate(bad.first, bad.second, v) == NmeaValue::kMalformed);
  CHECK(nmea_clock("235960.50", v) == NmeaValue::kOk);
  CHECK(v == 86400.5);
  CHECK(nmea_clock("", v) == NmeaValue::kEmpty);
  for (const char* bad : {"246000", "236060", "235961", "12345", "1234567", "-12345", "12.5"})
    CHECK(nmea_clock(bad, v) == NmeaValue::kMalformed);
}

TEST_CASE("nmea: fields") {
  CHECK(nmea_field("$GPGLL,a,,c", 0) == "a");
  CHECK(nmea_field("$GPGLL,a,,c", 1).empty());
  CHECK(nmea_field("$GPGLL,a,,c", 2) == "c");
  CHECK(nmea_field("$GPGLL,a,,c", 3).empty());
  CHECK(nmea_field("$GPGLL", 0).empty());
}

namespace {

// Keeps what a sentence says, and whether all of it is finite.
struct Collected {
  std::vector<std::string> keys;
  bool finite = true;
  void number(const char* key, double v) {
    keys.emplace_back(key);
    finite = finite && std::isfinite(v);
  }
  void whole(const char* key, std::int64_t) { keys.emplace_back(key); }
  void text(const char* key, std::string_view v) {
    keys.emplace_back(key);
    finite = finite && !v.empty();
  }
  void flag(const char* key, bool) { keys.emplace_back(key); }
  void used(const char* key, const std::int64_t*, std::size_t n) {
    keys.emplace_back(key);
    finite = finite && n <= 12;
  }
  void satellites(const char* key, const NmeaSatellite*, std::size_t n) {
    keys.emplace_back(key);
    finite = finite && n <= 4;
  }
};

}  // namespace

TEST_CASE("named values: whatever stands in the fields, what comes out is finite and said once") {
  std::mt19937 rng(7);
  const std::string characters = "0123456789.-,ANSEWTMRK ";
  for (const NmeaKnown& known : nmea::kKnown) {
    for (int round = 0; round < 2000; ++round) {
      std::string text = "$GP" + std::string(known.type);
      for (std::size_t n = rng() % 120; n > 0; --n) text += characters[rng() % characters.size()];
      if (round % 3 == 0) text += std::string(rng() % 100, ',');
      Collected out;
      NmeaFault fault;
      REQUIRE(nmea_values(known.type, text, out, fault));
      REQUIRE(out.finite);
      std::sort(out.keys.begin(), out.keys.end());
      REQUIRE(std::adjacent_find(out.keys.begin(), out.keys.end()) == out.keys.end());
    }
  }
  Collected out;
  NmeaFault fault;
  CHECK_FALSE(nmea_values("XYZ", "$GPXYZ,1", out, fault));
  REQUIRE(nmea_values("HDT", "$GPHDT,361,T", out, fault));
  CHECK(fault.field == 0);
}
