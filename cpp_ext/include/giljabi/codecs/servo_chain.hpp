// One chain of serial servos, sans-I/O: each cycle is one write of goals and
// one read of all joints. Half-duplex: there is never a request on the wire
// while replies of the one before are due. After construction nothing allocates
// or throws.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "giljabi/codecs/servo_dynamixel.hpp"
#include "giljabi/codecs/servo_feetech.hpp"

namespace giljabi::codecs::servo {

// A number inside a block of the control table. sign: kTwos, kUnsigned, or the
// bit that holds the sign of a magnitude.
struct Field {
  static constexpr int kTwos = -1;
  static constexpr int kUnsigned = -2;
  int at = 0;
  int size = 4;
  int sign = kTwos;
};

enum Quantity : std::uint8_t {
  kPosition,
  kVelocity,
  kEffort,
  kVoltage,
  kTemperature,
  kHardware,
  kQuantities
};

// raw = value * scale + offset, kept inside [low, high]. channel -1: `driven`,
// or `safe` in safe output, as raw.
struct GoalItem {
  Field field;
  int channel = -1;
  double scale = 1.0;
  double offset = 0.0;
  double low = 0.0;
  double high = 0.0;
  double driven = 0.0;
  double safe = 0.0;
};

struct ReadItem {  // value = raw * scale + offset
  Field field;
  Quantity what = kPosition;
  double scale = 1.0;
  double offset = 0.0;
};

struct JointConfig {
  int id = 1;
  int goal_address = 0;
  int goal_size = 0;
  std::vector<GoalItem> goals;
  int read_address = 0;
  int fast_size = 0;  // read every cycle
  int slow_size = 0;  // read from the same address now and then; at least fast_size
  std::vector<ReadItem> reads;
  int torque_address = 0;
};

struct ChainConfig {
  Family family = Family::dynamixel;
  std::vector<JointConfig> joints;
  double baud = 1e6;
  double return_delay_s = 0.0;
  double latency_s = 4e-3;  // most that adapter and system add
  bool fast = true;         // Dynamixel's fast sync read
  int slow_every = 50;      // cycles
  double probe_period_s = 0.1;
};

// What the guard wants of a joint.
enum Order : std::uint8_t { kReleased = 0, kDriven = 1, kSafe = 2 };

struct Joint {
  std::array<double, kQuantities> value{};              // NaN until read
  double t = std::numeric_limits<double>::quiet_NaN();  // newest reply
  std::uint64_t errors = 0;                             // cycles without a valid reply
  std::uint32_t missed = 0;                             // of them since the newest reply
  std::uint32_t silent = 0;                             // times in a row that nobody but this servo can
                                                        // have caused the silence
  std::uint8_t status = 0;                              // error byte of the newest reply
  bool fresh = false;                                   // read since it was last taken
  bool answered = false;                                // in this cycle
  bool torque = false;                                  // wanted
  bool touched = false;                                 // torque was ever asked for
  bool refused = false;     // not driven until it is released once: it was not seen
                            // when it should begin
  std::uint8_t repeat = 0;  // torque writes still to be sent
};

struct Reply {
  std::uint8_t id = 0;
  std::uint8_t error = 0;
  std::uint8_t size = 0;
  std::array<std::uint8_t, 160> data{};
};

struct ChainStats {
  std::uint64_t cycles = 0;
  std::uint64_t complete = 0;  // every servo that was asked answered
  std::uint64_t skipped = 0;   // nothing was sent: replies were still due
  std::uint64_t followed = 0;  // second requests after a gap in a fast reply
  std::uint64_t requests = 0;
};

class Chain {
 public:
  static constexpr std::uint32_t kSilent = 3;     // blames until a servo is asked by probes only
  static constexpr std::uint8_t kRepeats = 3;     // a sync write is not acknowledged
  static constexpr double kOffPeriod = 1.0;       // s between torque-off writes to released joints
  static constexpr std::size_t kMaxBytes = 2048;  // of one cycle

  explicit Chain(ChainConfig config);

  // Bytes of one cycle: goals (by channel, SI), torque, then one read; 0 while
  // replies are due. goals nullptr: read only.
  std::size_t cycle(double now, const double* goals, const std::uint8_t* orders, std::uint8_t* out,
                    std::size_t room) noexcept;
  void feed(double now, const std::uint8_t* data, std::size_t size) noexcept;
  // After a gap in a fast reply: a request for those behind the gap; 0 when
  // there is nothing to ask.
  std::size_t follow_up(double now, std::uint8_t* out, std::size_t room) noexcept;

  bool done() const noexcept { return got_ + broken_ >= expected_; }
  double began() const noexcept { return now_; }
  double nominal_end() const noexcept { return nominal_end_; }  // s, when the last reply should be in
  double deadline() const noexcept { return deadline_; }        // s, when there is no use in waiting

