// Python objects of giljabi_drivers.servo_layout as the plain C++ structs that a chain is built from.
#pragma once

#include <string>
#include <vector>

#include "giljabi/codecs/servo_chain.hpp"
#include "guard_convert.hpp"

namespace giljabi::bindings {

inline codecs::servo::Family to_family(const std::string& text) {
  return choose<codecs::servo::Family>("family", text,
                                       {{"dynamixel", codecs::servo::Family::dynamixel},
                                        {"feetech_sts", codecs::servo::Family::feetech_sts},
                                        {"feetech_scs", codecs::servo::Family::feetech_scs}});
}

inline codecs::servo::Field to_servo_field(pybind11::handle o) {
  return {get<int>(o, "at"), get<int>(o, "size"), get<int>(o, "sign")};
}

inline codecs::servo::JointConfig to_joint(pybind11::handle o) {
  using namespace codecs::servo;
  JointConfig j;
  j.id = get<int>(o, "id");
  j.goal_address = get<int>(o, "goal_address");
  j.goal_size = get<int>(o, "goal_size");
  for (const auto& g : o.attr("goals")) {
    j.goals.push_back({to_servo_field(g.attr("field")), get<int>(g, "channel"), get<double>(g, "scale"),
                       get<double>(g, "offset"), get<double>(g, "low"), get<double>(g, "high"),
                       get<double>(g, "driven"), get<double>(g, "safe")});
  }
  j.read_address = get<int>(o, "read_address");
  j.fast_size = get<int>(o, "fast_size");
  j.slow_size = get<int>(o, "slow_size");
  for (const auto& r : o.attr("reads")) {
    const auto what = choose<Quantity>("quantity", get<std::string>(r, "quantity"),
                                       {{"position", kPosition},
                                        {"velocity", kVelocity},
                                        {"effort", kEffort},
                                        {"voltage", kVoltage},
                                        {"temperature", kTemperature},
                                        {"hardware", kHardware}});
    j.reads.push_back(
        {to_servo_field(r.attr("field")), what, get<double>(r, "scale"), get<double>(r, "offset")});
  }
  j.torque_address = get<int>(o, "torque_address");
  return j;
}

inline codecs::servo::ChainConfig to_chain(pybind11::handle o) {
  codecs::servo::ChainConfig c;
  c.family = to_family(get<std::string>(o, "family"));
  for (const auto& j : o.attr("joints")) {
    c.joints.push_back(to_joint(j));
  }
  c.baud = get<double>(o, "baud");
  c.return_delay_s = get<double>(o, "return_delay_s");
  c.latency_s = get<double>(o, "latency_s");
  c.fast = get<bool>(o, "fast");
  c.slow_every = get<int>(o, "slow_every");
  c.probe_period_s = get<double>(o, "probe_period_s");
  return c;
}

}  // namespace giljabi::bindings
