// A servo chain as the guard's encoder sees it: values and orders of actuators in, the bytes of one cycle
// out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "giljabi/codecs/servo_chain.hpp"
#include "giljabi/codecs/wire_table.hpp"
#include "giljabi/priority_mutex.hpp"

namespace giljabi::codecs::servo {

// The guard's thread sends, the driver's thread receives.
struct LockedChain {
  explicit LockedChain(ChainConfig config) : chain(std::move(config)) {}
  PriorityMutex lock;
  Chain chain;
};

class ServoWire {
 public:
  // fields: the actuator of each channel of the chain. Throws std::invalid_argument.
  ServoWire(const std::string& what, std::shared_ptr<LockedChain> chain, const std::vector<WireField>& fields,
            const std::vector<WireChannel>& channels)
      : chain_(std::move(chain)) {
    for (const WireField& f : fields) {
      const auto found = std::find_if(channels.begin(), channels.end(),
                                      [&](const WireChannel& c) { return c.name == f.actuator; });
      if (found == channels.end()) {
        throw std::invalid_argument(what + "." + f.actuator + ": no actuator has that name");
      }
      actuator_.push_back(static_cast<std::size_t>(found - channels.begin()));
    }
    const std::vector<JointConfig>& joints = chain_->chain.config().joints;
    goals_.resize(actuator_.size());
    orders_.resize(joints.size());
    lead_.resize(joints.size());
    for (std::size_t i = 0; i < joints.size(); ++i) {
      int lead = -1;
      for (const GoalItem& g : joints[i].goals) {
        if (g.channel >= static_cast<int>(actuator_.size())) {
          throw std::invalid_argument(what + ": a channel of the chain has no actuator");
        }
        lead = lead < 0 ? g.channel : lead;
      }
      lead_[i] = lead;
    }
  }

  bool carries(std::size_t channel) const noexcept {
    return std::find(actuator_.begin(), actuator_.end(), channel) != actuator_.end();
  }

  // values and orders by the guard's actuators; t: now.
  std::size_t encode(double t, const double* values, const std::uint8_t* orders, std::uint8_t* out,
                     std::size_t room) noexcept {
    for (std::size_t k = 0; k < actuator_.size(); ++k) {
      goals_[k] = values[actuator_[k]];
    }
    for (std::size_t i = 0; i < orders_.size(); ++i) {
      const int lead = lead_[i];
      orders_[i] =
          lead < 0 ? static_cast<std::uint8_t>(kReleased) : orders[actuator_[static_cast<std::size_t>(lead)]];
    }
    const std::lock_guard<PriorityMutex> lock(chain_->lock);
    return chain_->chain.cycle(t, goals_.data(), orders_.data(), out, room);
  }

 private:
  std::shared_ptr<LockedChain> chain_;
  std::vector<std::size_t> actuator_;  // the guard's, by channel of the chain
  std::vector<int> lead_;  // channel whose actuator gives a joint's order, by joint; -1: nobody drives it
  std::vector<double> goals_;
  std::vector<std::uint8_t> orders_;
};

}  // namespace giljabi::codecs::servo
