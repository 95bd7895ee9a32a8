// Places in map that the vehicle must stay inside, or out of, between heights.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace giljabi::guard {

struct Point {
  double x = 0.0;
  double y = 0.0;
};

inline Point operator+(Point a, Point b) noexcept { return {a.x + b.x, a.y + b.y}; }
inline Point operator-(Point a, Point b) noexcept { return {a.x - b.x, a.y - b.y}; }
inline Point operator*(double k, Point a) noexcept { return {k * a.x, k * a.y}; }
inline double dot(Point a, Point b) noexcept { return a.x * b.x + a.y * b.y; }
inline double size(Point a) noexcept { return std::hypot(a.x, a.y); }

using Polygon = std::vector<Point>;  // corners in order, closed by itself

// A way up or down [m in map].
struct Span {
  double low = 0.0;
  double high = 0.0;
};

struct Fence {
  Polygon corners;  // empty: every place; only the heights bound it
  bool keep_out = false;
  double low = -std::numeric_limits<double>::infinity();  // m above map's zero
  double high = std::numeric_limits<double>::infinity();

  bool banded() const noexcept { return std::isfinite(low) || std::isfinite(high); }
};

constexpr std::size_t kFenceEdges = 4096;  // of all fences together: what one tick has time for
constexpr double kFenceFar = 1e6;          // m from the origin of map

inline double cross(Point a, Point b, Point c) noexcept {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

inline bool inside(const Polygon& polygon, Point p) noexcept {
  bool in = false;
  for (std::size_t i = 0, k = polygon.size() - 1; i < polygon.size(); k = i++) {
    const Point a = polygon[i];
    const Point b = polygon[k];
    if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x) {
      in = !in;
    }
  }
  return in;
}

// The place of the segment a b that is nearest to p.
inline Point nearest(Point p, Point a, Point b) noexcept {
  const Point way = b - a;
  const double length = dot(way, way);
  const double share = length > 0.0 ? std::clamp(dot(p - a, way) / length, 0.0, 1.0) : 0.0;
  return a + share * way;
}

// From p to the segment a b [m].
inline double distance(Point p, Point a, Point b) noexcept { return size(p - nearest(p, a, b)); }

// Between the segments a b and c d [m].
inline double distance(Point a, Point b, Point c, Point d) noexcept {
  if (cross(a, b, c) * cross(a, b, d) < 0.0 && cross(c, d, a) * cross(c, d, b) < 0.0) {
    return 0.0;
  }
  return std::min({distance(a, c, d), distance(b, c, d), distance(c, a, b), distance(d, a, b)});
}

// What a polygon leaves beside the way a b [m]: 0 when the way crosses an edge or begins outside.
inline double room(const Polygon& polygon, Point a, Point b) noexcept {
  if (!inside(polygon, a)) {
    return 0.0;
  }
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0, k = polygon.size() - 1; i < polygon.size(); k = i++) {
    least = std::min(least, distance(a, b, polygon[k], polygon[i]));
  }
  return least;
}

// A polygon that lies within a circle, or for a keep-out one that holds it, 0.1 m from it at most where 256
// corners are enough.
inline Polygon round(Point centre, double radius, bool keep_out) {
  const double pi = std::acos(-1.0);
  const double half = std::acos(std::max(1.0 - 0.1 / radius, 0.5));
  const auto n = static_cast<std::size_t>(std::clamp(std::ceil(pi / half), 16.0, 256.0));
  const double r = keep_out ? radius / std::cos(pi / static_cast<double>(n)) : radius;
  Polygon out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double a = 2.0 * pi * static_cast<double>(i) / static_cast<double>(n);
    out[i] = {centre.x + r * std::cos(a), centre.y + r * std::sin(a)};
  }
  return out;
}

// Throws std::invalid_argument naming what is wrong.
inline void check(const std::vector<Fence>& fences) {
  const auto need = [](bool ok, const char* what) {
    if (!ok) {
      throw std::invalid_argument(what);
    }
  };
  std::size_t edges = 0;
  for (const Fence& f : fences) {
    need(!f.corners.empty() || (!f.keep_out && f.banded()), "a fence without corners bounds nothing");
    need(f.corners.empty() || f.corners.size() >= 3, "a fence has fewer than 3 corners");
    for (const Point& p : f.corners) {
      need(std::abs(p.x) <= kFenceFar && std::abs(p.y) <= kFenceFar, "a corner of a fence is not finite");
    }
    need(f.low < f.high, "the lower height of a fence is not below the upper one");
    edges += f.corners.size();
  }
  need(edges <= kFenceEdges, "the fences have more than 4096 corners together");
}

// The quadrilateral that a line of a body, rear to front, sweeps along a way.
struct Sweep {
  std::array<Point, 4> corners{};

  Sweep(Point rear, Point front, Point way) noexcept : corners{rear, front, front + way, rear + way} {}

  // Whether a point lies in it or on its edge; it may have no area.
  bool holds(Point p) const noexcept {
    int left = 0;
    int right = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const double side = cross(corners[i], corners[(i + 1) % 4], p);
      left += side > 0.0 ? 1 : 0;
      right += side < 0.0 ? 1 : 0;
    }
    return left == 0 || right == 0;
  }

  // From the nearest of its edges to the segment a b [m].
  double distance_to(Point a, Point b) const noexcept {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < 4; ++i) {
      least = std::min(least, distance(corners[i], corners[(i + 1) % 4], a, b));
    }
    return least;
  }
};

// Whether what is swept keeps `beside` m from the fence, and `span` its heights.
inline bool clear(const Fence& fence, const Sweep& sweep, double beside, Span span) noexcept {
  const bool within = span.low >= fence.low && span.high <= fence.high;
  if (fence.corners.empty() || (!fence.keep_out && !within)) {
    return within;
  }
  if (fence.keep_out && (span.high < fence.low || span.low > fence.high)) {
    return true;  // over or under it
  }
  const Polygon& polygon = fence.corners;
  if (inside(polygon, sweep.corners[0]) == fence.keep_out) {
    return false;
  }
  for (std::size_t i = 0, k = polygon.size() - 1; i < polygon.size(); k = i++) {
    if (sweep.distance_to(polygon[k], polygon[i]) <= beside) {
      return false;
    }
  }
  // A small keep-out may lie between the edges of what is swept; its corners tell.
  const bool area = cross(sweep.corners[0], sweep.corners[1], sweep.corners[2]) != 0.0;
  return !fence.keep_out || !area ||
         std::none_of(polygon.begin(), polygon.end(), [&](Point p) { return sweep.holds(p); });
}

}  // namespace giljabi::guard
