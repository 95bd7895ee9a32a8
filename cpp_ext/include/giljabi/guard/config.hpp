// What the guard is told at configure, and the words it answers with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "giljabi/codecs/wire.hpp"

namespace giljabi::guard {

// One actuator in SI. Safe output: ramp to safe_value at safe_rate, or first hold for hold_s; it starts at
// the last output, or at the measured value where safe_from_feedback is set and there is a fresh one.
struct ActuatorConfig {
  std::string name;
  double min = 0.0;
  double max = 0.0;
  double rate_max = 0.0;  // per second
  double safe_value = 0.0;
  double safe_rate = 0.0;  // per second
  double hold_s = 0.0;
  bool safe_from_feedback = false;
  bool safe_release = false;  // after hold_s the safe output is no torque
  // A joint: while it has no torque the output is where it is, so that it begins there.
  bool follow = false;
  // An angle, min and max a turn apart: it goes the short way, and its safe output is where it is.
  bool wraps = false;

  // The same angle in [min, max].
  double turned(double angle) const noexcept {
    return std::clamp(std::remainder(angle - 0.5 * (min + max), max - min) + 0.5 * (min + max), min, max);
  }
  double limited(double value) const noexcept { return wraps ? turned(value) : std::clamp(value, min, max); }
  double way(double from, double to) const noexcept {
    return wraps ? std::remainder(to - from, max - min) : to - from;
  }
};

// What the vehicle needs to keep a fence, beside stop_deceleration and its body.
struct FenceConfig {
  double delay_s = 0.0;         // from what a pose tells to what a command does, beyond the age of its stamp
  double drift = 0.0;           // m/s that wind and gusts move it while it holds a velocity or comes to rest
  double position_error = 0.0;  // m, of the pose
  double vertical_deceleration = 0.0;  // m/s^2; 0: as stop_deceleration
  // Of a vehicle that hovers: its inputs of velocity along map's axes (three names or none), of a height that
  // it climbs to by itself [m above itself], and of landing straight below (1); empty where there is none.
  std::vector<std::string> velocity;
  std::vector<std::string> acceleration;  // beside them, or none
  std::string climb;
  std::string land;
};

inline constexpr double kTurn = 6.283185307179586476925;  // rad

struct GuardConfig {
  std::vector<ActuatorConfig> actuators;
  std::vector<codecs::EncodeTable> tables;
  std::vector<std::string> sources;  // ascending authority
  double rate_hz = 0.0;
  double command_timeout_s = 0.0;
  double heartbeat_timeout_s = 0.0;
  double pose_timeout_s = 0.0;
  // Between command_timeout_s and this age of the newest command the safe output goes out, but a new command
  // ends it; beyond, only arming does. Below command_timeout_s: there is no such time.
  double command_lost_s = 0.0;
  // For fences: how the safe output brakes on average [m/s^2], and the body around base_link [m].
  double stop_deceleration = 0.0;
  double front = 0.0;
  double rear = 0.0;
  double half_width = 0.0;
  FenceConfig fence;
};

enum class Mode { standby, running, minimum_risk, stopped };

// What the supervisor says: degraded asks the planner to stop and forbids arming, but leaves the guard in
// auto. guided is a fault that leaves the source sound: it brings the vehicle to rest itself, in minimum
// risk.
enum class Level { ok, degraded, guided, fault };

enum class Refusal : std::uint8_t {
  none,
  clock,
  unknown_source,
  unknown_name,
  missing_name,
  not_finite,
  from_future,
  stale,
  out_of_order,
  count
};

inline std::string_view text_of(Refusal r) noexcept {
  switch (r) {
    case Refusal::none:
      return "";
    case Refusal::clock:
      return "time of arrival is not a number";
    case Refusal::unknown_source:
      return "unknown source";
    case Refusal::unknown_name:
      return "unknown name";
    case Refusal::missing_name:
      return "an actuator is missing";
    case Refusal::not_finite:
      return "a value is not finite";
    case Refusal::from_future:
      return "stamp lies in the future";
    case Refusal::stale:
      return "stamp is too old";
    case Refusal::out_of_order:
      return "older than the one before";
    case Refusal::count:
      break;
  }
  return "";
}

inline void require(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument(what);
  }
}

inline bool positive(double v) noexcept { return std::isfinite(v) && v > 0.0; }

// Throws std::invalid_argument naming the value that is wrong.
inline void check(const GuardConfig& c) {
  require(!c.actuators.empty(), "the guard needs at least one actuator");
  require(!c.sources.empty(), "the guard needs at least one source of commands");
  require(positive(c.rate_hz) && c.rate_hz <= 10000.0, "rate_hz must be above 0 and at most 10000");
  require(positive(c.command_timeout_s), "command_timeout_s must be above 0");
  require(positive(c.heartbeat_timeout_s), "heartbeat_timeout_s must be above 0");
  require(positive(c.pose_timeout_s), "pose_timeout_s must be above 0");
  require(std::isfinite(c.command_lost_s) && c.command_lost_s >= 0.0, "command_lost_s must not be negative");
  require(std::isfinite(c.stop_deceleration) && c.stop_deceleration >= 0.0,
          "stop_deceleration must not be negative");
  require(std::isfinite(c.front) && std::isfinite(c.rear) && std::isfinite(c.half_width),
          "front, rear and half_width must be numbers");
  for (const double v :
       {c.fence.delay_s, c.fence.drift, c.fence.position_error, c.fence.vertical_deceleration}) {
    require(std::isfinite(v) && v >= 0.0, "a value of fence is negative or no number");
  }
  require(c.fence.velocity.empty() || c.fence.velocity.size() == 3,
          "fence.velocity_inputs must be three names: x, y, z of map");
  require(c.fence.acceleration.empty() || (c.fence.acceleration.size() == 3 && c.fence.velocity.size() == 3),
          "fence.acceleration_inputs must be three names beside those of velocity_inputs");
  for (const std::string& name : {c.fence.climb, c.fence.land}) {
    require(name.empty() || !c.fence.velocity.empty(), "fence." + name + ": velocity_inputs are missing");
  }
  require(c.fence.delay_s <= 10.0, "fence.delay_s must be at most 10");
  require(c.command_timeout_s * c.rate_hz >= 1.0, "command_timeout_s is shorter than one tick of the guard");
  for (std::size_t i = 0; i < c.actuators.size(); ++i) {
    const ActuatorConfig& a = c.actuators[i];
    require(std::isfinite(a.min) && std::isfinite(a.max) && a.min < a.max,
            a.name + ": min must be below max");
    require(!a.wraps || std::abs(a.max - a.min - kTurn) < 1e-9,
            a.name + ": an angle that wraps needs min and max a turn apart");
    require(positive(a.rate_max), a.name + ": rate_max must be above 0");
    require(a.safe_value >= a.min && a.safe_value <= a.max,
            a.name + ": the safe value is outside its limits");
    require(positive(a.safe_rate), a.name + ": the safe rate must be above 0");
    require(std::isfinite(a.hold_s) && a.hold_s >= 0.0, a.name + ": hold_s must not be negative");
    for (std::size_t k = 0; k < i; ++k) {
      require(c.actuators[k].name != a.name, a.name + ": the actuator stands twice");
    }
  }
}

}  // namespace giljabi::guard
