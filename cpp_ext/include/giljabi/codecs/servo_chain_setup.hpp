// Servo chain: construction, numbers in control tables, what a driver may ask.
#pragma once

#include "giljabi/codecs/servo_chain.hpp"

namespace giljabi::codecs::servo {

constexpr std::size_t kStride = 64;  // most bytes of one joint's goals

inline Chain::Chain(ChainConfig config) : config_(std::move(config)) {
  check();
  byte_s_ = 10.0 / config_.baud;  // start, eight data bits, stop
  const std::size_t n = config_.joints.size();
  joints_.resize(n);
  by_id_.fill(-1);
  for (std::size_t i = 0; i < n; ++i) {
    joints_[i].value.fill(std::numeric_limits<double>::quiet_NaN());
    by_id_[static_cast<std::size_t>(config_.joints[i].id)] = static_cast<int>(i);
  }
  order_.resize(n);
  chosen_.resize(n);
  payload_.resize(n * kStride);
  address_.resize(n);
  parts_.resize(n);
  if (!dynamixel()) {
    std::size_t most = 0;
    for (const JointConfig& j : config_.joints) {
      most = std::max(most, static_cast<std::size_t>(j.slow_size));
    }
    feetech_.expect_at_most(std::max<std::size_t>(most, 128));
  }
  for (Joint& j : joints_) {  // what the longest cycle needs: everybody driven, everybody's torque changed
    j.t = 0.0;
    j.repeat = 1;
    j.torque = true;
  }
  std::vector<std::uint8_t> orders(n, kDriven);
  std::vector<std::uint8_t> bytes(kMaxBytes);
  int channels = 0;
  for (const JointConfig& j : config_.joints) {
    for (const GoalItem& g : j.goals) {
      channels = std::max(channels, g.channel + 1);
    }
  }
  const std::vector<double> goals(static_cast<std::size_t>(channels), 0.0);
  if (cycle(0.0, goals.data(), orders.data(), bytes.data(), bytes.size()) == 0) {
    throw std::invalid_argument(
        "the goals of all servos do not fit into one packet; fewer servos on one line are expected");
  }
  reset();
  for (Joint& j : joints_) {
    j = Joint{};
    j.value.fill(std::numeric_limits<double>::quiet_NaN());
  }
  stats_ = ChainStats{};
}

inline void Chain::check() const {
  const auto require = [](bool ok, const std::string& what) {
    if (!ok) {
      throw std::invalid_argument(what);
    }
  };
  const auto positive = [](double v) { return std::isfinite(v) && v > 0.0; };
  require(!config_.joints.empty(), "a chain needs at least one servo");
  require(positive(config_.baud), "baud must be above 0");
  require(config_.return_delay_s >= 0.0 && config_.return_delay_s <= 0.01,
          "return_delay_s must be 0 to 0.01");
  require(positive(config_.latency_s) && config_.latency_s <= 1.0, "latency_s must be above 0 and at most 1");
  require(config_.slow_every >= 1, "slow_every must be 1 or more");
  require(positive(config_.probe_period_s), "probe_period_s must be above 0");
  const JointConfig& first = config_.joints.front();
  std::array<bool, 256> seen{};
  for (const JointConfig& j : config_.joints) {
    const std::string who = "servo " + std::to_string(j.id) + ": ";
    require(j.id >= 0 && j.id <= (dynamixel() ? kLastId : kLastId + 1), who + "the id is out of range");
    require(!seen[static_cast<std::size_t>(j.id)], who + "the id stands twice");
    seen[static_cast<std::size_t>(j.id)] = true;
    const int last = dynamixel() ? 0xFFFF : 0xFF;
    for (const int address : {j.goal_address, j.read_address, j.torque_address}) {
      require(address >= 0 && address <= last, who + "an address is out of range");
    }
    require(j.goal_size >= 0 && j.goal_size <= static_cast<int>(kStride), who + "goal_size must be 0 to 64");
    require(j.fast_size >= 1 && j.slow_size >= j.fast_size && j.slow_size <= 128,
            who + "1 <= fast_size <= slow_size <= 128 is expected");
    require(dynamixel() || (j.goal_address == first.goal_address && j.goal_size == first.goal_size &&
                            j.read_address == first.read_address && j.fast_size == first.fast_size &&
                            j.slow_size == first.slow_size && j.torque_address == first.torque_address),
            who + "Feetech has no bulk instructions: all servos of a line need the same addresses");
    const auto fits = [&](const Field& f, int size) {
      require(f.at >= 0 && (f.size == 1 || f.size == 2 || f.size == 4) && f.at + f.size <= size,
              who + "a field does not fit into its block");
      require(f.sign == Field::kTwos || f.sign == Field::kUnsigned || (f.sign >= 0 && f.sign < 8 * f.size),
              who + "the sign bit is out of range");
    };
    for (const GoalItem& g : j.goals) {
      fits(g.field, j.goal_size);
      require(std::isfinite(g.scale) && std::isfinite(g.offset) && std::isfinite(g.driven) &&
                  std::isfinite(g.safe) && g.low <= g.high,
              who + "scale, offset and limits of a goal must be numbers");
    }
    for (const ReadItem& r : j.reads) {
      fits(r.field, j.slow_size);
      require(std::isfinite(r.scale) && std::isfinite(r.offset), who + "scale and offset must be numbers");
    }
  }
}

inline std::int64_t Chain::load(const Field& f, const std::uint8_t* data) const noexcept {
  std::uint32_t raw = 0;
  for (int k = 0; k < f.size; ++k) {
    const int place = f.at + (big_endian() ? k : f.size - 1 - k);
    raw = (raw << 8) | data[place];
  }
  const int bits = 8 * f.size;
  std::int64_t v = raw;
  if (f.sign == Field::kTwos && (raw >> (bits - 1)) != 0) {
    v -= std::int64_t{1} << bits;
  } else if (f.sign >= 0 && ((raw >> f.sign) & 1U) != 0) {
    v = -static_cast<std::int64_t>(raw & ~(1U << f.sign));
  }
  return v;
}

inline void Chain::store(const Field& f, double raw, std::uint8_t* data) const noexcept {
  const auto v = static_cast<std::int64_t>(std::nearbyint(raw));
  std::uint64_t bits = static_cast<std::uint64_t>(v);
  if (f.sign >= 0 && v < 0) {
    bits = static_cast<std::uint64_t>(-v) | (std::uint64_t{1} << f.sign);
  }
  for (int k = 0; k < f.size; ++k) {
    const int place = f.at + (big_endian() ? f.size - 1 - k : k);
    data[place] = static_cast<std::uint8_t>(bits >> (8 * k));
  }
}

inline double Chain::slot(std::size_t joint, bool slow) const noexcept {
  const JointConfig& c = config_.joints[joint];
  const double size = slow ? c.slow_size : c.fast_size;
  if (dynamixel() && config_.fast) {
    return (4.0 + size) * byte_s_;
  }
  return config_.return_delay_s + ((dynamixel() ? 11.0 : 6.0) + size) * byte_s_;
}

inline double Chain::wire_time(bool goals, bool slow) const noexcept {
  const double n = static_cast<double>(joints_.size());
  const double frame = dynamixel() ? 14.0 : 8.0;
  double bytes = frame + n;
  double t = dynamixel() && config_.fast ? config_.return_delay_s + 8.0 * byte_s_ : 0.0;
  for (std::size_t i = 0; i < joints_.size(); ++i) {
    t += slot(i, slow);
    bytes += goals ? 1.0 + config_.joints[i].goal_size : 0.0;
  }
  return t + (bytes + (goals ? frame : 0.0)) * byte_s_;
}

// What may move a joint or change its torque is the guard's, and resets are a person's.
inline bool Chain::moves(const std::uint8_t* p, std::size_t size) const noexcept {
  const std::size_t head = dynamixel() ? 8 : 5;  // up to and with the instruction
  const std::size_t tail = dynamixel() ? 2 : 1;
  const std::size_t word = dynamixel() ? 2 : 1;
  if (size < head + tail) {
    return true;
  }
  const std::uint8_t id = dynamixel() ? p[4] : p[2];
  const std::uint8_t instruction = p[head - 1];
  if (instruction == kPing || instruction == kRead) {
    return false;
  }
  if ((instruction != kWrite && instruction != kSyncWrite) || size < head + word + tail + 1) {
    return true;
  }
  const std::uint8_t* q = p + head;
  const int address = dynamixel() ? q[0] | (q[1] << 8) : q[0];
  int length = static_cast<int>(size - head - tail - word);
  if (instruction == kSyncWrite) {
    length = dynamixel() && size >= head + 4 + tail ? q[2] | (q[3] << 8) : q[1];
  }
  const auto touches = [&](int first, int n) { return address < first + n && first < address + length; };
  for (const JointConfig& j : config_.joints) {
    const bool meant = instruction == kSyncWrite || id == kBroadcast || id == j.id;
    if (meant && (touches(j.goal_address, j.goal_size) || touches(j.torque_address, 1))) {
      return true;
    }
  }
  return false;
}

inline bool Chain::request(const std::uint8_t* packet, std::size_t size, int replies,
                           std::size_t reply_size) noexcept {
  if (rider_size_ != 0 || size > rider_.size() || reply_size > Reply{}.data.size() || moves(packet, size)) {
    return false;
  }
  std::copy(packet, packet + size, rider_.begin());
  rider_size_ = size;
  rider_replies_ = replies;
  rider_reply_size_ = reply_size;
  rider_id_ = dynamixel() ? packet[4] : packet[2];
  return true;
}

inline bool Chain::take_reply(Reply& out) noexcept {
  if (reply_count_ == 0) {
    return false;
  }
  out = replies_[reply_first_];
  reply_first_ = (reply_first_ + 1) % replies_.size();
  --reply_count_;
  return true;
}

inline void Chain::reset() noexcept {
  dynamixel_.reset();
  feetech_.reset();
  kind_ = Kind::none;
  expected_ = got_ = broken_ = asked_ = 0;
  rider_size_ = 0;
  rider_open_ = 0;
  reply_count_ = 0;
  for (Joint& j : joints_) {
    j.silent = 0;
  }
}

}  // namespace giljabi::codecs::servo
