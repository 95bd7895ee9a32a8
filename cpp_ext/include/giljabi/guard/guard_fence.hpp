// How the guard keeps fences: what sweeps straight on to rest ends `auto` before it would leave one; what
// takes velocities is held back and goes on.
#pragma once

#include "giljabi/guard/guard.hpp"

namespace giljabi::guard {

inline std::size_t Guard::actuator(const std::string& name) const {
  for (std::size_t i = 0; i < config_.actuators.size(); ++i) {
    if (config_.actuators[i].name == name) {
      return i;
    }
  }
  throw std::invalid_argument("fence: '" + name + "' is no actuator");
}

inline void Guard::configure_hovering() {
  const FenceConfig& f = config_.fence;
  hovers_ = !f.velocity.empty() && config_.stop_deceleration > 0.0;
  if (!hovers_) {
    return;
  }
  std::array<double, 3> slowest{};  // of its rates, m/s^2
  for (std::size_t i = 0; i < 3; ++i) {
    velocity_[i] = actuator(f.velocity[i]);
    const ActuatorConfig& a = config_.actuators[velocity_[i]];
    require(a.min <= 0.0 && a.max >= 0.0, a.name + ": a velocity input that can be 0 is expected");
    slowest[i] = std::min(a.rate_max, a.safe_rate);
    acceleration_[i] = f.acceleration.empty() ? kNone : actuator(f.acceleration[i]);
  }
  climb_ = f.climb.empty() ? kNone : actuator(f.climb);
  land_ = f.land.empty() ? kNone : actuator(f.land);
  // A command falls at its own rate, and the vehicle after it.
  const auto brake = [](double a, double rate) { return 1.0 / (1.0 / a + 1.0 / rate); };
  const double up = f.vertical_deceleration > 0.0 ? f.vertical_deceleration : config_.stop_deceleration;
  VelocityFence::Bounds b;
  b.late = f.delay_s + tick_;
  b.brake = brake(config_.stop_deceleration, std::min(slowest[0], slowest[1]));
  b.vertical_brake = brake(up, slowest[2]);
  b.drift = f.drift;
  b.error = f.position_error;
  b.body = std::hypot(std::max(config_.front, config_.rear), config_.half_width);
  b.memory = static_cast<std::size_t>(std::ceil(b.late * config_.rate_hz)) + 1;
  keeper_.configure(b);
}

// A fence cannot be kept without a fresh pose, or heights without a height.
inline bool Guard::pose_missing(double t, Reason& why) const noexcept {
  const double old = t - pose_.t;
  if (!(old <= config_.pose_timeout_s && old >= -kFutureTolerance)) {  // not a number before the first
    why.add("fence: no pose");
    if (std::isfinite(old)) {
      why.add(" for ").add(old).add(" s");
    }
    return true;
  }
  if (hovers_ && std::isnan(pose_.z + pose_.vx + pose_.vy + pose_.vz)) {
    why.add("fence: the pose has no height or no velocity");
    return true;
  }
  if (std::isnan(pose_.z) &&
      std::any_of(fences_.begin(), fences_.end(), [](const Fence& f) { return f.banded(); })) {
    why.add("fence: the pose has no height");
    return true;
  }
  return false;
}

// Whether the source may not go on, or begin, because of a fence.
inline bool Guard::leaves_fence(int source, double t, Reason& why) const noexcept {
  if (!bound(source)) {
    return false;
  }
  if (pose_missing(t, why)) {
    return true;
  }
  if (!hovers_) {
    return sweep_leaves(t, why);
  }
  const bool flying = mode_ == Mode::running || guided_ != kNobody;
  if (keeper_.broken(flight(t), !flying)) {
    why.add(flying ? "fence: it has been left" : "fence: it is outside or too near to one");
    return true;
  }
  return false;
}

// The straight way that the body sweeps until the safe output has brought it to rest.
inline bool Guard::sweep_leaves(double t, Reason& why) const noexcept {
  const FenceConfig& f = config_.fence;
  const Point nose{std::cos(pose_.yaw), std::sin(pose_.yaw)};
  const bool told = std::isfinite(pose_.vx) && std::isfinite(pose_.vy);
  const Point velocity = told ? Point{pose_.vx, pose_.vy} : pose_.speed * nose;
  const double late = std::max(t - pose_.t, 0.0) + tick_ + f.delay_s;
  const double speed = size(velocity);
  const double rest = speed * late + speed * speed / (2.0 * config_.stop_deceleration);
  const double moved = f.position_error + f.drift * (late + speed / config_.stop_deceleration);
  const Point base{pose_.x, pose_.y};
  const Sweep sweep(base - config_.rear * nose, base + config_.front * nose,
                    speed > 0.0 ? (rest / speed) * velocity : Point{});
  const double sink = std::isfinite(pose_.vz) ? pose_.vz : 0.0;
  const double brake = f.vertical_deceleration > 0.0 ? f.vertical_deceleration : config_.stop_deceleration;
  const double rise = sink * late + sink * std::abs(sink) / (2.0 * brake);
  const double z = std::isfinite(pose_.z) ? pose_.z : 0.0;  // then no fence has a band
  const Span span{z + std::min(rise, 0.0) - f.position_error, z + std::max(rise, 0.0) + f.position_error};
  for (const Fence& fence : fences_) {
    if (!clear(fence, sweep, config_.half_width + moved, span)) {
      why.add("fence: it would be left within the ").add(rest).add(" m to rest");
      return true;
    }
  }
  return false;
}

inline Velocity Guard::velocity_out() const noexcept {
  return hovers_ ? Velocity{{output_[velocity_[0]], output_[velocity_[1]]}, output_[velocity_[2]]}
                 : Velocity{};
}

// What the accelerations that go out add to a velocity before a later command takes effect.
inline Velocity Guard::lead_out() const noexcept {
  if (acceleration_[0] == kNone) {
    return {};
  }
  const double t = keeper_.late();
  return {{t * output_[acceleration_[0]], t * output_[acceleration_[1]]}, t * output_[acceleration_[2]]};
}

inline VelocityFence::State Guard::flight(double t) const noexcept {
  return {{pose_.x, pose_.y}, pose_.z, {{pose_.vx, pose_.vy}, pose_.vz}, t - pose_.t};
}

// After limits and rates: what is left of the command goes out, no faster than its rates.
inline void Guard::keep_inside(const Velocity& before, double dt) noexcept {
  if (std::isfinite(pose_.z)) {
    ground_ = std::min(ground_, pose_.z);
  }
  bool held = false;
  const int source = mode_ == Mode::running ? selected_ : guided_;
  Reason why;
  if (driven() && bound(source) && !pose_missing(t_, why)) {
    const Velocity wanted = velocity_out();
    const VelocityFence::State s = flight(t_);
    Velocity lead = lead_out();
    const bool led = size(lead.level) + std::abs(lead.up) > 0.0;
    const Velocity kept = keeper_.keep(s, wanted, lead);
    if (led && size(lead.level) + std::abs(lead.up) == 0.0) {
      for (const std::size_t i : acceleration_) {
        output_[i] = 0.0;
      }
    }
    const std::array<double, 3> to{kept.level.x, kept.level.y, kept.up};
    const std::array<double, 3> from{before.level.x, before.level.y, before.up};
    for (std::size_t i = 0; i < 3; ++i) {
      const ActuatorConfig& a = config_.actuators[velocity_[i]];
      const double most = a.rate_max * dt;
      output_[velocity_[i]] = std::clamp(from[i] + std::clamp(to[i] - from[i], -most, most), a.min, a.max);
    }
    held = size(kept.level - wanted.level) + std::abs(kept.up - wanted.up) > kHeldBack;
    keep_automatic(s.height);
  }
  tell_held(held);
  keeper_.remember(velocity_out(), lead_out());
}

// What the vehicle climbs or sinks by itself must end inside, or does not begin.
inline void Guard::keep_automatic(double height) noexcept {
  const double room = keeper_.upright_room(t_ - pose_.t);
  if (climb_ != kNone && height + std::max(output_[climb_], 0.0) > keeper_.ceiling() - room) {
    output_[climb_] = std::min(output_[climb_], 0.0);
  }
  if (land_ != kNone && keeper_.floor() > ground_) {
    output_[land_] = std::min(output_[land_], 0.0);
  }
}

inline void Guard::tell_held(bool held) noexcept {
  if (held) {
    held_ = t_;
    ++held_back_;
  }
  const bool holding = t_ - held_ < 1.0;  // one line for a command that comes and goes
  if (holding != holding_) {
    holding_ = holding;
    log_.add(t_).add(holding ? "fence: commands are held back" : "fence: commands go through again");
  }
}

}  // namespace giljabi::guard
