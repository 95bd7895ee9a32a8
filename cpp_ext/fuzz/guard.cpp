// The guard: whatever comes in whatever order, outputs stay within limits and rates, and nobody but arming
// arms.
#include "giljabi/guard/guard.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz.hpp"

using namespace giljabi;
using guard::Guard;
using guard::GuardConfig;
using guard::Level;
using guard::Reasons;

namespace {

constexpr double kTick = 0.01;
constexpr std::size_t kLongest = 1000;  // bytes; about a hundred ticks, more than every timeout has

GuardConfig config() {
  codecs::WireMessage m;
  m.name = "drive";
  m.period_s = 0.01;
  for (const char* const name : {"steering", "throttle", "heading"}) {
    codecs::WireField f;
    f.actuator = name;
    f.scale = 1e4;
    f.start_bit = name[0] == 's' ? 0 : name[0] == 't' ? 16 : 32;
    f.length = 16;
    f.is_signed = true;
    m.fields.push_back(f);
  }
  m.can_id = 1;
  GuardConfig c;
  c.actuators = {{"steering", -0.5, 0.5, 0.8, 0.0, 0.2, 0.5, true},
                 {"throttle", -1.0, 1.0, 4.0, -1.0, 2.0},
                 {"heading", -0.5 * guard::kTurn, 0.5 * guard::kTurn, 0.7, 0.0, 0.7}};
  c.actuators[2].wraps = true;
  codecs::EncodeTable table;
  table.device = "vehicle";
  table.protocol = codecs::Protocol::can;
  table.framing = codecs::Framing::socketcan;
  table.messages = {m};
  c.tables = {table};
  c.sources = {"policy", "auto", "manual"};
  c.rate_hz = 1.0 / kTick;
  c.command_timeout_s = 0.15;
  c.heartbeat_timeout_s = 0.5;
  c.pose_timeout_s = 0.3;
  c.command_lost_s = 0.6;
  c.stop_deceleration = 1.0;
  c.front = 2.0;
  c.rear = 1.0;
  c.half_width = 1.0;
  return c;
}

// Mostly sane, now and then anything a double can be.
double number(FuzzedDataProvider& in, double low, double high) {
  switch (in.ConsumeIntegralInRange<int>(0, 15)) {
    case 0:
      return in.ConsumeFloatingPoint<double>();
    case 1:
      return std::numeric_limits<double>::quiet_NaN();
    case 2:
      return std::numeric_limits<double>::infinity();
    default:
      return in.ConsumeFloatingPointInRange<double>(low, high);
  }
}

void feed(FuzzedDataProvider& in, Guard& g, double now) {
  static const std::array<const char*, 4> kSources{"policy", "auto", "manual", "nobody"};
  static const std::array<const char*, 4> kNames{"steering", "throttle", "heading", "rudder"};
  const char* const source = kSources[in.ConsumeIntegralInRange<std::size_t>(0, 3)];
  const double stamp = now + number(in, -0.7, 0.02);
  Reasons why;
  switch (in.ConsumeIntegralInRange<int>(0, 9)) {
    case 0:
    case 1:
    case 2: {
      std::array<guard::NamedValue, 4> values;
      const auto n = in.ConsumeIntegralInRange<std::size_t>(0, 4);
      for (std::size_t i = 0; i < n; ++i)
        values[i] = {kNames[n == 3 ? i : in.ConsumeIntegralInRange<std::size_t>(0, 3)],
                     number(in, -4.0, 4.0)};
      g.submit(source, stamp, now, values.data(), n);
      break;
    }
    case 3:
    case 4:
      why.add().add(in.ConsumeRandomLengthString(300));
      g.heartbeat(now, stamp, static_cast<Level>(in.ConsumeIntegralInRange<int>(0, 3)), why);
      break;
    case 5:
      if (in.ConsumeBool()) {
        g.pose(now, {stamp, number(in, -50, 50), number(in, -50, 50), number(in, -4, 4), number(in, -9, 9)});
      } else {
        g.pose(now, {stamp, number(in, -50, 50), number(in, -50, 50), number(in, -4, 4), number(in, -9, 9),
                     number(in, -9, 40), number(in, -9, 9), number(in, -9, 9), number(in, -3, 3)});
      }
      break;
    case 6:
      g.feedback(now, kNames[in.ConsumeIntegralInRange<std::size_t>(0, 3)], number(in, -1.0, 1.0));
      break;
    case 7:
      g.set_device(in.ConsumeBool() ? "vehicle" : "other", in.ConsumeBool(), now);
      break;
    case 8:
      g.release(source, now);
      break;
    default:
      in.ConsumeBool() ? g.stop(now) : g.disarm(now, "asked");
  }
}

// Whatever corners and heights come, it is a fence or it is refused.
void fence(FuzzedDataProvider& in, Guard& g) {
  std::vector<guard::Fence> fences{{{{-30, -30}, {30, -30}, {30, 30}, {-30, 30}}}};
  for (int n = in.ConsumeIntegralInRange<int>(0, 2); n > 0; --n) {
    guard::Fence f;
    f.keep_out = in.ConsumeBool();
    if (in.ConsumeBool()) {
      f.low = number(in, -10, 10);
      f.high = number(in, 0, 40);
    }
    for (int k = in.ConsumeIntegralInRange<int>(0, 6); k > 0; --k) {
      f.corners.push_back({number(in, -60, 60), number(in, -60, 60)});
    }
    fences.push_back(f);
  }
  try {
    g.set_fences(std::move(fences));
  } catch (const std::invalid_argument&) {
  }
}

void arm(Guard& g, double now) {
  Reasons why;
  const bool was = g.armed();
  const bool done = g.arm(now, why);
  PROMISE(done == why.empty());
  PROMISE(g.armed() == (was || done));
  if (done && !was) PROMISE(g.mode() == "auto" || g.mode() == "manual" || g.mode() == "policy");
}

void tick(FuzzedDataProvider& in, Guard& g, double now) {
  const std::array<double, 3> before{g.output()[0], g.output()[1], g.output()[2]};
  const bool armed = g.armed();
  const double t = in.ConsumeIntegralInRange<int>(0, 40) == 0 ? number(in, now - 1.0, now + 1.0) : now;
  for (const guard::Frame& f : g.step(t)) PROMISE(f.size == 16 && f.device == 0);
  PROMISE(armed || !g.armed());
  const GuardConfig& c = g.config();
  for (std::size_t i = 0; i < before.size(); ++i) {
    const guard::ActuatorConfig& a = c.actuators[i];
    PROMISE(std::isfinite(g.output()[i]) && g.output()[i] >= a.min && g.output()[i] <= a.max);
    if (!a.safe_from_feedback)  // a late tick counts for at most 0.1 s
      PROMISE(std::abs(a.way(before[i], g.output()[i])) <= std::max(a.rate_max, a.safe_rate) * 0.1 + 1e-9);
  }
  if (in.ConsumeIntegralInRange<int>(0, 7) == 0) {  // what an operator would read; text is slow
    Reasons why;
    g.reasons(why);
  }
  if (!g.armed()) PROMISE(g.mode() != "auto" && g.mode() != "manual" && g.mode() != "policy");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const GuardConfig kConfig = config();
  FuzzedDataProvider in(data, std::min(size, kLongest));
  Guard g(kConfig);
  if (in.ConsumeBool()) fence(in, g);
  double now = 1.7e9;
  while (in.remaining_bytes() > 0) {
    now += in.ConsumeBool() ? kTick : number(in, 0.0, 0.3);
    if (!std::isfinite(now)) now = g.time();
    if (in.ConsumeIntegralInRange<int>(0, 7) == 0) arm(g, now);
    feed(in, g, now);
    tick(in, g, now);
  }
  return 0;
}
