// Servos: no reply with a wrong checksum, the same replies in any chunking, and a chain that neither drives a
// joint from noise nor ever sends while replies are due.
#include <algorithm>
#include <cmath>
#include <vector>

#include "fuzz.hpp"
#include "giljabi/codecs/servo_chain.hpp"

using namespace giljabi::codecs::servo;

namespace {

constexpr std::size_t kCycles = 32;  // of a chain, about: enough for silence, probes and slow reads

struct Kept {
  std::uint8_t id = 0;
  std::uint8_t error = 0;
  std::vector<std::uint8_t> data;
  bool operator==(const Kept& o) const { return id == o.id && error == o.error && data == o.data; }
};

template <class Parser>
std::vector<Kept> parsed(const std::uint8_t* data, std::size_t size, std::size_t step,
                         std::uint64_t& accepted) {
  Parser parser;
  std::vector<Kept> out;
  for (std::size_t at = 0; at < size; at += step) {
    parser.feed(
        data + at, std::min(step, size - at),
        [&](const Status& s) {
          PROMISE(s.size <= 2 * kMaxData);
          out.push_back({s.id, s.error, {s.data, s.data + s.size}});
        },
        [] {});
  }
  accepted = parser.counts.accepted;
  return out;
}

template <class Parser>
void same_in_any_chunking(const std::uint8_t* data, std::size_t size, std::size_t step) {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  const auto whole = parsed<Parser>(data, size, std::max<std::size_t>(size, 1), a);
  const auto pieces = parsed<Parser>(data, size, step, b);
  PROMISE(whole == pieces);
  PROMISE(a == whole.size() && b == pieces.size());
}

ChainConfig config(bool fast, Family family) {
  ChainConfig c;
  c.fast = fast;
  c.family = family;
  c.slow_every = 8;
  for (int id = 1; id <= 3; ++id) {
    JointConfig j;
    j.id = id;
    j.goal_address = 116;
    j.goal_size = 4;
    j.goals.push_back({{0, 4, Field::kTwos}, id - 1, 1.0, 0.0, -4000.0, 4000.0, 0.0, 0.0});
    j.read_address = 132;
    j.fast_size = 4;
    j.slow_size = 8;
    j.reads.push_back({{0, 4, Field::kTwos}, kPosition, 1.0, 0.0});
    j.torque_address = 64;
    c.joints.push_back(j);
  }
  return c;
}

void chain_stands(const std::uint8_t* data, std::size_t size, std::size_t step, unsigned kind) {
  static const ChainConfig kConfigs[6] = {
      config(false, Family::dynamixel),   config(true, Family::dynamixel),
      config(false, Family::feetech_sts), config(true, Family::feetech_sts),
      config(false, Family::feetech_scs), config(true, Family::feetech_scs)};
  Chain chain(kConfigs[kind % 6]);
  const double goals[3] = {1.0, 2.0, 3.0};
  const std::uint8_t released[3] = {kReleased, kReleased, kReleased};
  std::uint8_t out[Chain::kMaxBytes];
  double now = 0.0;
  for (std::size_t at = 0; at < size; at += step) {
    const bool due = !chain.done() && now < chain.nominal_end();
    const std::size_t n = chain.cycle(now, goals, released, out, sizeof out);
    PROMISE(!due || n == 0);
    PROMISE(n <= 64);  // a read, never a goal or torque: everybody is released
    chain.feed(now, data + at, std::min(step, size - at));
    PROMISE(chain.follow_up(now, out, sizeof out) <= 64);
    for (const Joint& j : chain.joints()) {
      PROMISE(!j.torque && !j.touched);
      PROMISE(std::isnan(j.t) || std::isfinite(j.value[kPosition]));
    }
    now += 1e-3;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = 1U + data[1] % 97U;
  const unsigned kind = data[0];
  data += 2;
  size -= 2;
  same_in_any_chunking<DynamixelParser>(data, size, step);
  same_in_any_chunking<FeetechParser>(data, size, step);
  chain_stands(data, size, std::max(step, size / kCycles), kind);
  return 0;
}
