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
    return;
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
      return minimum_risk(t_, cause.add("device '").add(config_.tables[d].device).add("' is gone").view());
    }
  }
  if (!fresh(slot, t_)) {
    cause.add("no command from '").add(config_.sources[static_cast<std::size_t>(selected_)]).add("' for ");
    return minimum_risk(t_, cause.add(age(slot.stamp, slot.arrival, t_)).add(" s").view());
  }
  if (!fresh(beat_stamp_, beat_arrival_, config_.heartbeat_timeout_s, t_)) {
    cause.add("no heartbeat of the supervisor for ").add(age(beat_stamp_, beat_arrival_, t_)).add(" s");
    return minimum_risk(t_, cause.view());
  }
  if (level_ == Level::fault) {
    cause.add("supervisor: ").add(beat_reasons_.empty() ? "not ok" : beat_reasons_[0].view());
    return minimum_risk(t_, cause.view());
  }
}

inline void Guard::minimum_risk(double t, std::string_view cause) noexcept {
  mode_ = Mode::minimum_risk;
  selected_ = kNobody;
  safe_since_ = t_;
  cause_.clear();
  cause_.add(cause);
  log_.add(t).add("minimum risk: ").add(cause);
}

inline double Guard::safe_output(const ActuatorConfig& a, double from, double dt) const noexcept {
  const bool holding = mode_ != Mode::standby && t_ - safe_since_ < a.hold_s;
  if (holding) {
    return from;
  }
  const double most = a.safe_rate * dt;
  return from + std::clamp(a.safe_value - from, -most, most);
}

inline void Guard::move_outputs(double dt) noexcept {
  for (std::size_t i = 0; i < output_.size(); ++i) {
    const ActuatorConfig& a = config_.actuators[i];
    double next = output_[i];
    if (mode_ == Mode::running) {
      const double most = a.rate_max * dt;
      const double wanted = slots_[static_cast<std::size_t>(selected_)].values[i];
      next += std::clamp(wanted - output_[i], -most, most);
    } else {
      next = safe_output(a, output_[i], dt);
    }
    output_[i] = std::clamp(next, a.min, a.max);
  }
}

// Messages keep their phase over small jitter; after a long gap they start a new phase instead of a burst.
inline void Guard::collect_frames() noexcept {
  for (Due& due : due_) {
    if (t_ < due.at - 0.5 * tick_) {
      continue;
    }
    const codecs::WireEncoder& encoder = encoders_[due.device];
    const double period = encoder.period_s(due.message);
    due.at = t_ - due.at > period ? t_ + period : due.at + period;
    frames_.emplace_back();  // within the capacity reserved at construction
    Frame& frame = frames_.back();
    frame.device = due.device;
    frame.size = encoder.encode(due.message, output_.data(), armed_, due.counter, frame.data.data());
    if (frame.size == 0) {
      frames_.pop_back();
      continue;
    }
    ++due.counter;
  }
}

inline void Guard::arming_reasons(double t, Reasons& out) const noexcept {
  for (std::size_t d = 0; d < open_.size(); ++d) {
    if (open_[d] == 0) {
      out.add()
          .add("device '")
          .add(config_.tables[d].device)
          .add("' is not open; check its cable and address");
    }
  }
  if (best_source(t) == kNobody) {
    out.add()
        .add("no source sends commands younger than ")
        .add(config_.command_timeout_s)
        .add(" s; is the controller running?");
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
  out.add_all(beat_reasons_);
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

inline void Guard::reasons(Reasons& out) const noexcept {
  out.clear();
  if (!cause_.empty()) {
    out.add().add(cause_.view());
  }
  if (mode_ != Mode::running) {
    arming_reasons(t_, out);
  } else if (level_ == Level::degraded) {
    out.add_all(beat_reasons_);
  }
}

}  // namespace giljabi::guard
