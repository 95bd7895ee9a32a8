// Velocity commands of a vehicle that hovers, kept such that it comes to rest inside its fences.
//
// What is known of the vehicle is a bound: `late` seconds after a pose its velocity lies within the hull of
// what it was and what it has been told since, and told to stop it slows down at `brake`; all of that but for
// `drift` of wind. So with V the fastest of these velocities every place that it can reach lies within the
// hull of where it is and of (late + V / (2 brake)) times each of them, widened by drift * (late + V /
// brake).
//
// A command goes out when that reach is clear of all fences. Else the parts of it that lead towards fences
// are cut, so that the vehicle slides along; what still does not fit becomes a stop, which fitted one tick
// before. Close to a fence a slow velocity leads away from it, against wind.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "giljabi/guard/fence.hpp"

namespace giljabi::guard {

struct Velocity {
  Point level;
  double up = 0.0;
};

inline Velocity operator+(const Velocity& a, const Velocity& b) noexcept {
  return {a.level + b.level, a.up + b.up};
}

class VelocityFence {
 public:
  struct Bounds {
    double late = 0.0;  // s
    double brake = 1.0;
    double vertical_brake = 1.0;
    double drift = 0.0;
    double error = 0.0;      // m, of the pose
    double body = 0.0;       // m, around base_link
    std::size_t memory = 1;  // ticks for which a command may still be under way
  };
  struct State {
    Point place;
    double height = 0.0;
    Velocity velocity;
    double age = 0.0;  // s, of the pose
  };

  void configure(const Bounds& b) {
    bounds_ = b;
    told_.assign(std::max<std::size_t>(b.memory, 1), Told{});
  }

  void set(const std::vector<Fence>& fences) {
    fences_ = fences;
    edges_ = 0;
    for (const Fence& f : fences) {
      edges_ += f.corners.size();
    }
    near_.assign(edges_, Near{});
  }

  // What went out; once a tick. lead: what an acceleration beside it adds to any velocity within `late`.
  void remember(const Velocity& v, const Velocity& lead) noexcept {
    told_[next_] = {v, lead};
    next_ = (next_ + 1) % told_.size();
  }
  double late() const noexcept { return bounds_.late; }

  // Whether the place itself is where it must not be; with `room`, or less than a standing vehicle needs.
  bool broken(const State& s, bool room) const noexcept {
    const double need = room ? hard(0.0, s.age) : 0.0;
    for (const Fence& f : fences_) {
      const bool within = s.height >= f.low && s.height <= f.high;
      const double beside = f.corners.empty() ? kFar : edge_distance(f, s.place) - need;
      const bool in = f.corners.empty() || inside(f.corners, s.place);
      if (f.keep_out ? within && (in || beside < 0.0) : !within || !in || beside < 0.0) {
        return true;
      }
    }
    return false;
  }

  // The command nearest to `wanted` that keeps the fences. lead is emptied unless all of it may stay.
  Velocity keep(const State& s, const Velocity& wanted, Velocity& lead) noexcept {
    const Velocity led = wanted + lead;
    look(s, wanted, led);
    share_out(s, wanted);
    if (size(lead.level) > 0.0 || std::abs(lead.up) > 0.0) {
      const Velocity thrown = s.velocity + lead;
      const bool stays = fits(s, led.level, soft()) && fits(s, thrown.level, soft()) &&
                         keep_height(s, led.up) == led.up && keep_height(s, thrown.up) == thrown.up;
      lead = stays ? lead : Velocity{};
    }
    Velocity out;
    out.level = keep_level(s, wanted.level);
    out.up = keep_height(s, wanted.up);
    if (size(out.level - wanted.level) > kNowhere || out.up != wanted.up) {
      lead = Velocity{};
    }
    return out;
  }

  // Heights between which the vehicle may be here, as of the last keep().
  double floor() const noexcept { return floor_; }
  double ceiling() const noexcept { return ceiling_; }
  // Room that a vehicle which climbs or sinks by itself needs [m].
  double upright_room(double age) const noexcept { return hard(0.0, age) - bounds_.body + kSoft; }

 private:
  enum class Way { beside, over, neither };  // over or under; neither: a stop keeps no way, so both count
  struct Near {
    Point a, b;
    Point to;              // unit vector from the vehicle to its nearest place
    double away = 0.0;     // m
    double closing = 0.0;  // m/s, fastest towards it that may still come
    bool counts = false;   // it is near enough, and kept beside, not over or under
  };
  struct Told {
    Velocity v;
    Velocity lead;
  };
  struct Hull {  // velocities that may still come, scaled to places, as a capsule
    Point tip;
    double wide = 0.0;   // m
    double scale = 0.0;  // s
    double margin = 0.0;
  };

  static constexpr double kFar = std::numeric_limits<double>::infinity();
  static constexpr double kSoft = 0.3;      // m that commands keep beyond what must be kept
  static constexpr double kGain = 1.0;      // 1/s, of the way back from a fence
  static constexpr double kRetreat = 1.0;   // m/s, at most
  static constexpr double kNowhere = 1e-9;  // m

