// Polygons in map that the vehicle must stay inside, with the way it needs to come to rest.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace giljabi::guard {

struct Point {
  double x = 0.0;
  double y = 0.0;
};

using Polygon = std::vector<Point>;  // corners in order, closed by itself

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

// From p to the segment a b [m].
inline double distance(Point p, Point a, Point b) noexcept {
  const double length = (b.x - a.x) * (b.x - a.x) + (b.y - a.y) * (b.y - a.y);
  const double along = (p.x - a.x) * (b.x - a.x) + (p.y - a.y) * (b.y - a.y);
  const double share = length > 0.0 ? std::clamp(along / length, 0.0, 1.0) : 0.0;
  return std::hypot(p.x - a.x - share * (b.x - a.x), p.y - a.y - share * (b.y - a.y));
}

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

}  // namespace giljabi::guard
