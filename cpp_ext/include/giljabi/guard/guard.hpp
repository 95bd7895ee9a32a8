// The only writer on the wire, sans-I/O: commands, heartbeats and time in, frames out. After construction
// nothing here allocates, throws, reads a clock or touches a descriptor.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "giljabi/codecs/wire.hpp"
#include "giljabi/guard/config.hpp"
#include "giljabi/guard/fence.hpp"
#include "giljabi/guard/text.hpp"
#include "giljabi/guard/velocity_fence.hpp"

namespace giljabi::guard {

struct NamedValue {
  std::string_view name;
  double value = 0.0;
};

// One message due now; `data` stays valid until the next step.
struct Frame {
  std::size_t device = 0;
  std::size_t size = 0;
  std::array<std::uint8_t, codecs::kMaxFrameBytes> data{};
};

// Pose of base_link in map, for the fence; t is its stamp, speed along x of the body. Velocity in map axes
// and height are NaN where nobody tells them: then it moves along its nose, and bands of heights cannot be
// kept.
struct Pose {
  double t = std::numeric_limits<double>::quiet_NaN();
  double x = 0.0;
  double y = 0.0;
  double yaw = 0.0;
  double speed = 0.0;
  double z = std::numeric_limits<double>::quiet_NaN();
  double vx = std::numeric_limits<double>::quiet_NaN();
  double vy = std::numeric_limits<double>::quiet_NaN();
  double vz = std::numeric_limits<double>::quiet_NaN();
};

struct Feedback {
  double t = std::numeric_limits<double>::quiet_NaN();  // arrival
  double value = std::numeric_limits<double>::quiet_NaN();
};

class Guard {
 public:
  // A stamp may lie this far ahead: rounding of stamps, and ticks that overtake each other.
  static constexpr double kFutureTolerance = 5e-3;  // s
  static constexpr int kNobody = -1;
  static constexpr std::string_view kSupervisor = "supervisor: ";  // in front of what its heartbeat said

  explicit Guard(GuardConfig config);

  // Takes one command of a source: stamps in stack time [s], values in SI. Refused as a whole or taken as a
  // whole.
  Refusal submit(std::string_view source, double t_stamp, double now, const NamedValue* values,
                 std::size_t count) noexcept;
  // The source gives its lease back, so that the next lower source with live commands may go on.
  void release(std::string_view source, double now) noexcept;
  Refusal heartbeat(double now, double t_stamp, Level level, const Reasons& reasons) noexcept;
  Refusal pose(double now, const Pose& pose) noexcept;
  Refusal feedback(double now, std::string_view name, double value) noexcept;
  // A device that is not open forbids arming, and ends auto when it happens on the way.
  bool set_device(std::string_view device, bool open, double now, std::string_view why = {}) noexcept;

  // The vehicle stays inside each of them, outside of keep-outs; false while a source leads. Throws
  // std::invalid_argument for what is no fence. A part of configuring: it allocates.
  bool set_fences(std::vector<Fence> fences);

  // Empties `why` and arms, or fills it.
  bool arm(double now, Reasons& why) noexcept;
  void disarm(double now, std::string_view reason) noexcept;
  void stop(double now) noexcept;

  // Moves time and returns the messages that are due.
  const std::vector<Frame>& step(double now) noexcept;

  // Every message is due at the next step.
  void hurry() noexcept {
    for (Due& d : due_) {
      d.at = -kNever;
    }
  }

  const std::vector<double>& output() const noexcept { return output_; }
  const GuardConfig& config() const noexcept { return config_; }
  std::string_view mode() const noexcept;
  bool armed() const noexcept { return armed_; }
  double time() const noexcept { return t_; }
  // Why it will not arm, or why it left auto, or what is degraded.
  void reasons(Reasons& out) const noexcept;
  const EventLog& events() const noexcept { return log_; }
  std::uint64_t refused(Refusal r) const noexcept { return refused_[static_cast<std::size_t>(r)]; }
  std::uint64_t clamped() const noexcept { return clamped_; }
  std::uint64_t held_back() const noexcept { return held_back_; }  // ticks, by a fence
  const Pose& pose() const noexcept { return pose_; }
  const std::vector<Feedback>& feedback() const noexcept { return feedback_; }
  const codecs::WireEncoder& encoder(std::size_t device) const noexcept { return encoders_[device]; }

