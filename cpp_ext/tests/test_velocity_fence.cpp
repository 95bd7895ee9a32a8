// What hovers stays inside its fences, whatever comes, with the worst vehicle that the bounds allow.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>

#include "allocations.hpp"
#include "giljabi/guard/guard.hpp"
#include "hovering.hpp"

using namespace giljabi;
using guard::Fence;
using guard::Guard;
using guard::GuardConfig;
using guard::Level;
using guard::Point;
using guard::Reasons;

namespace {

constexpr double kTick = 0.02;
constexpr double kBrake = 2.0;
constexpr double kDelay = 0.4;
constexpr double kDrift = 0.4;
constexpr double kError = 0.5;
constexpr double kBody = 0.3;

GuardConfig config() {
  GuardConfig c = tests::hovering(kTick, 40.0, kBrake, kBody);
  c.command_timeout_s = 0.1;
  c.fence = {kDelay, kDrift, kError, 1.5, c.fence.velocity, {}, "", ""};
  return c;
}

struct Vec {
  double x = 0.0, y = 0.0, z = 0.0;
};

// Follows the commands of `delay` ago, speeds up at once, slows down no better than it must, and drifts.
struct Worst {
  Vec p, v, wind;
  std::vector<Vec> under_way;
  std::size_t next = 0;

  void step(Vec told) {
    Vec& slot = under_way[next];
    next = (next + 1) % under_way.size();
    const Vec u = slot;
    slot = told;
    const bool slower = std::hypot(u.x, u.y) < std::hypot(v.x, v.y);
    const double gap = std::hypot(u.x - v.x, u.y - v.y);
    const double most = (slower ? kBrake : 30.0) * kTick;
    const double share = gap > most ? most / gap : 1.0;
    v.x += share * (u.x - v.x);
    v.y += share * (u.y - v.y);
    const double up = (std::abs(u.z) < std::abs(v.z) ? 1.5 : 30.0) * kTick;
    v.z += std::clamp(u.z - v.z, -up, up);
    p.x += (v.x + wind.x) * kTick;
    p.y += (v.y + wind.y) * kTick;
    p.z += (v.z + wind.z) * kTick;
  }
};

// From the body to the nearest fence [m]; negative where it must not be.
double truth(const std::vector<Fence>& fences, Vec p) {
  double least = 1e9;
  for (const Fence& f : fences) {
    double edge = 1e9;
    for (std::size_t i = 0, k = f.corners.size() - 1; i < f.corners.size(); k = i++) {
      edge = std::min(edge, guard::distance({p.x, p.y}, f.corners[k], f.corners[i]));
    }
    const bool in = f.corners.empty() || guard::inside(f.corners, {p.x, p.y});
    const double within = std::min(p.z - f.low, f.high - p.z);
    if (!f.keep_out) {
      least = std::min({least, (in ? edge : -edge) - kBody, within});
    } else {
      const double beside = (in ? -edge : edge) - kBody;
      least = std::min(least, within >= 0.0 ? beside : beside > 0.0 ? std::hypot(beside, within) : -within);
    }
  }
  return least;
}

struct Flight {
  std::vector<Fence> fences;
  Guard g{config()};
  Worst plant;
  double t = 1.0;

  explicit Flight(std::vector<Fence> all, Vec start) : fences(std::move(all)) {
    REQUIRE(g.set_fences(fences));
    plant.p = start;
    plant.under_way.assign(static_cast<std::size_t>(kDelay / kTick), Vec{});
  }

  void tick(Vec wanted, Vec error) {
    const guard::NamedValue values[] = {{"vx", wanted.x}, {"vy", wanted.y}, {"vz", wanted.z}};
    const Vec& v = plant.v;
    const Vec& p = plant.p;
    g.pose(t, {t, p.x + error.x, p.y + error.y, 0.0, 0.0, p.z + error.z, v.x, v.y, v.z});
    g.submit("auto", t, t, values, 3);
    g.heartbeat(t, t, Level::ok, Reasons());
    if (g.mode() == "standby") {
      Reasons why;
      REQUIRE_MESSAGE(g.arm(t, why), std::string(why.empty() ? "" : why[0].view()));
    }
    g.step(t);
    plant.step({g.output()[0], g.output()[1], g.output()[2]});
    t += kTick;
  }
};

const std::vector<Fence> kPlaces = {
    {{{-40, -40}, {60, -40}, {60, 5}, {20, 8}, {60, 12}, {60, 50}, {-40, 50}}, false, -5.0, 25.0},  // a notch
    {{{-20, 15}, {-10, 15}, {-10, 25}, {-20, 25}}, true, -1e3, 12.0},                               // a tower
    {{{5, -30}, {9, -18}, {1, -20}}, true},
    {guard::round({-25, -20}, 6.0, true), true, 8.0, 14.0}};  // a balloon

}  // namespace

