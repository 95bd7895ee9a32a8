// What hovers and does as it is told, late: whatever is commanded, it stays inside its fences.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "../tests/hovering.hpp"
#include "fuzz.hpp"
#include "giljabi/guard/guard.hpp"

using namespace giljabi;
using guard::Fence;
using guard::Guard;
using guard::GuardConfig;
using guard::Level;
using guard::Reasons;

namespace {

constexpr double kTick = 0.05;
constexpr double kBrake = 2.0;
constexpr std::size_t kLate = 6;  // ticks
constexpr std::size_t kLongest = 1000;

GuardConfig config() {
  GuardConfig c = tests::hovering(kTick, 30.0, kBrake, 0.3);
  c.fence.delay_s = kTick * static_cast<double>(kLate);
  c.fence.drift = 0.2;
  return c;
}

struct Vehicle {
  std::array<double, 3> p{0.0, 0.0, 10.0};
  std::array<double, 3> v{};
  std::array<std::array<double, 3>, kLate> told{};
  std::size_t next = 0;

  void step(const std::vector<double>& u) {
    const std::array<double, 3> now = told[next];
    told[next] = {u[0], u[1], u[2]};
    next = (next + 1) % kLate;
    const double gap = std::hypot(now[0] - v[0], now[1] - v[1]);
    const double share = gap > kBrake * kTick ? kBrake * kTick / gap : 1.0;
    v[0] += share * (now[0] - v[0]);
    v[1] += share * (now[1] - v[1]);
    v[2] += std::clamp(now[2] - v[2], -kBrake * kTick, kBrake * kTick);
    for (std::size_t i = 0; i < 3; ++i) p[i] += kTick * v[i];
  }
};

std::vector<Fence> fences(FuzzedDataProvider& in) {
  std::vector<Fence> out{{{{-60, -50}, {70, -60}, {60, 0}, {80, 70}, {10, 30}, {-50, 60}}, false, -5, 40}};
  for (int n = in.ConsumeIntegralInRange<int>(0, 3); n > 0; --n) {
    Fence f{guard::round({in.ConsumeFloatingPointInRange<double>(10, 50),
                          in.ConsumeFloatingPointInRange<double>(-40, 40)},
                         in.ConsumeFloatingPointInRange<double>(0.5, 5), true),
            true};
    if (in.ConsumeBool()) f.high = in.ConsumeFloatingPointInRange<double>(5, 30);
    out.push_back(f);
  }
  return out;
}

bool allowed(const std::vector<Fence>& all, const Vehicle& vehicle) {
  return std::all_of(all.begin(), all.end(), [&](const Fence& f) {
    const bool in = guard::inside(f.corners, {vehicle.p[0], vehicle.p[1]}) && vehicle.p[2] >= f.low &&
                    vehicle.p[2] <= f.high;
    return in != f.keep_out;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const GuardConfig kConfig = config();
  FuzzedDataProvider in(data, std::min(size, kLongest));
  Guard g(kConfig);
  const std::vector<Fence> all = fences(in);
  PROMISE(g.set_fences(all));
  Vehicle vehicle;
  double now = 1.7e9;
  Reasons why;
  while (in.remaining_bytes() > 0) {
    std::array<guard::NamedValue, 3> values{{{"vx", 0}, {"vy", 0}, {"vz", 0}}};
    for (guard::NamedValue& v : values) v.value = in.ConsumeFloatingPointInRange<double>(-12, 12);
    for (int k = in.ConsumeIntegralInRange<int>(1, 30); k > 0; --k) {
      now += kTick;
      const auto& p = vehicle.p;
      const auto& v = vehicle.v;
      g.pose(now, {now, p[0], p[1], 0.0, 0.0, p[2], v[0], v[1], v[2]});
      g.submit("auto", now, now, values.data(), values.size());
      g.heartbeat(now, now, Level::ok, Reasons());
      if (g.mode() == "standby") PROMISE(g.arm(now, why) || !why.empty());
      g.step(now);
      vehicle.step(g.output());
      PROMISE(allowed(all, vehicle));
    }
  }
  return 0;
}