 private:
  struct Slot {  // newest command of one source
    std::vector<double> values;
    double stamp = 0.0;
    double arrival = 0.0;
    bool valid = false;
  };
  struct Due {
    std::size_t device = 0;
    std::size_t message = 0;
    double at = 0.0;
    std::uint32_t counter = 0;
  };

  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  static constexpr double kHeldBack = 0.1;  // m/s by which a command differs from what goes out
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  // Time by which things are judged: never behind the last step, also when the caller's clock is.
  double judged(double now) const noexcept { return started_ && !(now > t_) ? t_ : now; }
  double newest() const noexcept;  // time of the last tick, or of what came since
  double age(double stamp, double arrival, double t) const noexcept { return t - std::min(stamp, arrival); }
  bool fresh(double stamp, double arrival, double timeout, double t) const noexcept {
    // A slot from the future is as bad as an old one: it would never become stale.
    return age(stamp, arrival, t) <= timeout && std::max(stamp, arrival) <= t + kFutureTolerance;
  }
  bool fresh(const Slot& s, double t) const noexcept {
    return s.valid && fresh(s.stamp, s.arrival, config_.command_timeout_s, t);
  }
  Refusal judge_stamp(double now, double t_stamp, double timeout) const noexcept;
  Refusal refuse(Refusal r, double t, std::string_view who) noexcept;
  int index_of(std::string_view source) const noexcept;
  int best_source(double t) const noexcept;
  bool advance(double now, double& dt) noexcept;
  void watch() noexcept;
  void watch_guided() noexcept;
  // Why the source may not go on because of a fence; false and nothing when it may.
  bool leaves_fence(int source, double t, Reason& why) const noexcept;
  bool pose_missing(double t, Reason& why) const noexcept;
  bool sweep_leaves(double t, Reason& why) const noexcept;
  // The source of the highest authority, a person, is not bound by fences.
  bool bound(int source) const noexcept {
    return !fences_.empty() && source != static_cast<int>(config_.sources.size()) - 1;
  }
  void configure_hovering();
  std::size_t actuator(const std::string& name) const;
  Velocity velocity_out() const noexcept;
  Velocity lead_out() const noexcept;
  VelocityFence::State flight(double t) const noexcept;
  void keep_inside(const Velocity& before, double dt) noexcept;
  void keep_automatic(double room_up) noexcept;
  void tell_held(bool held) noexcept;
  void minimum_risk(double t, std::string_view cause, int guided = kNobody) noexcept;
  void take_late(const Slot& slot) noexcept;
  void end_guided(double t, std::string_view why) noexcept;
  // A source's commands go to the wire.
  bool driven() const noexcept { return (mode_ == Mode::running && !late_) || guided_ != kNobody; }
  void begin_safe_output() noexcept;
  void arming_reasons(double t, Reasons& out, std::string_view told = {}) const noexcept;
  void move_outputs(double dt) noexcept;
  double safe_output(const ActuatorConfig& a, double from, double dt) const noexcept;
  codecs::WirePhase phase() const noexcept;  // for the messages that go out only at times
  codecs::servo::Order order(const ActuatorConfig& a) const noexcept;
  void collect_frames() noexcept;

  GuardConfig config_;
  std::vector<codecs::WireEncoder> encoders_;
  double tick_ = 0.0;    // s
  double dt_max_ = 0.0;  // s; a late tick must not let an actuator jump
  std::vector<Due> due_;
  std::vector<Frame> frames_;

  std::vector<Slot> slots_;
  std::vector<double> staging_;
  std::vector<double> output_;
  std::vector<Feedback> feedback_;
  std::vector<std::uint8_t> orders_;  // codecs::servo::Order by actuator
  std::vector<char> open_;            // by device
  std::vector<Reason> gone_;          // why a device is gone, where somebody said so
  Pose pose_;
  std::vector<Fence> fences_;
  // Of a vehicle that hovers; indices of its inputs.
  bool hovers_ = false;
  std::array<std::size_t, 3> velocity_{};
  std::array<std::size_t, 3> acceleration_{kNone, kNone, kNone};
  std::size_t climb_ = kNone;
  std::size_t land_ = kNone;
  VelocityFence keeper_;
  double ground_ = kNever;  // m, lowest height that was seen
  double held_ = -kNever;   // s, when commands were held back last
  bool holding_ = false;
  std::uint64_t held_back_ = 0;  // ticks

  bool started_ = false;
  bool armed_ = false;
  double t_ = 0.0;
  Mode mode_ = Mode::standby;
  int selected_ = kNobody;
  int guided_ = kNobody;  // in minimum_risk: the source that still brings the vehicle to rest
  bool late_ = false;     // running, but the newest command is too old to be followed
  double safe_since_ = 0.0;
  Reason cause_;

  bool beat_seen_ = false;
  double beat_stamp_ = 0.0;
  double beat_arrival_ = 0.0;
  Level level_ = Level::fault;
  Reasons beat_reasons_;

  EventLog log_;
  std::array<std::uint64_t, static_cast<std::size_t>(Refusal::count)> refused_{};
  std::uint64_t clamped_ = 0;
  Refusal last_refusal_ = Refusal::none;  // the log keeps one line for a run of equal refusals
};

}  // namespace giljabi::guard

#include "giljabi/guard/guard_fence.hpp"
#include "giljabi/guard/guard_inputs.hpp"
#include "giljabi/guard/guard_step.hpp"
