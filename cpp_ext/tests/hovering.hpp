// A vehicle that hovers and takes velocities, as a guard's configuration; for tests and fuzz targets.
#pragma once

#include "giljabi/guard/guard.hpp"

namespace giljabi::tests {

inline guard::GuardConfig hovering(double tick, double rate_max, double brake, double body) {
  codecs::WireMessage m;
  m.name = "fly";
  m.period_s = tick;
  m.can_id = 1;
  guard::GuardConfig c;
  for (const char* const name : {"vx", "vy", "vz"}) {
    codecs::WireField f;
    f.actuator = name;
    f.scale = 1e3;
    f.start_bit = static_cast<int>(16 * m.fields.size());
    f.length = 16;
    f.is_signed = true;
    m.fields.push_back(f);
    c.actuators.push_back({name, -10.0, 10.0, rate_max, 0.0, rate_max});
  }
  codecs::EncodeTable table;
  table.device = "autopilot";
  table.protocol = codecs::Protocol::can;
  table.framing = codecs::Framing::socketcan;
  table.messages = {m};
  c.tables = {table};
  c.sources = {"auto", "manual"};
  c.rate_hz = 1.0 / tick;
  c.command_timeout_s = 4.0 * tick;
  c.heartbeat_timeout_s = 0.5;
  c.pose_timeout_s = 0.5;
  c.stop_deceleration = brake;
  c.front = c.rear = body;
  c.fence.velocity = {"vx", "vy", "vz"};
  return c;
}

}  // namespace giljabi::tests