  double late(double age) const noexcept { return bounds_.late + std::max(age, 0.0); }
  // What must lie between base_link and a fence when V is the fastest that may come [m].
  double hard(double v, double age) const noexcept {
    return bounds_.body + bounds_.error + bounds_.drift * (late(age) + v / bounds_.brake);
  }
  double soft() const noexcept { return kSoft + bounds_.drift / kGain; }
  double scale(double v, double brake, double age) const noexcept { return late(age) + 0.5 * v / brake; }

  static double edge_distance(const Fence& f, Point p) noexcept {
    double least = kFar;
    for (std::size_t i = 0, k = f.corners.size() - 1; i < f.corners.size(); k = i++) {
      least = std::min(least, distance(p, f.corners[k], f.corners[i]));
    }
    return least;
  }

  // Calls f with every velocity that may still come of what was told.
  template <class F>
  void for_told(F&& f) const noexcept {
    for (const Told& t : told_) {
      f(t.v);
      f(t.v + t.lead);
      f(now_ + t.lead);
    }
  }

  // Everything that does not depend on which command is tried.
  void look(const State& s, const Velocity& wanted, const Velocity& led) noexcept {
    now_ = s.velocity;
    fastest_ = size(now_.level);
    rising_ = std::max(now_.up, 0.0);
    sinking_ = std::max(-now_.up, 0.0);
    for_told([&](const Velocity& v) {
      fastest_ = std::max(fastest_, size(v.level));
      rising_ = std::max(rising_, v.up);
      sinking_ = std::max(sinking_, -v.up);
    });
    const double v = std::max({fastest_, size(wanted.level), size(led.level), kRetreat});
    const double reach = v * scale(v, bounds_.brake, s.age) + hard(v, s.age) + soft();
    std::size_t n = 0;
    for (const Fence& f : fences_) {
      for (std::size_t i = 0, k = f.corners.size() - 1; i < f.corners.size(); k = i++) {
        Near& e = near_[n++];
        e.a = f.corners[k];
        e.b = f.corners[i];
        const Point way = nearest(s.place, e.a, e.b) - s.place;
        e.away = size(way);
        e.counts = e.away <= reach;
        if (!e.counts) {
          continue;
        }
        e.to = e.away > kNowhere ? (1.0 / e.away) * way : Point{};
        e.closing = std::max(dot(e.to, now_.level), 0.0);
        for_told([&](const Velocity& u) { e.closing = std::max(e.closing, dot(e.to, u.level)); });
      }
    }
  }

  double rise(double age) const noexcept {
    return rising_ * scale(rising_, bounds_.vertical_brake, age) + upright(rising_, age);
  }
  double sink(double age) const noexcept {
    return sinking_ * scale(sinking_, bounds_.vertical_brake, age) + upright(sinking_, age);
  }
  double upright(double v, double age) const noexcept {
    return bounds_.error + bounds_.drift * (late(age) + v / bounds_.vertical_brake);
  }

  // Each keep-out with heights is passed either beside or over or under, decided anew each tick: in a way
  // that a stop from now on keeps.
  void share_out(const State& s, const Velocity& wanted) noexcept {
    floor_ = -kFar;
    ceiling_ = kFar;
    std::size_t first = 0;
    for (std::size_t i = 0; i < fences_.size(); ++i) {
      const Fence& f = fences_[i];
      const std::size_t last = first + f.corners.size();
      if (!f.keep_out) {
        floor_ = std::max(floor_, f.low);
        ceiling_ = std::min(ceiling_, f.high);
      } else if (f.banded()) {
        const Way way = choose(s, f, wanted, first, last);
        if (way != Way::beside && s.height > f.high) {
          floor_ = std::max(floor_, f.high);
        } else if (way != Way::beside) {
          ceiling_ = std::min(ceiling_, f.low);
        }
        for (std::size_t k = first; k < last && way == Way::over; ++k) {
          near_[k].counts = false;
        }
      }
      first = last;
    }
  }

  Way choose(const State& s, const Fence& f, const Velocity& wanted, std::size_t first,
             std::size_t last) const noexcept {
    const bool above = s.height > f.high;
    if (!above && s.height >= f.low) {
      return Way::beside;
    }
    const double room = above ? s.height - f.high : f.low - s.height;
    const double stop = above ? sink(s.age) : rise(s.age);
    const double v = std::max(above ? -wanted.up : wanted.up, 0.0);
    const double go = std::max(stop, v * scale(v, bounds_.vertical_brake, s.age) + upright(v, s.age));
    if (go + soft() <= room || inside(f.corners, s.place)) {
      return Way::over;
    }
    if (fits(s, Point{}, 0.0, first, last)) {
      return Way::beside;
    }
    return stop <= room ? Way::over : Way::neither;
  }

  Hull hull(const State& s, Point u) const noexcept {
    Hull h;
    const double v = std::max(fastest_, size(u));
    h.scale = scale(v, bounds_.brake, s.age);
    h.margin = hard(v, s.age);
    Point tip = size(u) > size(now_.level) ? u : now_.level;
    for_told([&](const Velocity& t) { tip = size(t.level) > size(tip) ? t.level : tip; });
    h.tip = h.scale * tip;
    const auto widen = [&](Point p) { h.wide = std::max(h.wide, distance(h.scale * p, {}, h.tip)); };
    widen(u);
    widen(now_.level);
    for_told([&](const Velocity& t) { widen(t.level); });
    return h;
  }

