// What enters the guard: commands, heartbeats, pose, feedback, and the people's arm, disarm and stop.
#pragma once

#include "giljabi/guard/guard.hpp"

namespace giljabi::guard {

inline Guard::Guard(GuardConfig config) : config_(std::move(config)) {
  check(config_);
  tick_ = 1.0 / config_.rate_hz;
  dt_max_ = std::max(0.1, 2.0 * tick_);
  std::vector<codecs::WireChannel> channels;
  for (const ActuatorConfig& a : config_.actuators) {
    channels.push_back({a.name, a.min, a.max});
    output_.push_back(a.safe_value);
  }
  for (std::size_t d = 0; d < config_.tables.size(); ++d) {
    const codecs::EncodeTable& table = config_.tables[d];
    for (std::size_t k = 0; k < d; ++k) {
      require(config_.tables[k].device != table.device, table.device + ": the device has two encode tables");
    }
    encoders_.emplace_back(table, channels);
    for (std::size_t m = 0; m < encoders_[d].size(); ++m) {
      require(encoders_[d].period_s(m) >= 0.999 * tick_,
              table.device + "." + encoders_[d].name(m) + ": period_s is shorter than one tick of the guard");
      due_.push_back({d, m, -kNever, 0});
    }
  }
  for (std::size_t i = 0; i < channels.size(); ++i) {
    require(std::any_of(encoders_.begin(), encoders_.end(), [i](const auto& e) { return e.carries(i); }),
            channels[i].name + ": no encode table carries this actuator");
  }
  frames_.reserve(due_.size());
  slots_.resize(config_.sources.size());
  for (Slot& s : slots_) {
    s.values = output_;
  }
  staging_ = output_;
  feedback_.resize(channels.size());
  orders_.assign(channels.size(), codecs::servo::kReleased);
  open_.assign(config_.tables.size(), 1);
  gone_.resize(config_.tables.size());
  configure_hovering();
}

inline int Guard::index_of(std::string_view source) const noexcept {
  for (std::size_t i = 0; i < config_.sources.size(); ++i) {
    if (config_.sources[i] == source) {
      return static_cast<int>(i);
    }
  }
  return kNobody;
}

inline Refusal Guard::judge_stamp(double now, double t_stamp, double timeout) const noexcept {
  if (!std::isfinite(now)) {
    return Refusal::clock;
  }
  if (!std::isfinite(t_stamp)) {
    return Refusal::not_finite;
  }
  const double t = judged(now);
  if (t_stamp > t + kFutureTolerance) {
    return Refusal::from_future;
  }
  return t - t_stamp > timeout ? Refusal::stale : Refusal::none;
}

inline Refusal Guard::refuse(Refusal r, double t, std::string_view who) noexcept {
  ++refused_[static_cast<std::size_t>(r)];
  if (r != last_refusal_) {
    log_.add(std::isfinite(t) ? t : t_).add("refused ").add(who).add(": ").add(text_of(r));
    last_refusal_ = r;
  }
  return r;
}

inline Refusal Guard::submit(std::string_view source, double t_stamp, double now, const NamedValue* values,
                             std::size_t count) noexcept {
  const int who = index_of(source);
  if (who == kNobody) {
    return refuse(Refusal::unknown_source, now, "a command");
  }
  if (const Refusal r = judge_stamp(now, t_stamp, config_.command_timeout_s); r != Refusal::none) {
    return refuse(r, now, source);
  }
  const double t = judged(now);
  Slot& slot = slots_[static_cast<std::size_t>(who)];
  if (fresh(slot, t) && t_stamp < slot.stamp) {
    return refuse(Refusal::out_of_order, t, source);
  }
  std::fill(staging_.begin(), staging_.end(), kNever);  // kNever marks a name that did not come
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t k = 0;
    while (k < config_.actuators.size() && config_.actuators[k].name != values[i].name) {
      ++k;
    }
    if (k == config_.actuators.size()) {
      return refuse(Refusal::unknown_name, t, source);
    }
    if (!std::isfinite(values[i].value)) {
      return refuse(Refusal::not_finite, t, source);
    }
    staging_[k] = values[i].value;
  }
  if (std::any_of(staging_.begin(), staging_.end(), [](double v) { return v == kNever; })) {
    return refuse(Refusal::missing_name, t, source);
  }
  for (std::size_t k = 0; k < staging_.size(); ++k) {
    const ActuatorConfig& a = config_.actuators[k];
    slot.values[k] = a.limited(staging_[k]);
    clamped_ += !a.wraps && slot.values[k] != staging_[k] ? 1U : 0U;
  }
  slot.stamp = t_stamp;
  slot.arrival = t;
  slot.valid = true;
  last_refusal_ = Refusal::none;
  return Refusal::none;
}

inline void Guard::release(std::string_view source, double now) noexcept {
  const int who = index_of(source);
  if (who == kNobody || !std::isfinite(now)) {
    return;
  }
  const double t = judged(now);
  slots_[static_cast<std::size_t>(who)].valid = false;
  if (mode_ != Mode::running || who != selected_) {
    return;
  }
  log_.add(t).add(source).add(" gave its lease back");
  selected_ = best_source(t);
  if (selected_ == kNobody) {
    Reason cause;
    minimum_risk(t, cause.add(source).add(" gave its lease back and no other source sends commands").view());
  }
}