  // One instruction packet that goes out instead of the next read: parameters,
  // checks. False while another one waits or when it is none that the chain
  // lets pass (goals, torque, reset and reboot are not the driver's).
  bool request(const std::uint8_t* packet, std::size_t size, int replies, std::size_t reply_size) noexcept;
  bool idle() const noexcept { return rider_size_ == 0 && !(kind_ == Kind::rider && !done() && !timed_out_); }
  // Oldest reply to requests; false when there is none.
  bool take_reply(Reply& out) noexcept;
  // Judges what is overdue; call it when nothing is sent for a while.
  void look(double now) noexcept {
    if (kind_ == Kind::rider && now > deadline_) {
      timed_out_ = true;
    }
  }
  void polling(bool on) noexcept { polling_ = on; }
  void reset() noexcept;  // the line was opened anew

  const ChainConfig& config() const noexcept { return config_; }
  std::vector<Joint>& joints() noexcept { return joints_; }
  const std::vector<Joint>& joints() const noexcept { return joints_; }
  const ChainStats& stats() const noexcept { return stats_; }
  const Counts& counts() const noexcept {
    return config_.family == Family::dynamixel ? dynamixel_.counts : feetech_.counts;
  }
  // Seconds of one cycle on the wire: everything asked, everybody answers.
  double wire_time(bool goals, bool slow) const noexcept;

 private:
  enum class Kind : std::uint8_t { none, fast, slow, rider };

  bool dynamixel() const noexcept { return config_.family == Family::dynamixel; }
  bool big_endian() const noexcept { return config_.family == Family::feetech_scs; }
  void check() const;
  std::int64_t load(const Field& f, const std::uint8_t* data) const noexcept;
  void store(const Field& f, double raw, std::uint8_t* data) const noexcept;
  void close(double now) noexcept;
  void blame(std::size_t joint) noexcept;
  void make_order(double now) noexcept;
  void write_goals(Out& out, const double* goals, const std::uint8_t* orders) noexcept;
  void write_torque(Out& out, double now, const std::uint8_t* orders) noexcept;
  void write_read(Out& out, bool slow) noexcept;
  void write_many(Out& out, std::size_t n, int address, int size, bool same) noexcept;
  void begin_wait(double now, std::size_t sent, Kind kind) noexcept;
  void take(double now, const Status& s) noexcept;
  bool decode(double now, std::size_t joint, const Status& s) noexcept;
  bool moves(const std::uint8_t* packet, std::size_t size) const noexcept;
  double slot(std::size_t joint, bool slow) const noexcept;
  std::size_t reply_size(std::size_t joint) const noexcept {
    const JointConfig& c = config_.joints[joint];
    return static_cast<std::size_t>(kind_ == Kind::slow ? c.slow_size : c.fast_size);
  }

  ChainConfig config_;
  double byte_s_ = 1e-5;
  std::vector<Joint> joints_;
  std::array<int, 256> by_id_{};
  DynamixelParser dynamixel_;
  FeetechParser feetech_;
  ChainStats stats_;
  bool polling_ = true;

  // The cycle under way.
  Kind kind_ = Kind::none;
  std::vector<std::size_t> order_;  // joints asked, in order of their replies
  std::size_t asked_ = 0;
  std::size_t expected_ = 0;
  std::size_t got_ = 0;
  std::size_t broken_ = 0;
  bool followed_ = false;
  bool timed_out_ = false;
  double now_ = 0.0;
  double nominal_end_ = 0.0;
  double deadline_ = 0.0;
  double longest_ = 0.0;          // s, of one reply
  std::size_t healthy_left_ = 0;  // asked, not known as silent, and not yet heard
  bool healthy_ = false;          // there was one
  double lateness_ = 0.0;         // s, how far behind its time the end of a cycle lately came
  bool learned_ = false;
  double off_at_ = -1e9;
  double probe_at_ = -1e9;
  std::size_t probe_ = 0;  // joint probed last
  std::size_t turn_ = 0;   // first one asked while all are silent

  // Scratch of the writers.
  std::vector<std::size_t> chosen_;
  std::vector<std::uint8_t> payload_;
  std::vector<int> address_;
  std::vector<FastPart> parts_;

  std::array<std::uint8_t, 256> rider_{};
  std::size_t rider_size_ = 0;
  int rider_replies_ = 0;
  std::size_t rider_reply_size_ = 0;
  int rider_id_ = -1;
  int rider_open_ = 0;  // replies that may still come
  std::array<Reply, 32> replies_{};
  std::size_t reply_first_ = 0;
  std::size_t reply_count_ = 0;
};

}  // namespace giljabi::codecs::servo

#include "giljabi/codecs/servo_chain_setup.hpp"
#include "giljabi/codecs/servo_chain_step.hpp"