  // Whether all that the vehicle can reach keeps `more` m beyond what must be kept to the edges first..last.
  bool fits(const State& s, Point u, double more, std::size_t first, std::size_t last) const noexcept {
    const Hull h = hull(s, u);
    const double margin = h.margin + more;
    for (std::size_t i = first; i < last; ++i) {
      const Near& e = near_[i];
      if (!e.counts || h.scale * std::max(e.closing, dot(e.to, u)) <= e.away - margin) {
        continue;
      }
      if (distance(s.place, s.place + h.tip, e.a, e.b) < h.wide + margin) {
        return false;
      }
    }
    return true;
  }
  bool fits(const State& s, Point u, double more) const noexcept { return fits(s, u, more, 0, edges_); }

  // Cuts what leads towards edges too fast; near to them it becomes a way back.
  Point shape(const State& s, Point u) const noexcept {
    const double v = std::max(fastest_, size(u));
    const double margin = hard(v, s.age) + soft();
    const double inverse = 1.0 / scale(v, bounds_.brake, s.age);
    for (int pass = 0; pass < 4; ++pass) {
      for (std::size_t i = 0; i < edges_; ++i) {
        const Near& e = near_[i];
        if (!e.counts) {
          continue;
        }
        const double room = e.away - margin;
        double most = room > 0.0 ? room * inverse : std::max(kGain * room, -kRetreat);
        if (const double over = e.closing - most; over > 0.0 && most > 0.0) {
          most = std::max(most - over, 0.0);  // what may still come is too fast already
        }
        if (const double over = dot(e.to, u) - most; over > 0.0) {
          u = u - over * e.to;
        }
      }
    }
    return u;
  }

  Point keep_level(const State& s, Point wanted) const noexcept {
    if (fits(s, wanted, soft())) {
      return wanted;
    }
    // The faster, the more drift counts while it stops: what is near to a fence is slow, also along it.
    double least = kFar;
    for (std::size_t i = 0; i < edges_; ++i) {
      least = near_[i].counts ? std::min(least, near_[i].away) : least;
    }
    double cap = kFar;
    if (bounds_.drift > 0.0 && least < kFar) {
      const double room = least - hard(0.0, s.age) - 0.5 * kSoft;
      cap = std::max(room, 0.0) * bounds_.brake / bounds_.drift;
    }
    const Point slow = size(wanted) > cap ? (cap / size(wanted)) * wanted : wanted;
    for (const double share : {1.0, 0.7, 0.4, 0.2, 0.1}) {
      const Point u = shape(s, share * slow);
      if (fits(s, u, 0.0)) {
        return u;
      }
    }
    return retreat(s);
  }

  // A stop, and slowly away from the edges that are too near.
  Point retreat(const State& s) const noexcept {
    const double margin = hard(0.0, s.age) + soft();
    Point u;
    for (std::size_t i = 0; i < edges_; ++i) {
      const Near& e = near_[i];
      if (e.counts && e.away < margin) {
        u = u - std::min(kGain * (margin - e.away), kRetreat) * e.to;
      }
    }
    return size(u) > kRetreat ? (kRetreat / size(u)) * u : u;
  }

  // The most that may lead towards a height with `room` m to it, where `v` does now.
  double towards(double room, double v, double u, double age) const noexcept {
    const double fast = std::max({v, u, 0.0});
    const double left = room - upright(fast, age) - soft();
    double most =
        left > 0.0 ? left / scale(fast, bounds_.vertical_brake, age) : std::max(kGain * left, -kRetreat);
    if (v > most && most > 0.0) {
      most = std::max(2.0 * most - v, 0.0);
    }
    return most;
  }

  double keep_height(const State& s, double wanted) const noexcept {
    const double up = towards(ceiling_ - s.height, s.velocity.up, wanted, s.age);
    const double down = towards(s.height - floor_, -s.velocity.up, -wanted, s.age);
    double u = -down > up ? 0.5 * (up - down) : std::clamp(wanted, -down, up);
    const auto way = [&](double v) {
      return v * scale(v, bounds_.vertical_brake, s.age) + upright(v, s.age);
    };
    if (u > 0.0 && way(std::max(rising_, u)) > ceiling_ - s.height) {
      u = 0.0;
    } else if (u < 0.0 && way(std::max(sinking_, -u)) > s.height - floor_) {
      u = 0.0;
    }
    return u;
  }

  Bounds bounds_;
  std::vector<Fence> fences_;
  std::vector<Near> near_;
  std::size_t edges_ = 0;
  std::vector<Told> told_;
  std::size_t next_ = 0;

  Velocity now_;
  double fastest_ = 0.0;
  double rising_ = 0.0;
  double sinking_ = 0.0;
  double floor_ = -kFar;
  double ceiling_ = kFar;
};

}  // namespace giljabi::guard
