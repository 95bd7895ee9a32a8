// Servo chain: one cycle.
#pragma once

#include "giljabi/codecs/servo_chain.hpp"

namespace giljabi::codecs::servo {

inline std::size_t Chain::cycle(double now, const double* goals, const std::uint8_t* orders,
                                std::uint8_t* out, std::size_t room) noexcept {
  if (kind_ != Kind::none && !done() && now < nominal_end_) {
    ++stats_.skipped;
    return 0;
  }
  close(now);
  Out o(out, room);
  if (goals != nullptr) {
    write_goals(o, goals, orders);
    write_torque(o, now, orders);
  }
  Kind kind = Kind::none;
  if (rider_size_ > 0) {
    for (std::size_t i = 0; i < rider_size_; ++i) {
      o.put(rider_[i]);
    }
    kind = Kind::rider;
  } else if (polling_) {
    kind =
        (stats_.cycles + 1) % static_cast<std::uint64_t>(config_.slow_every) == 0 ? Kind::slow : Kind::fast;
    make_order(now);
    write_read(o, kind == Kind::slow);
  }
  if (o.overflow()) {
    return 0;
  }
  ++stats_.cycles;
  if (!dynamixel()) {
    feetech_.sent(o.data(), o.size());
  }
  begin_wait(now, o.size(), kind);
  rider_size_ = 0;
  return o.size();
}

// Judges the cycle before: who was asked and did not answer, and whose fault
// that is.
inline void Chain::close(double) noexcept {
  if (kind_ == Kind::rider) {
    timed_out_ = !done();
  }
  if (kind_ != Kind::fast && kind_ != Kind::slow) {
    return;
  }
  std::size_t last = asked_;  // first of those behind the last one that answered
  while (last > 0 && !joints_[order_[last - 1]].answered) {
    --last;
  }
  std::size_t missing = 0;
  for (std::size_t k = 0; k < asked_; ++k) {
    Joint& j = joints_[order_[k]];
    if (j.answered) {
      continue;
    }
    ++missing;
    ++j.errors;
    ++j.missed;
    // Noise is nobody's fault. Behind a gap that lasts to the end the first one
    // is to blame, the others may have waited for it.
    if (broken_ == 0 && k <= last) {
      blame(order_[k]);
    }
  }
  stats_.complete += missing == 0 && !followed_ ? 1 : 0;
  kind_ = Kind::none;
}

inline void Chain::blame(std::size_t joint) noexcept {
  Joint& j = joints_[joint];
  j.silent = std::min(j.silent + 1, kSilent);
}

// Those that answer first, then those that lately did not, so that a gap costs
// nobody else; the silent ones in turn, now and then.
inline void Chain::make_order(double now) noexcept {
  const std::size_t n = joints_.size();
  asked_ = 0;
  std::size_t silent = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (joints_[i].silent == 0) {
      order_[asked_++] = i;
    }
    silent += joints_[i].silent >= kSilent ? 1 : 0;
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (joints_[i].silent > 0 && joints_[i].silent < kSilent) {
      order_[asked_++] = i;
    }
  }
  if (silent == n) {
    ++turn_;
    for (std::size_t i = 0; i < n; ++i) {
      order_[asked_++] = (turn_ + i) % n;
    }
  } else if (silent > 0 && now - probe_at_ >= config_.probe_period_s) {
    probe_at_ = now;
    do {
      probe_ = (probe_ + 1) % n;
    } while (joints_[probe_].silent < kSilent);
    order_[asked_++] = probe_;
  }
}

// --- writers
// ----------------------------------------------------------------------------------------------

