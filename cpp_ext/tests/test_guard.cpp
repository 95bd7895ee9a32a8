// What only C++ can see of the guard: no allocation, and its thread. tests/core/test_guard*.py test every
// rule.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "allocations.hpp"
#include "giljabi/guard/guard.hpp"
#include "giljabi/guard/guard_thread.hpp"

using namespace giljabi;
using guard::Guard;
using guard::GuardConfig;
using guard::GuardThread;
using guard::Level;
using guard::Reasons;
using guard::Refusal;

namespace {

GuardConfig config() {
  codecs::WireField steering;
  steering.actuator = "steering";
  steering.scale = 1e4;
  steering.length = 16;
  steering.is_signed = true;
  codecs::WireField enable;
  enable.actuator = "enable";
  enable.source = codecs::FieldSource::armed;
  enable.start_bit = 16;
  enable.length = 1;
  codecs::WireMessage m;
  m.name = "steer";
  m.period_s = 0.01;
  m.fields = {steering, enable};
  m.can_id = 1;
  m.counter = codecs::WireCounter{27, 4, true};
  m.checksum = {"crc8_j1850", 63, 8, true, {}, "both", {}};
  GuardConfig c;
  c.actuators = {{"steering", -0.5, 0.5, 0.8, 0.0, 0.2, 0.5}};
  c.tables = {{"vehicle", codecs::Protocol::can, {m}, codecs::Framing::socketcan}};
  c.sources = {"policy", "auto", "manual"};
  c.rate_hz = 100.0;
  c.command_timeout_s = 0.15;
  c.heartbeat_timeout_s = 0.5;
  c.pose_timeout_s = 0.3;
  return c;
}

Refusal submit(Guard& g, double now, double value) {
  const guard::NamedValue v{"steering", value};
  return g.submit("auto", now, now, &v, 1);
}

}  // namespace

TEST_CASE("a whole life without one allocation") {
  Guard g(config());
  Reasons why;
  Reasons bad;
  bad.add().add("gnss: no fix for ").add(3.1).add(" s");
  const std::size_t before = tests::allocations();
  double t = 100.0;
  std::size_t frames = 0;
  for (int k = 0; k < 2000; ++k) {
    t += 0.01;
    const double value = k % 97 == 0 ? std::nan("") : std::sin(0.1 * k);
    submit(g, t, value);
    g.heartbeat(t, t, k % 400 < 300 ? Level::ok : Level::fault, bad);
    g.pose(t, {t, 1.0, 2.0, 0.1, 3.0});
    g.feedback(t, "steering", 0.1);
    if (k % 50 == 10) {
      g.arm(t, why);
    }
    if (k % 700 == 699) {
      g.stop(t);
    }
    frames += g.step(k % 500 == 499 ? std::nan("") : t).size();
    g.reasons(why);
  }
  CHECK(tests::allocations() == before);
  CHECK(frames > 1900);
  CHECK(g.events().total() > 20);
}

TEST_CASE("armed frames carry the value and the enable bit") {
  Guard g(config());
  Reasons why;
  g.step(1.0);
  submit(g, 1.01, 0.004);
  g.heartbeat(1.01, 1.01, Level::ok, Reasons());
  REQUIRE(g.arm(1.01, why));
  const auto& frames = g.step(1.01);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].size == 16);
  CHECK(frames[0].data[8] == 40);         // 0.004 rad * 1e4
  CHECK((frames[0].data[10] & 1U) == 1);  // enable
  CHECK(g.mode() == "auto");
}

TEST_CASE("room inside a polygon, beside it and across it") {
  // An L: the inner corner is at (4, 4).
  const guard::Polygon ell = {{0, 0}, {10, 0}, {10, 4}, {4, 4}, {4, 10}, {0, 10}};
  CHECK(guard::room(ell, {2, 2}, {2, 2}) == doctest::Approx(2.0));
  CHECK(guard::room(ell, {2, 2}, {8, 2}) == doctest::Approx(2.0));
  CHECK(guard::room(ell, {3, 3}, {3, 3}) == doctest::Approx(std::sqrt(2.0)));
  CHECK(guard::room(ell, {2, 2}, {2, 9}) == doctest::Approx(1.0));
  CHECK(guard::room(ell, {9, 2}, {2, 9}) == 0.0);  // both ends inside, the way is not
  CHECK(guard::room(ell, {2, 2}, {12, 2}) == 0.0);
  CHECK(guard::room(ell, {7, 7}, {2, 2}) == 0.0);  // begins outside
  const guard::Polygon other(ell.rbegin(), ell.rend());
  CHECK(guard::room(other, {2, 2}, {8, 2}) == doctest::Approx(2.0));
}

