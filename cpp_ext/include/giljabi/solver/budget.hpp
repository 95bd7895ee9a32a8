// How much time one call may take: processor time of the calling thread, so that what else runs does not
// matter.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

namespace giljabi::solver {

// Processor time of this thread in microseconds.
inline double thread_time() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
#else
  using namespace std::chrono;
  return duration<double, std::micro>(steady_clock::now().time_since_epoch()).count();
#endif
}

// Without a limit no clock is read: the work depends on the input alone.
class Budget {
 public:
  double limit = HUGE_VAL;           // microseconds of one call
  double (*clock)() = &thread_time;  // microseconds

  // A call starts.
  void begin() {
    spent_ = false;
    if (limited()) start_ = last_ = clock();
  }

  // An iteration is over: whether one more, and what has to follow the last, still fit.
  bool another() {
    if (!limited()) return true;
    iteration_ = longer(iteration_);
    spent_ = last_ + iteration_ + rest_ - start_ > limit;
    return !spent_;
  }

  // What follows the last iteration is over.
  void rested() {
    if (limited()) rest_ = longer(rest_);
  }

  bool spent() const { return spent_; }

 private:
  bool limited() const { return limit < HUGE_VAL; }

  // Time since the last reading, or what was expected of it where that is longer; expectations fade.
  double longer(double expected) {
    const double now = clock(), took = now - last_;
    last_ = now;
    return std::max(took, 0.9 * expected);
  }

  double start_ = 0.0, last_ = 0.0, iteration_ = 0.0, rest_ = 0.0;
  bool spent_ = false;
};

}  // namespace giljabi::solver