inline void Chain::write_goals(Out& out, const double* goals, const std::uint8_t* orders) noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < joints_.size(); ++i) {
    Joint& j = joints_[i];
    const std::uint8_t order = orders != nullptr ? orders[i] : static_cast<std::uint8_t>(kDriven);
    j.refused = orders != nullptr && order != kReleased && (j.refused || (!j.touched && std::isnan(j.t)));
    if (order == kReleased || j.refused || std::isnan(j.t) || config_.joints[i].goal_size == 0) {
      continue;
    }
    std::uint8_t* p = payload_.data() + n * kStride;
    std::fill(p, p + config_.joints[i].goal_size, std::uint8_t{0});
    bool finite = true;
    for (const GoalItem& g : config_.joints[i].goals) {
      double raw = order == kSafe ? g.safe : g.driven;
      if (g.channel >= 0) {
        raw = std::clamp(goals[g.channel] * g.scale + g.offset, g.low, g.high);
        finite = finite && std::isfinite(goals[g.channel]);
      }
      store(g.field, finite ? raw : 0.0, p);
    }
    if (finite) {
      chosen_[n] = i;
      address_[n++] = config_.joints[i].goal_address;
    }
  }
  if (n > 0) {
    write_many(out, n, address_[0], config_.joints[chosen_[0]].goal_size, false);
  }
}

// Torque follows the orders, a few times after each change; off goes on being
// said, as long as this object lives.
inline void Chain::write_torque(Out& out, double now, const std::uint8_t* orders) noexcept {
  if (orders == nullptr) {
    return;
  }
  const bool again = now - off_at_ >= kOffPeriod;
  std::size_t n = 0;
  for (std::size_t i = 0; i < joints_.size(); ++i) {
    Joint& j = joints_[i];
    const bool want = orders[i] != kReleased && !j.refused;
    if (want != j.torque) {
      j.torque = want;
      j.touched = j.touched || want;
      j.repeat = kRepeats;
    }
    if (j.repeat > 0 || (again && j.touched && !want)) {
      j.repeat = j.repeat > 0 ? static_cast<std::uint8_t>(j.repeat - 1) : j.repeat;
      payload_[n * kStride] = want ? 1 : 0;
      chosen_[n] = i;
      address_[n++] = config_.joints[i].torque_address;
    }
  }
  if (again) {
    off_at_ = now;
  }
  if (n > 0) {
    write_many(out, n, address_[0], 1, true);
  }
}

// The first n of chosen_, payload_ and address_: one sync write, or one bulk
// write where addresses or sizes differ. torque: one byte each, else each
// joint's goal_size.
inline void Chain::write_many(Out& out, std::size_t n, int address, int size, bool torque) noexcept {
  const auto size_of = [&](std::size_t k) { return torque ? 1 : config_.joints[chosen_[k]].goal_size; };
  bool same = true;
  for (std::size_t k = 0; k < n; ++k) {
    same = same && address_[k] == address && size_of(k) == size;
  }
  if (!dynamixel()) {
    FeetechWriter w(out);
    w.begin(kBroadcast, kSyncWrite);
    w.put(static_cast<std::uint8_t>(address));
    w.put(static_cast<std::uint8_t>(size));
    for (std::size_t k = 0; k < n; ++k) {
      w.put(static_cast<std::uint8_t>(config_.joints[chosen_[k]].id));
      for (int b = 0; b < size; ++b) {
        w.put(payload_[k * kStride + static_cast<std::size_t>(b)]);
      }
    }
    return w.end();
  }
  DynamixelWriter w(out);
  w.begin(kBroadcast, same ? kSyncWrite : kBulkWrite);
  if (same) {
    w.put16(static_cast<unsigned>(address));
    w.put16(static_cast<unsigned>(size));
  }
  for (std::size_t k = 0; k < n; ++k) {
    w.put(static_cast<std::uint8_t>(config_.joints[chosen_[k]].id));
    if (!same) {
      w.put16(static_cast<unsigned>(address_[k]));
      w.put16(static_cast<unsigned>(size_of(k)));
    }
    for (int b = 0; b < size_of(k); ++b) {
      w.put(payload_[k * kStride + static_cast<std::size_t>(b)]);
    }
  }
  w.end();
}

