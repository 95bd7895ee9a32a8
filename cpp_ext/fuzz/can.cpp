// CAN as it arrives: datagrams, kernel structs, Lawicel's lines; and the watch over messages with any
// counter.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "giljabi/codecs/can_frames.hpp"
#include "giljabi/codecs/can_framing.hpp"
#include "giljabi/codecs/can_watch.hpp"

using namespace giljabi::codecs;

namespace {

void check(const CanFrame& f) {
  PROMISE(f.size <= ((f.flags & CanFrame::kFd) != 0 ? 64U : 8U));
  PROMISE(f.id <= 0x1FFFFFFFU);
  PROMISE(f.flags < 16);
}

bool same(const CanFrame& a, const CanFrame& b) {
  return a.id == b.id && a.flags == b.flags && a.size == b.size &&
         std::equal(a.data.begin(), a.data.begin() + a.size, b.data.begin());
}

// What was read can be written, and reads the same again.
void back(const CanFrame& f) {
  if ((f.flags & (CanFrame::kRemote | CanFrame::kError)) != 0 || !can_size_exists(static_cast<int>(f.size)))
    return;
  const bool extended = (f.flags & CanFrame::kExtended) != 0;
  if (!extended && f.id > 0x7FF) return;
  const CanHeader h{f.id, extended, (f.flags & CanFrame::kFd) != 0, false};
  std::uint8_t out[256];
  CanFrame again;
  PROMISE(parse_can_msgpack(out, frame_can_msgpack(h, f.data.data(), f.size, out), again) && same(f, again));
  PROMISE(parse_socketcan(out, frame_socketcan(h, f.data.data(), f.size, out), again) && same(f, again));
  SlcanParser parser;
  const std::size_t n = frame_slcan(h, f.data.data(), f.size, out);
  for (std::size_t i = 0; i < n; ++i) {
    const auto got = parser.add(out[i], again);
    PROMISE(got == (i + 1 < n ? SlcanParser::Got::nothing : SlcanParser::Got::frame));
  }
  PROMISE(same(f, again));
}

CanWatch watched() {
  WireChecksum sum;
  sum.kind = "crc8_j1850";
  sum.start_bit = 63;
  CanWatched w;
  w.check = CanCheck("m", sum, {}, 0x10, false, 8);
  w.counter = bit_places("counter", 51, 4, true, 8);
  w.turn = 15;
  w.signals.emplace_back("s", 7, 16, true, true, 0.1, 0.0, 8);
  CanWatch all;
  all.add(0x10, w);
  return all;
}

void watch(const std::vector<CanFrame>& frames) {
  static const CanWatch kFresh = watched();
  CanWatch all = kFresh;
  std::uint64_t judged = 0;
  double t = 0.0;
  for (const CanFrame& f : frames) {
    for (const std::uint32_t key : {f.id, std::uint32_t{0x10}}) {
      std::size_t index = 9;
      bool skipped = false;
      const CanVerdict v =
          all.judge(key, static_cast<int>(f.flags & 3U), t, f.data.data(), f.size, index, skipped);
      PROMISE((v == CanVerdict::other) == (key != 0x10));
      judged += v != CanVerdict::other ? 1 : 0;
      PROMISE(v != CanVerdict::too_short || f.size < 8);
    }
    const double next = all.expire(t += 0.01);
    PROMISE(next > t);
  }
  std::uint64_t counted = 0;
  for (const std::uint64_t n : all.told(0).counts) counted += n;
  PROMISE(counted == judged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<CanFrame> frames;
  CanFrame f;
  if (parse_can_msgpack(data, size, f)) frames.push_back(f);
  if (parse_socketcan(data, size, f)) frames.push_back(f);
  SlcanParser parser;
  for (std::size_t i = 0; i < size; ++i) {
    if (parser.add(data[i], f) == SlcanParser::Got::frame) frames.push_back(f);
  }
  for (std::size_t i = 0; i + 16 <= size; i += 16) {
    if (parse_socketcan(data + i, 16, f)) frames.push_back(f);
  }
  for (const CanFrame& each : frames) {
    check(each);
    back(each);
  }
  watch(frames);
  return 0;
}
