// NMEA 0183: no sentence with a wrong checksum, the same sentences in any chunking, only finite values in
// range.
#include "giljabi/codecs/nmea.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"
#include "giljabi/codecs/nmea_values.hpp"

using namespace giljabi::codecs;

namespace {

struct Kept {
  std::string text;
  std::string tag;
  bool operator==(const Kept& o) const { return text == o.text && tag == o.tag; }
};

struct Sink {
  void number(std::string_view key, double v) {
    PROMISE(std::isfinite(v));
    if (key == "lat_deg") PROMISE(std::abs(v) <= 90.0);
    if (key == "lon_deg") PROMISE(std::abs(v) <= 180.0);
  }
  void whole(const char*, std::int64_t) {}
  void text(const char*, std::string_view v) {
    for (const char c : v) PROMISE(c >= 0x20 && c <= 0x7E);
  }
  void flag(const char*, bool) {}
  void used(const char*, const std::int64_t* ids, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) PROMISE(std::abs(static_cast<double>(ids[i])) < 1e9);
  }
  void satellites(const char*, const NmeaSatellite* rows, std::size_t n) {
    PROMISE(n <= 4);
    for (std::size_t i = 0; i < n; ++i) PROMISE(!std::isinf(rows[i].elevation_deg));
  }
};

// The sentence stands in the stream with its checksum, worked out here once more.
bool stands_in(std::string_view stream, std::string_view text) {
  unsigned parity = 0;
  for (std::size_t i = 1; i < text.size(); ++i) parity ^= static_cast<unsigned char>(text[i]);
  for (const char* const form : {"*%02X", "*%02x"}) {
    char sum[8];
    std::snprintf(sum, sizeof sum, form, parity);
    if (stream.find(std::string(text) + sum) != std::string_view::npos) return true;
  }
  char mixed[4] = {'*', "0123456789ABCDEF"[parity >> 4], "0123456789abcdef"[parity & 15U], 0};
  if (stream.find(std::string(text) + mixed) != std::string_view::npos) return true;
  mixed[1] = "0123456789abcdef"[parity >> 4];
  mixed[2] = "0123456789ABCDEF"[parity & 15U];
  return stream.find(std::string(text) + mixed) != std::string_view::npos;
}

void look_into(const NmeaSentence& s) {
  const std::string_view address = s.text.substr(1, s.text.find(',') - 1);
  const bool standard = address.size() == 5 && address[0] != 'P';
  Sink sink;
  NmeaFault fault;
  nmea_values(standard ? address.substr(2) : address.substr(address[0] == 'P' ? 1 : 0), s.text, sink, fault);
  if (fault) PROMISE(fault.expected[0] != '\0');
  for (std::size_t i = 0; i < 4; ++i) {
    double v = 0.0;
    if (nmea_number(nmea_field(s.text, i), v) == NmeaValue::kOk) PROMISE(std::isfinite(v));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool required = (data[0] & 1U) != 0;
  const std::size_t longest = (data[0] & 2U) != 0 ? 82 : 1024;
  const std::size_t step = 1U + data[1] % 97U;
  data += 2;
  size -= 2;
  const std::string_view stream(reinterpret_cast<const char*>(data), size);

  std::vector<Kept> whole;
  NmeaFramer framer(required, longest);
  framer.feed(data, size, [&](const NmeaSentence& s) {
    PROMISE(s.text.size() <= longest);
    PROMISE(s.text[0] == '$' || s.text[0] == '!');
    if (required) PROMISE(stands_in(stream, s.text));
    look_into(s);
    whole.push_back({std::string(s.text), std::string(s.tag)});
  });
  framer.finish();
  PROMISE(framer.accepted() == whole.size());
  PROMISE(framer.skipped_bytes() <= size);

  std::size_t k = 0;
  NmeaFramer chunked(required, longest);
  for (std::size_t at = 0; at < size; at += step) {
    chunked.feed(data + at, std::min(step, size - at), [&](const NmeaSentence& s) {
      PROMISE(k < whole.size());
      PROMISE((whole[k++] == Kept{std::string(s.text), std::string(s.tag)}));
    });
  }
  chunked.finish();
  PROMISE(k == whole.size());
  for (std::size_t r = 0; r < kNmeaRejects; ++r)
    PROMISE(framer.rejected(static_cast<NmeaReject>(r)) == chunked.rejected(static_cast<NmeaReject>(r)));
  PROMISE(framer.skipped_bytes() == chunked.skipped_bytes());
  return 0;
}
