// The wire codec against vectors made by hand; tests/core/test_guard_wire.py compares it with other encoders.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "giljabi/codecs/wire.hpp"

using namespace giljabi::codecs;

namespace {

const std::vector<WireChannel> kChannels{{"steering", -0.5, 0.5}, {"throttle", -9000.0, 4500.0}};

std::string text(const WireEncoder& e, const std::vector<double>& values, bool armed) {
  std::uint8_t out[kMaxFrameBytes];
  const std::size_t n = e.encode(0, values.data(), armed, 0, out);
  return {reinterpret_cast<const char*>(out), n};
}

std::vector<int> payload(const WireEncoder& e, const std::vector<double>& values, bool armed,
                         std::uint32_t counter) {
  std::uint8_t out[kMaxFrameBytes];
  REQUIRE(e.encode(0, values.data(), armed, counter, out) == 16);
  return {out + 8, out + 8 + out[4]};
}

WireField field(const char* actuator, double scale, int start, int length, bool is_signed, bool big_endian) {
  WireField f;
  f.actuator = actuator;
  f.scale = scale;
  f.start_bit = start;
  f.length = length;
  f.is_signed = is_signed;
  f.big_endian = big_endian;
  return f;
}

EncodeTable can(std::vector<WireField> fields) {
  WireMessage m;
  m.name = "m";
  m.period_s = 0.1;
  m.can_id = 0x2E4;
  m.fields = std::move(fields);
  return {"vehicle", Protocol::can, {m}, Framing::socketcan};
}

std::string fixed(double v, int decimals) {
  char out[24];
  return {out, print_fixed(v, decimals, out)};
}

}  // namespace

TEST_CASE("CRC: check values of the catalogue, over 123456789") {
  const auto check = [](const CrcForm& form) {
    const Crc crc("test", form);
    std::uint64_t r = crc.start();
    for (const char c : std::string("123456789")) {
      r = crc.add(r, static_cast<std::uint8_t>(c));
    }
    return crc.end(r);
  };
  CHECK(check({8, 0x1D, 0xFF, 0xFF, false}) == 0x4B);                                // SAE J1850
  CHECK(check({8, 0x2F, 0xFF, 0xFF, false}) == 0xDF);                                // AUTOSAR
  CHECK(check({16, 0x1021, 0xFFFF, 0, false}) == 0x29B1);                            // IBM-3740
  CHECK(check({32, 0xF4ACFB13, 0xFFFFFFFF, 0xFFFFFFFF, true}) == 0x1697D06A);        // AUTOSAR
  CHECK(check({64, 0x42F0E1EBA9EA3693, ~0ULL, ~0ULL, true}) == 0x995DC9BBDF1939FA);  // XZ
  CHECK(check({4, 0x3, 0, 0, true}) == 0x7);                                         // G-704
  CHECK(check({5, 0x09, 0x09, 0, false}) == 0x00);                                   // EPC-C1G2
}

TEST_CASE("toyota checksum by hand") {
  // 8 + 0x02 + 0xE4 + 0x80 = 0x16E; the last byte is left out
  const std::uint8_t data[8] = {0x80, 0, 0, 0, 0, 0, 0, 0xFF};
  WireChecksum c;
  c.kind = "toyota";
  c.start_bit = 63;
  const CanCheck check("m", c, {}, 0x2E4, false, 8);
  CHECK(check.value(data) == 0x6E);
  CHECK(!check.ok(data));
}

