// The real-time shell of the guard: a thread that ticks on the monotonic clock and writes to descriptors,
// whatever the rest of the process does.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "giljabi/guard/guard.hpp"
#include "giljabi/guard/writer.hpp"
#include "giljabi/priority_mutex.hpp"

namespace giljabi::guard {

struct LoopStats {
  std::uint64_t ticks = 0;
  std::uint64_t missed = 0;  // ticks that were skipped because the thread came too late
  double late_max_s = 0.0;
  bool realtime = false;  // SCHED_FIFO was granted
};

class GuardThread {
 public:
  static constexpr int kPriority = 60;

  // Starts at once, all devices gone. Stack time is CLOCK_MONOTONIC + offset_ns.
  GuardThread(GuardConfig config, std::int64_t offset_ns, bool realtime)
      : guard_(std::move(config)), offset_ns_(offset_ns), realtime_(realtime) {
    const GuardConfig& c = guard_.config();
    double longest = 0.0;
    for (std::size_t d = 0; d < c.tables.size(); ++d) {
      guard_.set_device(c.tables[d].device, false, now());
      devices_.push_back(std::make_unique<Device>());
      for (const auto& m : c.tables[d].messages) {
        longest = std::max(longest, m.period_s);
      }
    }
    give_up_s_ = std::max(c.command_timeout_s, 3.0 * longest);
    thread_ = std::thread([this] { run(); });
  }

  GuardThread(const GuardThread&) = delete;
  GuardThread& operator=(const GuardThread&) = delete;
  ~GuardThread() { close(); }

  double now() const noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec * kSecond + t.tv_nsec + offset_ns_) * 1e-9;
  }

  // Calls f(guard, now) while the thread waits; f must be short.
  template <class F>
  auto with(F&& f) {
    const std::lock_guard<PriorityMutex> lock(guard_lock_);
    return f(guard_, now());
  }

  // Hands over a descriptor (sockets connected), or -1: the device is gone, for the reason `why`. Returns 0,
  // ENODEV for an unknown device, or errno. When it returns, the thread does not use the former descriptor
  // any more.
  int set_descriptor(const std::string& device, int fd, const std::string& why = {}) {
    const int d = index_of(device);
    if (d < 0) {
      return ENODEV;
    }
    Device& dev = *devices_[static_cast<std::size_t>(d)];
    const std::lock_guard<PriorityMutex> io(io_lock_);
    const int error = fd < 0 || closed_ ? (dev.writer.drop(), 0) : dev.writer.take(fd);
    if (error == 0) {
      dev.last_success = now();
      report(static_cast<std::size_t>(d), dev.writer.open(), why);
    }
    return error;
  }

  // Stops the thread; every device gets one last, disarmed frame of each message.
  void close() noexcept {
    if (!thread_.joinable()) {
      return;
    }
    stop_.store(true);
    thread_.join();
    const std::lock_guard<PriorityMutex> io(io_lock_);
    {
      const std::lock_guard<PriorityMutex> lock(guard_lock_);
      guard_.disarm(now(), "the guard's thread was closed");
      guard_.hurry();
      write(guard_.step(now()));
    }
    closed_ = true;
    for (const auto& d : devices_) {
      d->writer.drop();
    }
  }

  std::vector<std::pair<std::string, WriterStats>> writers() {
    const std::lock_guard<PriorityMutex> io(io_lock_);
    std::vector<std::pair<std::string, WriterStats>> out;
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      out.emplace_back(guard_.config().tables[d].device, devices_[d]->writer.stats());
    }
    return out;
  }

  LoopStats loop() {
    const std::lock_guard<PriorityMutex> io(io_lock_);
    return loop_;
  }

 private:
  static constexpr std::int64_t kSecond = 1'000'000'000;

  struct Device {
    Writer writer;
    double last_success = 0.0;  // stack time [s]
    bool reported_open = false;
  };

  int index_of(const std::string& device) const noexcept {
    const auto& tables = guard_.config().tables;
    for (std::size_t d = 0; d < tables.size(); ++d) {
      if (tables[d].device == device) {
        return static_cast<int>(d);
      }
    }
    return -1;
  }

  // io_lock_ is held. A device that takes nothing for too long counts as gone until it takes something again.
  void report(std::size_t d, bool open, std::string_view why = {}) noexcept {
    Device& dev = *devices_[d];
    if (dev.reported_open != open) {
      dev.reported_open = open;
      const std::lock_guard<PriorityMutex> lock(guard_lock_);
      guard_.set_device(guard_.config().tables[d].device, open, now(), why);
    }
  }

  // io_lock_ is held.
  void write(const std::vector<Frame>& frames) noexcept {
    const double t = now();
    for (const Frame& f : frames) {
      Device& dev = *devices_[f.device];
      if (dev.writer.write(f.data.data(), f.size)) {
        dev.last_success = t;
      }
    }
  }

  void run() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are for the main thread; EPIPE comes as an errno
    pthread_setname_np(pthread_self(), "giljabi-guard");
    if (realtime_) {
      sched_param p{};
      p.sched_priority = kPriority;
      const bool granted = pthread_setschedparam(pthread_self(), SCHED_FIFO, &p) == 0;
      const std::lock_guard<PriorityMutex> io(io_lock_);
      loop_.realtime = granted;
    }
    const auto period = static_cast<std::int64_t>(std::llround(1e9 / guard_.config().rate_hz));
    std::int64_t next = monotonic_ns();
    while (!stop_.load()) {
      tick(static_cast<double>(monotonic_ns() - next) * 1e-9);
      next += period;
      const std::int64_t behind = monotonic_ns() - next;
      if (behind > period) {
        const std::int64_t skipped = behind / period;
        next += skipped * period;
        const std::lock_guard<PriorityMutex> io(io_lock_);
        loop_.missed += static_cast<std::uint64_t>(skipped);
      }
      const timespec due{next / kSecond, next % kSecond};
      while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) == EINTR) {
      }
    }
  }

  void tick(double late_s) noexcept {
    const std::vector<Frame>* frames = nullptr;
    {
      const std::lock_guard<PriorityMutex> lock(guard_lock_);
      frames = &guard_.step(now());  // only this thread steps, so they stay as they are while written
    }
    const std::lock_guard<PriorityMutex> io(io_lock_);
    ++loop_.ticks;
    loop_.late_max_s = std::max(loop_.late_max_s, late_s);
    write(*frames);
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      Device& dev = *devices_[d];
      report(d, dev.writer.open() && now() - dev.last_success <= give_up_s_);
    }
  }

  static std::int64_t monotonic_ns() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * kSecond + t.tv_nsec;
  }

  // Lock order: io_lock_ before guard_lock_.
  PriorityMutex io_lock_;
  PriorityMutex guard_lock_;
  Guard guard_;
  const std::int64_t offset_ns_;
  const bool realtime_;
  double give_up_s_ = 0.0;
  std::vector<std::unique_ptr<Device>> devices_;
  LoopStats loop_;
  bool closed_ = false;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace giljabi::guard