inline void Chain::write_read(Out& out, bool slow) noexcept {
  const auto size_of = [&](std::size_t k) {
    const JointConfig& c = config_.joints[order_[k]];
    return slow ? c.slow_size : c.fast_size;
  };
  const JointConfig& first = config_.joints[order_[0]];
  if (!dynamixel()) {
    FeetechWriter w(out);
    w.begin(kBroadcast, kSyncRead);
    w.put(static_cast<std::uint8_t>(first.read_address));
    w.put(static_cast<std::uint8_t>(size_of(0)));
    for (std::size_t k = 0; k < asked_; ++k) {
      w.put(static_cast<std::uint8_t>(config_.joints[order_[k]].id));
    }
    return w.end();
  }
  bool same = true;
  for (std::size_t k = 0; k < asked_; ++k) {
    const JointConfig& c = config_.joints[order_[k]];
    same = same && c.read_address == first.read_address && size_of(k) == size_of(0);
    parts_[k] = {static_cast<std::uint8_t>(c.id), static_cast<std::uint16_t>(size_of(k))};
  }
  DynamixelWriter w(out);
  if (config_.fast) {
    dynamixel_.expect_fast(parts_.data(), asked_);
    w.begin(kBroadcast, same ? kFastSyncRead : kFastBulkRead);
  } else {
    w.begin(kBroadcast, same ? kSyncRead : kBulkRead);
  }
  if (same) {
    w.put16(static_cast<unsigned>(first.read_address));
    w.put16(static_cast<unsigned>(size_of(0)));
  }
  for (std::size_t k = 0; k < asked_; ++k) {
    const JointConfig& c = config_.joints[order_[k]];
    w.put(static_cast<std::uint8_t>(c.id));
    if (!same) {
      w.put16(static_cast<unsigned>(c.read_address));
      w.put16(static_cast<unsigned>(size_of(k)));
    }
  }
  w.end();
}

// --- replies
// ----------------------------------------------------------------------------------------------

inline void Chain::begin_wait(double now, std::size_t sent, Kind kind) noexcept {
  kind_ = kind;
  got_ = broken_ = 0;
  followed_ = timed_out_ = false;
  healthy_left_ = 0;
  double t = now + static_cast<double>(sent) * byte_s_;
  double longest = 0.0;
  expected_ = 0;
  if (kind == Kind::rider) {
    expected_ = static_cast<std::size_t>(rider_replies_);
    rider_open_ = rider_replies_;
    const double overhead = dynamixel() ? 11.0 : 6.0;
    longest = config_.return_delay_s + (overhead + static_cast<double>(rider_reply_size_)) * byte_s_;
    t += rider_replies_ * longest;
  } else if (kind != Kind::none) {
    expected_ = asked_;
    t += dynamixel() && config_.fast ? config_.return_delay_s + 8.0 * byte_s_ : 0.0;
    for (std::size_t k = 0; k < asked_; ++k) {
      joints_[order_[k]].answered = false;
      healthy_left_ += joints_[order_[k]].silent == 0 ? 1 : 0;
      const double s = slot(order_[k], kind == Kind::slow);
      longest = std::max(longest, s);
      t += s;
    }
  }
  healthy_ = healthy_left_ > 0;
  longest_ = longest;
  now_ = now;
  nominal_end_ = t;
  // What adapter and system add is learned from cycles that were complete.
  const double spare = kind == Kind::rider || !learned_ ? config_.latency_s
                                                        : std::min(config_.latency_s, 1.5 * lateness_ + 3e-4);
  deadline_ = t + longest + spare;
}

inline void Chain::feed(double now, const std::uint8_t* data, std::size_t size) noexcept {
  const bool waited = !done();
  const auto sink = [&](const Status& s) { take(now, s); };
  const auto wrong = [&] { ++broken_; };
  if (dynamixel()) {
    dynamixel_.feed(data, size, sink, wrong);
  } else {
    feetech_.feed(data, size, sink, wrong);
  }
  if (waited && !done() && healthy_ && healthy_left_ == 0) {
    // Only such as lately did not answer are missing, and their turn comes
    // last: one reply's time is enough.
    deadline_ = std::min(deadline_, std::max(now, nominal_end_) + longest_);
  }
  if (waited && done() && broken_ == 0 && (kind_ == Kind::fast || kind_ == Kind::slow)) {
    lateness_ = std::max(std::max(now - nominal_end_, 0.0), 0.99 * lateness_);
    learned_ = true;
  }
}

