// One cycle of a servo chain on a descriptor, for callers that own the line: write, wait, read.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <mutex>

#include "giljabi/codecs/servo_wire.hpp"

namespace giljabi::bindings {

class Exchange {
 public:
  Exchange(codecs::servo::LockedChain& chain, int fd) : chain_(chain), fd_(fd) {}

  // True when every servo that was asked answered; false with errno in `error` when the line failed (else 0).
  bool run(const double* goals, const std::uint8_t* orders, int& error) {
    error = 0;
    const std::lock_guard<PriorityMutex> lock(chain_.lock);
    auto& c = chain_.chain;
    std::uint8_t out[codecs::servo::Chain::kMaxBytes];
    // What came meanwhile belongs to the cycle before.
    std::size_t n = c.cycle(now(), goals, orders, out, sizeof out);
    if (n == 0 || !send(out, n, error)) {
      return false;
    }
    while (!c.done()) {
      const double t = now();
      if (t >= c.deadline()) {
        n = c.follow_up(t, out, sizeof out);
        if (n == 0 || !send(out, n, error)) {
          return false;
        }
        continue;
      }
      // Bytes come in many pieces; sleeping until nearly all are there costs one waking instead of many.
      const double nap = c.nominal_end() - t - kEarly;
      if (nap > kEarly) {
        pause(nap);
      } else if (!receive(c.deadline() - t, error)) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr double kEarly = 1.5e-4;  // s

  static double now() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  static timespec span(double s) noexcept {
    const auto whole = static_cast<time_t>(s);
    return {whole, static_cast<long>((s - static_cast<double>(whole)) * 1e9)};
  }
  static void pause(double s) noexcept {
    const timespec t = span(s);
    nanosleep(&t, nullptr);
  }

  bool send(const std::uint8_t* data, std::size_t n, int& error) const noexcept {
    while (n > 0) {
      const ssize_t k = ::write(fd_, data, n);
      if (k > 0) {
        data += k;
        n -= static_cast<std::size_t>(k);
      } else if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        pollfd p{fd_, POLLOUT, 0};
        if (::poll(&p, 1, 100) == 0) {
          error = ETIMEDOUT;
          return false;
        }
      } else if (k < 0 && errno != EINTR) {
        error = errno;
        return false;
      }
    }
    return true;
  }

  // Waits for bytes and takes them all; false when the line failed.
  bool receive(double wait, int& error) noexcept {
    pollfd p{fd_, POLLIN, 0};
    const timespec t = span(std::max(wait, 0.0));
    const int ready = ::ppoll(&p, 1, &t, nullptr);
    if (ready < 0 && errno != EINTR) {
      error = errno;
      return false;
    }
    if (ready <= 0) {
      return true;
    }
    std::uint8_t in[4096];
    const ssize_t k = ::read(fd_, in, sizeof in);
    if (k > 0) {
      chain_.chain.feed(now(), in, static_cast<std::size_t>(k));
    } else if (k == 0 || (errno != EAGAIN && errno != EINTR)) {
      error = k == 0 ? EIO : errno;
      return false;
    }
    return true;
  }

  codecs::servo::LockedChain& chain_;
  int fd_;
};

}  // namespace giljabi::bindings