inline Refusal Guard::heartbeat(double now, double t_stamp, Level level, const Reasons& reasons) noexcept {
  Refusal r = judge_stamp(now, t_stamp, config_.heartbeat_timeout_s);
  if (r != Refusal::none) {
    return refuse(r, now, "heartbeat");
  }
  const double t = judged(now);
  if (beat_seen_ && fresh(beat_stamp_, beat_arrival_, config_.heartbeat_timeout_s, t) &&
      t_stamp < beat_stamp_) {
    return refuse(Refusal::out_of_order, t, "heartbeat");
  }
  beat_seen_ = true;
  beat_stamp_ = t_stamp;
  beat_arrival_ = t;
  if (level != level_) {
    log_.add(t)
        .add("supervisor: ")
        .add(level == Level::ok         ? "ok"
             : level == Level::degraded ? "degraded"
             : level == Level::guided   ? "not ok, the source may stop by itself"
                                        : "not ok")
        .add(reasons.empty() ? "" : ", ")
        .add(reasons.empty() ? "" : reasons[0].view());
  }
  level_ = level;
  beat_reasons_ = reasons;
  return Refusal::none;
}

inline Refusal Guard::pose(double now, const Pose& p) noexcept {
  if (!std::isfinite(p.x) || !std::isfinite(p.y) || !std::isfinite(p.yaw) || !std::isfinite(p.speed) ||
      std::isinf(p.z) || std::isinf(p.vx) || std::isinf(p.vy) || std::isinf(p.vz)) {
    return refuse(Refusal::not_finite, now, "pose");
  }
  if (const Refusal r = judge_stamp(now, p.t, config_.pose_timeout_s); r != Refusal::none) {
    return refuse(r, now, "pose");
  }
  pose_ = p;
  return Refusal::none;
}

inline Refusal Guard::feedback(double now, std::string_view name, double value) noexcept {
  if (!std::isfinite(now)) {
    return refuse(Refusal::clock, now, "feedback");
  }
  for (std::size_t i = 0; i < config_.actuators.size(); ++i) {
    if (config_.actuators[i].name == name) {
      if (!std::isfinite(value)) {
        return refuse(Refusal::not_finite, now, "feedback");
      }
      feedback_[i] = {judged(now), value};
      return Refusal::none;
    }
  }
  return Refusal::unknown_name;  // other joints report too; nothing to log
}

inline bool Guard::set_device(std::string_view device, bool open, double now, std::string_view why) noexcept {
  for (std::size_t d = 0; d < config_.tables.size(); ++d) {
    if (config_.tables[d].device == device) {
      if ((open_[d] != 0) != open) {
        log_.add(std::isfinite(now) ? judged(now) : t_)
            .add("device ")
            .add(device)
            .add(open ? " is open" : " is gone")
            .add(open || why.empty() ? "" : ": ")
            .add(open ? "" : why);
      }
      gone_[d].clear();
      gone_[d].add(open ? "" : why);
      open_[d] = open ? 1 : 0;
      return true;
    }
  }
  return false;
}

inline bool Guard::set_fences(std::vector<Fence> fences) {
  giljabi::guard::check(fences);
  require(fences.empty() || config_.stop_deceleration > 0.0,
          "a fence needs stop_deceleration: how the safe output brakes");
  if (mode_ == Mode::running || guided_ != kNobody) {
    return false;
  }
  keeper_.set(fences);
  fences_ = std::move(fences);
  return true;
}

inline bool Guard::arm(double now, Reasons& why) noexcept {
  why.clear();
  if (mode_ == Mode::running) {
    return true;
  }
  if (!std::isfinite(now)) {
    why.add().add("the clock gives no time");
    return false;
  }
  const double t = judged(now);
  arming_reasons(t, why);
  if (!why.empty()) {
    log_.add(t).add("arming refused: ").add(why[0].view());
    return false;
  }
  selected_ = best_source(t);
  guided_ = kNobody;
  late_ = false;
  mode_ = Mode::running;
  armed_ = true;
  cause_.clear();
  log_.add(t).add("armed, ").add(config_.sources[static_cast<std::size_t>(selected_)]).add(" commands");
  return true;
}

inline void Guard::disarm(double now, std::string_view reason) noexcept {
  const double t = std::isfinite(now) ? judged(now) : t_;
  if (armed_ || mode_ != Mode::standby) {
    log_.add(t).add("disarmed: ").add(reason.empty() ? "asked for" : reason);
  }
  if (driven()) {
    begin_safe_output();
  }
  armed_ = false;
  mode_ = Mode::standby;
  selected_ = guided_ = kNobody;
  late_ = false;
  cause_.clear();
}

inline void Guard::stop(double now) noexcept {
  const double t = std::isfinite(now) ? judged(now) : t_;
  if (mode_ == Mode::stopped) {
    return;  // a second press must not start the hold again
  }
  if (driven()) {
    begin_safe_output();
  } else if (mode_ == Mode::standby) {
    safe_since_ = t_;
  }
  mode_ = Mode::stopped;
  selected_ = guided_ = kNobody;
  late_ = false;
  cause_.clear();
  cause_.add("stop was pressed");
  log_.add(t).add("stop was pressed");
}

}  // namespace giljabi::guard