TEST_CASE("bits by hand: Intel and Motorola") {
  // 0x123 in 12 bits from bit 4 on, Intel: low nibble 3 in the high half of byte 0, 0x12 in byte 1
  CHECK(payload(WireEncoder(can({field("throttle", 1, 4, 12, false, false)}), kChannels), {0, 0x123}, true,
                0) == std::vector<int>{0x30, 0x12, 0, 0, 0, 0, 0, 0});
  // the same, Motorola, most significant bit 3 of byte 0: 1 in the low half of byte 0, 0x23 in byte 1
  CHECK(payload(WireEncoder(can({field("throttle", 1, 3, 12, false, true)}), kChannels), {0, 0x123}, true,
                0) == std::vector<int>{0x01, 0x23, 0, 0, 0, 0, 0, 0});
  // -2 in 16 bits, Motorola
  CHECK(payload(WireEncoder(can({field("throttle", 1, 7, 16, true, true)}), kChannels), {0, -2}, true, 0) ==
        std::vector<int>{0xFF, 0xFE, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("raw values are clipped to the field, not wrapped") {
  const WireEncoder e(can({field("throttle", 1, 0, 8, true, false)}), kChannels);
  CHECK(payload(e, {0, 4500}, true, 0)[0] == 0x7F);
  CHECK(payload(e, {0, -9000}, true, 0)[0] == 0x80);
}

TEST_CASE("an angle on the wire stays below its turn") {
  EncodeTable t;
  t.device = "bridge";
  t.protocol = Protocol::nmea;
  WireMessage m;
  m.name = "h";
  m.period_s = 0.1;
  m.text_template = "$AGHTC,{a}";
  WireField f;
  f.actuator = "a";
  f.turn = 360.0;
  f.decimals = 1;
  m.fields = {f};
  t.messages = {m};
  const WireEncoder e(t, {{"a", -720.0, 720.0}});
  for (const auto& [value, text] : {std::pair<double, const char*>{0.0, "0.0"},
                                    {-0.04, "0.0"},
                                    {-0.06, "359.9"},
                                    {359.94, "359.9"},
                                    {359.96, "0.0"},
                                    {725.0, "5.0"},
                                    {-1e-300, "0.0"}}) {
    std::uint8_t out[kMaxFrameBytes] = {};
    const std::size_t n = e.encode(0, &value, true, 0, out);
    CHECK(std::string(out, out + n).substr(0, 7 + std::strlen(text)) == "$AGHTC," + std::string(text));
  }
}

TEST_CASE("fixed decimals") {
  CHECK(fixed(0.0, 1) == "0.0");
  CHECK(fixed(-0.04, 1) == "0.0");
  CHECK(fixed(-0.06, 1) == "-0.1");
  CHECK(fixed(12.345, 2) == "12.34");  // half to even, and 12.345 lies below in binary
  CHECK(fixed(-7.0, 0) == "-7");
  CHECK(fixed(1e9, 6) == "1000000000.000000");
  CHECK(fixed(0.000001, 6) == "0.000001");
  CHECK(fixed(99.996, 2) == "100.00");
}

TEST_CASE("sentence by hand") {
  WireField f;
  f.actuator = "steering";
  f.scale = 100.0;
  WireMessage m;
  m.name = "hdt";
  m.period_s = 0.1;
  m.fields = {f};
  m.text_template = "$GPHDT,{steering},{T|V}";
  const WireEncoder e({"bridge", Protocol::nmea, {m}, Framing::raw}, kChannels);
  // G^P^H^D^T^,^4^0^.^0^,^T = 0x01, worked out by hand
  CHECK(text(e, {0.4, 0}, true) == "$GPHDT,40.0,T*01\r\n");
  CHECK(text(e, {0.4, 0}, false) == "$GPHDT,40.0,V*03\r\n");  // T ^ V = 2
}

TEST_CASE("nothing is sent for a value that is not finite") {
  const WireEncoder e(can({field("throttle", 1, 0, 8, true, false)}), kChannels);
  std::uint8_t out[kMaxFrameBytes];
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const double values[2] = {0.0, bad};
    CHECK(e.encode(0, values, true, 0, out) == 0);
  }
}

TEST_CASE("encoding does not allocate") {
  WireField f = field("throttle", 1, 0, 16, true, false);
  EncodeTable table = can({f});
  table.framing = Framing::can_msgpack;
  table.messages[0].counter = WireCounter{19, 4, true, 14};
  table.messages[0].checksum.kind = "e2e_p01";
  table.messages[0].checksum.start_bit = 63;
  table.messages[0].checksum.data_id = {0x123};
  table.messages[0].checksum.mode = "alternating";
  const WireEncoder can_encoder(table, kChannels);
  f.decimals = 3;
  WireMessage m;
  m.name = "m";
  m.period_s = 0.1;
  m.fields = {f};
  m.text_template = "$AGPRC,{throttle},{A|V}";
  const WireEncoder nmea_encoder({"bridge", Protocol::nmea, {m}, Framing::raw}, kChannels);
  std::uint8_t out[kMaxFrameBytes];
  const double values[2] = {0.1, -1234.5};
  const std::size_t before = giljabi::tests::allocations();
  std::size_t bytes = 0;
  for (std::uint32_t k = 0; k < 100; ++k) {
    bytes += can_encoder.encode(0, values, true, k, out) + nmea_encoder.encode(0, values, false, k, out);
  }
  CHECK(giljabi::tests::allocations() == before);
  CHECK(bytes > 0);
}