inline void Chain::take(double now, const Status& s) noexcept {
  const int place = by_id_[s.id];
  // The answer to a request may come when the next cycle has begun.
  const bool block =
      place >= 0 && kind_ != Kind::rider &&
      (s.size == static_cast<std::size_t>(config_.joints[static_cast<std::size_t>(place)].fast_size) ||
       s.size == static_cast<std::size_t>(config_.joints[static_cast<std::size_t>(place)].slow_size));
  if (rider_open_ > 0 && !block && (rider_id_ == s.id || rider_id_ == kBroadcast)) {
    --rider_open_;
    got_ += kind_ == Kind::rider ? 1 : 0;
    if (reply_count_ < replies_.size() && s.size <= Reply{}.data.size()) {
      Reply& r = replies_[(reply_first_ + reply_count_++) % replies_.size()];
      r.id = s.id;
      r.error = s.error;
      r.size = static_cast<std::uint8_t>(s.size);
      std::copy(s.data, s.data + s.size, r.data.begin());
    }
    return;
  }
  if (s.size == 0 && s.id == rider_id_) {
    return;  // a write that is acknowledged although nobody asked for it
  }
  if (place < 0 || !decode(now, static_cast<std::size_t>(place), s)) {
    (dynamixel() ? dynamixel_.counts : feetech_.counts).drop(Drop::unexpected);
  }
}

// A block of another size than any that is read is somebody else's answer.
inline bool Chain::decode(double now, std::size_t joint, const Status& s) noexcept {
  const JointConfig& c = config_.joints[joint];
  Joint& j = joints_[joint];
  const bool slow = s.size == static_cast<std::size_t>(c.slow_size);
  if (!slow && s.size != static_cast<std::size_t>(c.fast_size)) {
    return false;
  }
  for (const ReadItem& r : c.reads) {
    if (r.field.at + r.field.size <= static_cast<int>(s.size)) {
      j.value[r.what] = static_cast<double>(load(r.field, s.data)) * r.scale + r.offset;
    }
  }
  j.t = now;
  j.status = s.error;
  j.fresh = true;
  j.missed = 0;
  if (j.silent >= kSilent) {
    probe_at_ = -1e9;  // where one comes back others may: ask the next at once
  }
  if (!j.answered) {
    healthy_left_ -= j.silent == 0 && healthy_left_ > 0 ? 1 : 0;
    j.answered = true;
    ++got_;
  }
  j.silent = 0;
  return true;
}

inline std::size_t Chain::follow_up(double now, std::uint8_t* out, std::size_t room) noexcept {
  const bool block = kind_ == Kind::fast || kind_ == Kind::slow;
  if (!block || followed_ || broken_ > 0 || !dynamixel() || !config_.fast || done() || now < deadline_) {
    return 0;
  }
  std::size_t gap = 0;
  while (gap < asked_ && joints_[order_[gap]].answered) {
    ++gap;
  }
  if (gap + 1 >= asked_) {
    return 0;
  }
  Joint& j = joints_[order_[gap]];
  ++j.errors;
  ++j.missed;
  blame(order_[gap]);
  std::copy(order_.begin() + static_cast<std::ptrdiff_t>(gap) + 1,
            order_.begin() + static_cast<std::ptrdiff_t>(asked_), order_.begin());
  asked_ -= gap + 1;
  Out o(out, room);
  const Kind kind = kind_;
  write_read(o, kind == Kind::slow);
  begin_wait(now, o.size(), kind);
  followed_ = true;
  ++stats_.followed;
  return o.overflow() ? 0 : o.size();
}

}  // namespace giljabi::codecs::servo