TEST_CASE("no command and no wind within the bounds takes it out of its fences") {
  std::mt19937 rng(7);
  std::uniform_real_distribution<double> some(-1.0, 1.0);
  double least = 1e9;
  for (int run = 0; run < 150; ++run) {
    Flight f(kPlaces, {10.0 * some(rng), 5.0 + 5.0 * some(rng), 8.0 + 4.0 * some(rng)});
    Vec wanted;
    Vec error;
    for (int k = 0; k < 2000; ++k) {
      if (k % 60 == 0 || some(rng) > 0.995) {
        wanted = {12.0 * some(rng), 12.0 * some(rng), 6.0 * some(rng)};
        if (some(rng) > 0.0) {  // straight at a corner of a fence
          const Fence& at = kPlaces[rng() % kPlaces.size()];
          const Point c = at.corners[rng() % at.corners.size()];
          const double far = std::hypot(c.x - f.plant.p.x, c.y - f.plant.p.y) + 1e-9;
          wanted.x = 10.0 * (c.x - f.plant.p.x) / far;
          wanted.y = 10.0 * (c.y - f.plant.p.y) / far;
        }
      }
      if (k % 200 == 0) {
        const double a = 3.2 * some(rng);
        f.plant.wind = {kDrift * std::cos(a), kDrift * std::sin(a), 0.3 * kDrift * some(rng)};
        error = {kError * std::cos(2.0 * a), kError * std::sin(2.0 * a), kError * some(rng)};
      }
      f.tick(wanted, error);
      const double room = truth(kPlaces, f.plant.p);
      least = std::min(least, room);
      if (room <= 0.0 || f.g.mode() != "auto") {
        INFO("run " << run << " step " << k << " at " << f.plant.p.x << " " << f.plant.p.y << " "
                    << f.plant.p.z << " v " << f.plant.v.x << " " << f.plant.v.y << " " << f.plant.v.z);
        REQUIRE(room > 0.0);
        REQUIRE(f.g.mode() == "auto");
      }
    }
  }
  MESSAGE("least room " << least);
  CHECK(least > 0.0);
  CHECK(least < 1.0);  // it does go to the fences
}

TEST_CASE("it comes near, and slides along") {
  Flight f({{{{-40, -40}, {40, -40}, {40, 40}, {-40, 40}}}}, {0, 0, 5});
  double fastest = 0.0;
  for (int k = 0; k < 1500; ++k) {
    f.tick({10.0, 0.0, 0.0}, {});
    fastest = std::max(fastest, f.plant.v.x);
  }
  MESSAGE("pushing at a fence ends " << 40.0 - f.plant.p.x << " m from it, " << fastest << " m/s on the way");
  CHECK(40.0 - f.plant.p.x > kBody + kError);
  CHECK(40.0 - f.plant.p.x < 2.5);
  CHECK(fastest > 6.0);
  const double y = f.plant.p.y;
  for (int k = 0; k < 500; ++k) {
    f.tick({8.0, 2.0, 0.0}, {});
  }
  MESSAGE("slid " << f.plant.p.y - y << " m in 10 s");
  CHECK(f.plant.p.y - y > 8.0);
  CHECK(f.g.held_back() > 1000);
  Reasons why;
  f.g.reasons(why);
  REQUIRE(!why.empty());
  CHECK(why[0].view() == "fence: commands are held back");
}

TEST_CASE("over a tower and under a ceiling") {
  Flight f({{{}, false, -1e9, 30.0}, {guard::round({30, 0}, 8.0, true), true, -1e9, 12.0}}, {0, 0, 20});
  for (int k = 0; k < 300; ++k) {
    f.tick({5.0, 0.0, 0.0}, {});
  }
  CHECK(f.plant.p.x > 25.0);  // level, over it, nothing held back
  CHECK(f.g.held_back() == 0);
  for (int k = 0; k < 500; ++k) {
    f.tick({30.0 - f.plant.p.x, 0.0, -3.0}, {});
  }
  MESSAGE("pressed down it stays at " << f.plant.p.z << " m over 12 m");
  CHECK(f.plant.p.z > 12.0 + kError);
  CHECK(f.plant.p.z < 14.5);
  for (int k = 0; k < 700; ++k) {
    f.tick({0.0, 0.0, 5.0}, {});
  }
  MESSAGE("and at " << f.plant.p.z << " m under 30 m");
  CHECK(f.plant.p.z < 30.0 - kError);
  CHECK(f.plant.p.z > 27.5);
}

TEST_CASE("keeping fences allocates nothing") {
  Flight f(kPlaces, {0, 0, 8});
  f.tick({}, {});
  const std::size_t before = tests::allocations();
  for (int k = 0; k < 500; ++k) {
    f.tick({10.0, -10.0, 3.0}, {});
  }
  CHECK(tests::allocations() == before);
}
