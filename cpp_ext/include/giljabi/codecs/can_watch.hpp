// Every message of a bus under watch: length, checksum, counter, rate, silence, and its newest signals.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "giljabi/codecs/can_bits.hpp"
#include "giljabi/codecs/can_checks.hpp"

namespace giljabi::codecs {

enum class CanVerdict { accepted, other, too_short, checksum, repeated, beyond, count };

// A signal of at most 53 bits, read with one shift.
class CanSignal {
 public:
  CanSignal(const std::string& what, int start_bit, int length, bool big_endian, bool is_signed, double scale,
            double offset, int size)
      : scale_(scale), offset_(offset), big_(big_endian), signed_(is_signed), length_(length) {
    bit_places(what, start_bit, length, big_endian, size);  // throws when it does not fit
    first_ = start_bit / 8;
    shift_ = big_endian ? 64 - (7 - start_bit % 8) - length : start_bit % 8;
  }

  // `data` can be read eight bytes on from every byte of the payload.
  double read(const std::uint8_t* data) const noexcept {
    std::uint64_t word = 0;
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t byte = data[first_ + i];
      word |= byte << (big_ ? 56 - 8 * i : 8 * i);
    }
    const std::uint64_t mask = (1ULL << length_) - 1;
    const std::uint64_t raw = (word >> shift_) & mask;
    const bool negative = signed_ && (raw >> (length_ - 1)) != 0;
    const auto value = static_cast<std::int64_t>(negative ? raw | ~mask : raw);
    return static_cast<double>(value) * scale_ + offset_;
  }

 private:
  double scale_, offset_;
  bool big_, signed_;
  int length_;
  int first_ = 0;
  int shift_ = 0;
};

struct CanWatched {
  std::size_t size = 8;
  CanCheck check;
  BitPlaces counter;  // length 0: not watched
  std::uint64_t turn = 1;
  double period = 0.0;  // s, 0: learnt
  std::vector<CanSignal> signals;
};

struct CanTold {
  std::uint64_t counts[static_cast<std::size_t>(CanVerdict::count)] = {};
  std::uint64_t skipped = 0;  // frames whose counter went on by more than one
  std::uint64_t silences = 0;
  double last_t = -std::numeric_limits<double>::infinity();  // s, newest accepted frame
  double interval = 0.0;                                     // s, mean, 0: not known
  double learnt = 0.0;                                       // s, period of a message that has none
  bool stale = false;
};

class CanWatch {
 public:
  static constexpr double kStalePeriods =
      2.5;  // leaves half a period for the caller to come round within three
  static constexpr std::uint64_t kLearn = 8;  // intervals until a period is known
  static constexpr double kMemory = 16.0;     // intervals in a mean

  std::size_t add(std::uint32_t key, CanWatched spec) {
    entries_.push_back({std::move(spec), {}, {}, {}});
    entries_.back().values.resize(entries_.back().spec.signals.size(), std::nan(""));
    index_.emplace(key, entries_.size() - 1);
    return entries_.size() - 1;
  }

  std::size_t size() const noexcept { return entries_.size(); }
  const CanTold& told(std::size_t i) const noexcept { return entries_[i].told; }
  const std::vector<double>& values(std::size_t i) const noexcept { return entries_[i].values; }
  double period(std::size_t i) const noexcept {
    return entries_[i].spec.period > 0.0 ? entries_[i].spec.period : entries_[i].told.learnt;
  }

  // Judges one frame; `index` is the message's place unless the verdict is `other`. `skipped`: its counter
  // left out some. key: identifier, bit 31 for the extended format.
  CanVerdict judge(std::uint32_t key, int bus, double t, const std::uint8_t* data, std::size_t n,
                   std::size_t& index, bool& skipped) {
    skipped = false;
    const auto found = index_.find(key);
    if (found == index_.end()) {
      return CanVerdict::other;
    }
    index = found->second;
    Entry& e = entries_[index];
    std::uint8_t payload[kCanPayload + 8] = {};
    std::copy(data, data + std::min({n, e.spec.size, kCanPayload}), payload);
    const CanVerdict verdict = n < e.spec.size                             ? CanVerdict::too_short
                               : e.spec.check && !e.spec.check.ok(payload) ? CanVerdict::checksum
                                                                           : count(e, bus, payload, skipped);
    ++e.told.counts[static_cast<std::size_t>(verdict)];
    if (verdict == CanVerdict::accepted) {
      time(e, t);
      for (std::size_t i = 0; i < e.values.size(); ++i) {
        e.values[i] = e.spec.signals[i].read(payload);
      }
    }
    return verdict;
  }

  // Marks what has been silent for too long; returns when the next message would be, infinity for none.
  double expire(double now) noexcept {
    double next = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      CanTold& told = entries_[i].told;
      const double limit = kStalePeriods * period(i);
      if (limit <= 0.0 || told.stale || !std::isfinite(told.last_t)) {
        continue;
      }
      if (now >= told.last_t + limit) {
        told.stale = true;
        ++told.silences;
      } else {
        next = std::min(next, told.last_t + limit);
      }
    }
    return next;
  }

 private:
  struct Last {
    int bus;
    std::uint64_t value;
  };
  struct Entry {
    CanWatched spec;
    CanTold told;
    std::vector<Last> last;  // counter by bus
    std::vector<double> values;
  };

  static CanVerdict count(Entry& e, int bus, const std::uint8_t* payload, bool& skipped) {
    if (e.spec.counter.length == 0) {
      return CanVerdict::accepted;
    }
    const std::uint64_t value = get_bits(e.spec.counter, payload);
    if (value >= e.spec.turn) {
      return CanVerdict::beyond;
    }
    const auto known =
        std::find_if(e.last.begin(), e.last.end(), [bus](const Last& l) { return l.bus == bus; });
    if (known == e.last.end()) {
      e.last.push_back({bus, value});
      return CanVerdict::accepted;
    }
    const std::uint64_t before = std::exchange(known->value, value);
    if (value == before) {
      return CanVerdict::repeated;
    }
    skipped = value != (before + 1) % e.spec.turn;
    e.told.skipped += skipped ? 1 : 0;
    return CanVerdict::accepted;
  }

  static void time(Entry& e, double t) noexcept {
    CanTold& told = e.told;
    const double interval = t - told.last_t;
    if (std::isfinite(interval) && interval >= 0.0 && !told.stale) {
      const auto n = static_cast<double>(told.counts[0] - 1);  // intervals until now
      told.interval += (interval - told.interval) / std::clamp(n, 1.0, kMemory);
      if (told.counts[0] > kLearn) {
        told.learnt = told.interval;
      }
    }
    told.last_t = std::isfinite(t) ? std::max(t, told.last_t) : told.last_t;
    told.stale = false;
  }

  std::vector<Entry> entries_;
  std::unordered_map<std::uint32_t, std::size_t> index_;
};

}  // namespace giljabi::codecs
