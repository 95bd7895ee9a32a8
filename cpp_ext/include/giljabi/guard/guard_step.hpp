// One tick of the guard: time, watch, outputs, frames.
#pragma once

#include "giljabi/guard/guard.hpp"

namespace giljabi::guard {

inline const std::vector<Frame>& Guard::step(double now) noexcept {
  frames_.clear();
  double dt = 0.0;
  if (advance(now, dt)) {
    watch();
    move_outputs(dt);
    collect_frames();
  }
  return frames_;
}

// A clock that gives nonsense or runs back is a fault, but time must go on for the safe output: it goes on by
// ticks.
inline bool Guard::advance(double now, double& dt) noexcept {
  if (!started_) {
    if (!std::isfinite(now)) {
      ++refused_[static_cast<std::size_t>(Refusal::clock)];
      return false;
    }
    started_ = true;
    t_ = now;
    return true;
  }
  if (std::isfinite(now) && now >= t_ - tick_) {
    const double t = std::max(now, t_);
    dt = std::min(t - t_, dt_max_);
    t_ = t;
    return true;
  }
  ++refused_[static_cast<std::size_t>(Refusal::clock)];
  dt = tick_;
  t_ += tick_;
  if (mode_ == Mode::running) {
    minimum_risk(t_, std::isfinite(now) ? "the clock went back" : "the clock gives no time");
  }
  return true;
}

inline int Guard::best_source(double t) const noexcept {
  for (int i = static_cast<int>(slots_.size()) - 1; i >= 0; --i) {
    if (fresh(slots_[static_cast<std::size_t>(i)], t)) {
      return i;
    }
  }
  return kNobody;
}

// While auto: a source of higher authority takes over; a lost source, supervisor or device ends it.
inline void Guard::watch() noexcept {
  if (mode_ != Mode::running) {
    return watch_guided();
  }
  Reason cause;
  if (const int best = best_source(t_); best > selected_) {
    log_.add(t_)
        .add(config_.sources[static_cast<std::size_t>(best)])
        .add(" takes over from ")
        .add(config_.sources[static_cast<std::size_t>(selected_)]);
    selected_ = best;
  }
  const Slot& slot = slots_[static_cast<std::size_t>(selected_)];
  for (std::size_t d = 0; d < open_.size(); ++d) {
    if (open_[d] == 0) {
      cause.add("device '").add(config_.tables[d].device).add("' is gone");
      return minimum_risk(t_, cause.add(gone_[d].empty() ? "" : ": ").add(gone_[d].view()).view());
    }
  }
  const bool follow = fresh(slot, t_);
  if (!follow && !(slot.valid && fresh(slot.stamp, slot.arrival, config_.command_lost_s, t_))) {
    cause.add("no command from '").add(config_.sources[static_cast<std::size_t>(selected_)]).add("' for ");
    return minimum_risk(t_, cause.add(age(slot.stamp, slot.arrival, t_)).add(" s").view());
  }
  if (!fresh(beat_stamp_, beat_arrival_, config_.heartbeat_timeout_s, t_)) {
    cause.add("no heartbeat of the supervisor for ").add(age(beat_stamp_, beat_arrival_, t_)).add(" s");
    return minimum_risk(t_, cause.view());
  }
  if (level_ == Level::fault || level_ == Level::guided) {
    const int source = level_ == Level::guided && follow ? selected_ : kNobody;
    cause.add(kSupervisor).add(beat_reasons_.empty() ? "not ok" : beat_reasons_[0].view());
    return minimum_risk(t_, cause.view(), source);
  }
  if (leaves_fence(selected_, t_, cause)) {
    return minimum_risk(t_, cause.view());
  }
  if (follow == late_) {
    take_late(slot);
  }
}

// A late command is a breath held, not a fault: the safe output goes out until the next one.
inline void Guard::take_late(const Slot& slot) noexcept {
  const std::string& source = config_.sources[static_cast<std::size_t>(selected_)];
  if (late_) {
    log_.add(t_).add(source).add(" commands again");
  } else {
    begin_safe_output();
    log_.add(t_)
        .add("no command from '")
        .add(source)
        .add("' for ")
        .add(age(slot.stamp, slot.arrival, t_))
        .add(" s: safe output until the next");
  }
  late_ = !late_;
}

// In minimum risk a sound source may bring the vehicle to rest while the supervisor says so; once that ends,
// it has ended for good.
inline void Guard::watch_guided() noexcept {
  if (guided_ == kNobody) {
    return;
  }
  const Slot& slot = slots_[static_cast<std::size_t>(guided_)];
  Reason why;
  if (level_ != Level::guided) {
    end_guided(t_, level_ == Level::fault ? "the supervisor says so" : "its cause is gone");
  } else if (!fresh(slot, t_)) {
    end_guided(t_, "its commands stopped");
  } else if (!fresh(beat_stamp_, beat_arrival_, config_.heartbeat_timeout_s, t_)) {
    end_guided(t_, "the supervisor's heartbeat stopped");
  } else if (std::find(open_.begin(), open_.end(), 0) != open_.end()) {
    end_guided(t_, "a device is gone");
  } else if (leaves_fence(guided_, t_, why)) {
    end_guided(t_, why.view());
  }
}

inline void Guard::end_guided(double t, std::string_view why) noexcept {
  log_.add(t)
      .add(config_.sources[static_cast<std::size_t>(guided_)])
      .add(" no longer stops the vehicle, the safe output does: ")
      .add(why);
  begin_safe_output();
  guided_ = kNobody;
}

inline void Guard::begin_safe_output() noexcept {
  safe_since_ = t_;  // not a caller's time: a wrong one would prolong the hold
  for (std::size_t i = 0; i < output_.size(); ++i) {
    const ActuatorConfig& a = config_.actuators[i];
    if (a.safe_from_feedback && t_ - feedback_[i].t <= config_.command_timeout_s) {
      output_[i] = a.limited(feedback_[i].value);
    }
  }
}

inline void Guard::minimum_risk(double t, std::string_view cause, int guided) noexcept {
  if (driven() && guided == kNobody) {
    begin_safe_output();
  }
  mode_ = Mode::minimum_risk;
  selected_ = kNobody;
  guided_ = guided;
  late_ = false;
  cause_.clear();
  cause_.add(cause);
  log_.add(t).add("minimum risk: ").add(cause);
}

inline double Guard::safe_output(const ActuatorConfig& a, double from, double dt) const noexcept {
  const bool holding = mode_ != Mode::standby && t_ - safe_since_ < a.hold_s;
  if (holding || a.wraps) {
    return from;
  }
  const double most = a.safe_rate * dt;
  return from + std::clamp(a.safe_value - from, -most, most);
}

// Torque only while armed.
inline codecs::servo::Order Guard::order(const ActuatorConfig& a) const noexcept {
  if (!armed_ || (!driven() && a.safe_release && t_ - safe_since_ >= a.hold_s)) {
    return codecs::servo::kReleased;
  }
  return driven() ? codecs::servo::kDriven : codecs::servo::kSafe;
}

inline void Guard::move_outputs(double dt) noexcept {
  const Velocity before = velocity_out();
  for (std::size_t i = 0; i < output_.size(); ++i) {
    const ActuatorConfig& a = config_.actuators[i];
    double next = output_[i];
    orders_[i] = order(a);
    if (a.follow && orders_[i] == codecs::servo::kReleased) {
      const bool told = t_ - feedback_[i].t <= config_.command_timeout_s;
      const double there = a.wraps ? a.turned(feedback_[i].value) : feedback_[i].value;
      output_[i] = told ? there : output_[i];
      continue;
    }
    if (driven()) {
      const double most = a.rate_max * dt;
      const int source = mode_ == Mode::running ? selected_ : guided_;
      const double wanted = slots_[static_cast<std::size_t>(source)].values[i];
      next += std::clamp(a.way(output_[i], wanted), -most, most);
    } else {
      next = safe_output(a, output_[i], dt);
    }
    if (a.wraps) {
      output_[i] = a.turned(next);
      continue;
    }
    // A joint that begins outside of its limits is led back at its rate.
    const double low = a.follow ? std::min(a.min, output_[i]) : a.min;
    const double high = a.follow ? std::max(a.max, output_[i]) : a.max;
    output_[i] = std::clamp(next, low, high);
  }
  if (hovers_) {
    keep_inside(before, dt);
  }
}

inline codecs::WirePhase Guard::phase() const noexcept {
  const bool speaks = beat_seen_ && fresh(beat_stamp_, beat_arrival_, config_.heartbeat_timeout_s, t_);
  return {armed_, driven(), speaks && level_ != Level::fault, driven() ? 0.0 : t_ - safe_since_};
}

// Messages keep their phase over small jitter; after a long gap they start a new phase instead of a burst.
inline void Guard::collect_frames() noexcept {
  const codecs::WirePhase now = phase();
  for (Due& due : due_) {
    if (t_ < due.at - 0.5 * tick_) {
      continue;
    }
    const codecs::WireEncoder& encoder = encoders_[due.device];
    if (!encoder.open(due.message, now, output_.data())) {
      due.at = t_;  // due as soon as it may
      continue;
    }
    const double period = encoder.period_s(due.message);
    due.at = t_ - due.at > period ? t_ + period : due.at + period;
    frames_.emplace_back();  // within the capacity reserved at construction
    Frame& frame = frames_.back();
    frame.device = due.device;
    frame.size = encoder.chain() ? encoder.encode_chain(t_, output_.data(), orders_.data(), frame.data.data())
                                 : encoder.encode(due.message, output_.data(), armed_, due.counter,
                                                  frame.data.data(), t_);
    if (frame.size == 0) {
      frames_.pop_back();
      continue;
    }
    ++due.counter;
  }
}

inline void Guard::arming_reasons(double t, Reasons& out, std::string_view told) const noexcept {
  for (std::size_t d = 0; d < open_.size(); ++d) {
    if (open_[d] == 0) {
      out.add()
          .add("device '")
          .add(config_.tables[d].device)
          .add("' is not open")
          .add(gone_[d].empty() ? "; check its cable and address" : ": ")
          .add(gone_[d].view());
    }
  }
  for (std::size_t i = 0; i < feedback_.size(); ++i) {
    if (config_.actuators[i].follow && !(t - feedback_[i].t <= config_.command_timeout_s)) {
      const ActuatorConfig& a = config_.actuators[i];
      out.add()
          .add(a.wraps ? "nobody says where '" : "joint '")
          .add(a.name)
          .add(a.wraps ? "' is; is its compass heard, twice in command_timeout_s?"
                       : "' does not say where it is; is its servo there?");
    }
  }
  if (best_source(t) == kNobody) {
    out.add()
        .add("no source sends commands younger than ")
        .add(config_.command_timeout_s)
        .add(" s; is the controller running?");
  } else if (Reason why; leaves_fence(best_source(t), t, why)) {
    out.add().add(why.view());
  }
  if (!beat_seen_ || !fresh(beat_stamp_, beat_arrival_, config_.heartbeat_timeout_s, t)) {
    out.add()
        .add("no heartbeat of the supervisor within ")
        .add(config_.heartbeat_timeout_s)
        .add(" s; is the supervisor running?");
    return;
  }
  if (level_ == Level::ok) {
    return;
  }
  out.add_all(beat_reasons_, told);
  if (beat_reasons_.empty()) {
    out.add().add(level_ == Level::degraded ? "the supervisor says degraded" : "the supervisor says not ok");
  }
}

inline std::string_view Guard::mode() const noexcept {
  switch (mode_) {
    case Mode::standby:
      return "standby";
    case Mode::running:
      return config_.sources[static_cast<std::size_t>(selected_)];
    case Mode::minimum_risk:
      return "minimum_risk";
    case Mode::stopped:
      return "stopped";
  }
  return "";
}

// What came after the last tick lies in that tick's future, but was judged when it arrived.
inline double Guard::newest() const noexcept {
  double t = beat_seen_ ? std::max(t_, beat_arrival_) : t_;
  for (const Slot& s : slots_) {
    t = s.valid ? std::max(t, s.arrival) : t;
  }
  return t;
}

inline void Guard::reasons(Reasons& out) const noexcept {
  out.clear();
  if (!cause_.empty()) {
    out.add().add(cause_.view());
  }
  if (mode_ != Mode::running) {
    const std::string_view cause = cause_.view();
    const bool reported = cause.substr(0, kSupervisor.size()) == kSupervisor;
    arming_reasons(newest(), out, reported ? cause.substr(kSupervisor.size()) : std::string_view());
    return;
  }
  if (late_) {
    const Slot& slot = slots_[static_cast<std::size_t>(selected_)];
    out.add()
        .add("no command from '")
        .add(config_.sources[static_cast<std::size_t>(selected_)])
        .add("' for ")
        .add(age(slot.stamp, slot.arrival, t_))
        .add(" s: safe output until the next");
  }
  if (holding_) {
    out.add().add("fence: commands are held back");
  }
  if (level_ == Level::degraded) {
    out.add_all(beat_reasons_);
  }
}

}  // namespace giljabi::guard
