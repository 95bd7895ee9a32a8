// When a message may go to the wire, besides its period.
#pragma once

#include <cstdint>
#include <limits>

namespace giljabi::codecs {

enum class WireWhen : std::uint8_t { always, healthy, armed, driven, safe };

// What the guard is doing. since_s: seconds since it drives, or since the safe output began.
struct WirePhase {
  bool armed = false;
  bool driven = false;
  bool healthy = false;
  double since_s = 0.0;
};

// driven: a source's commands go out; safe: armed, but the safe output goes out; healthy: the supervisor
// speaks and reports no fault. channel: the message goes out only while that actuator's output lies within
// [low, high).
struct WireGate {
  WireWhen when = WireWhen::always;
  double from_s = 0.0;
  double until_s = std::numeric_limits<double>::infinity();
  int channel = -1;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  bool open(const WirePhase& p, const double* values) const noexcept {
    switch (when) {
      case WireWhen::always:
        break;
      case WireWhen::healthy:
        return p.healthy;
      case WireWhen::armed:
        if (!p.armed) {
          return false;
        }
        break;
      case WireWhen::driven:
        if (!p.armed || !p.driven) {
          return false;
        }
        break;
      case WireWhen::safe:
        if (!p.armed || p.driven || p.since_s < from_s || p.since_s >= until_s) {
          return false;
        }
        break;
    }
    return channel < 0 || (values[channel] >= low && values[channel] < high);
  }
};

}  // namespace giljabi::codecs