TEST_CASE("a fence is kept without one allocation") {
  GuardConfig c = config();
  c.stop_deceleration = 1.0;
  Guard g(c);
  REQUIRE(g.set_fences({{{{-10, -10}, {10, -10}, {10, 10}, {-10, 10}}}}));
  g.step(1.0);
  submit(g, 1.0, 0.1);
  g.heartbeat(1.0, 1.0, Level::ok, Reasons());
  g.pose(1.0, {1.0, 0.0, 0.0, 0.0, 2.0});
  Reasons why;
  REQUIRE(g.arm(1.0, why));
  CHECK_FALSE(g.set_fences({}));
  const std::size_t before = tests::allocations();
  double x = 0.0;
  for (double t = 1.01; g.mode() == "auto" && t < 9.0; t += 0.01) {
    x += 0.02;
    g.pose(t, {t, x, 0.0, 0.0, 2.0});
    submit(g, t, 0.1);
    g.heartbeat(t, t, Level::ok, Reasons());
    g.step(t);
  }
  CHECK(tests::allocations() == before);
  CHECK(g.mode() == "minimum_risk");
  CHECK(x == doctest::Approx(10.0 - 2.0 - 0.02).epsilon(0.01));
}

TEST_CASE("text is cut at a character's border") {
  guard::Text<4> t;
  t.add("ab").add("\xEA\xB8\xB8");  // three bytes do not fit into two
  CHECK(t.view() == "ab");
  t.add("cde");
  CHECK(t.view() == "abcd");
}

TEST_CASE("the thread turns to the safe output when nobody feeds it") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  {
    GuardThread thread(config(), 1'000'000'000'000, false);
    REQUIRE(thread.set_descriptor("vehicle", pair[0]) == 0);
    CHECK(thread.set_descriptor("nobody", pair[0]) == ENODEV);
    CHECK(thread.set_descriptor("vehicle", 123456) == EBADF);
    thread.with([](Guard& g, double now) {
      submit(g, now, 0.1);
      g.heartbeat(now, now, Level::ok, Reasons());
    });
    Reasons why;
    CHECK(thread.with([&](Guard& g, double now) { return g.arm(now, why); }));
    CHECK(thread.with([](Guard& g, double) { return g.mode() == "auto"; }));
    for (int k = 0; k < 200 && thread.with([](Guard& g, double) { return g.mode() == "auto"; }); ++k) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(thread.with([](Guard& g, double) { return g.mode() == "minimum_risk"; }));
    CHECK(thread.loop().ticks > 10);
    CHECK(thread.writers()[0].second.frames > 10);
  }
  std::uint8_t frame[64];
  int enabled = 0;
  ssize_t n = 0;
  while ((n = recv(pair[1], frame, sizeof frame, MSG_DONTWAIT)) > 0) {
    CHECK(n == 16);
    enabled += frame[10] & 1;
  }
  CHECK(enabled > 0);
  CHECK((frame[10] & 1) == 0);  // the last word of a closed guard is: disarmed
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_CASE("many callers, one guard") {
  GuardThread thread(config(), 0, false);
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&thread] {
      for (int k = 0; k < 500; ++k) {
        thread.with([k](Guard& g, double now) { return submit(g, now, 1e-3 * k); });
        thread.set_descriptor("vehicle", -1);
        thread.writers();
      }
    });
  }
  for (auto& c : callers) {
    c.join();
  }
  thread.close();
  thread.close();
  CHECK(thread.with([](Guard& g, double) { return !g.armed(); }));
}
