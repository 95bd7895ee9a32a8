// A rolling grid of what a scanner has seen at about the vehicle's height: log-odds of occupied, by rays.
//
// Cells are kept modulo the window, so that moving it copies nothing. A cell remembers at which height it was
// looked at: at another height it is unknown again. Rays by Amanatides, Woo 1987. Nothing is allocated after
// construction.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace giljabi::perception {

struct ScanGridOptions {
  double hit = 0.9, miss = 0.45;       // log-odds of one ray
  double most = 3.5, least = -2.0;     // limits of a cell's log-odds
  double occupied = 0.6, free = -0.2;  // from where on a cell counts as such
  double band = 1.0;                   // m, heights that count as the same
};

class ScanGrid {
 public:
  ScanGrid(int size, double resolution, const ScanGridOptions& o)
      : n_(size), resolution_(resolution), o_(o), cells_(static_cast<std::size_t>(size) * size) {}

  int size() const { return n_; }
  double resolution() const { return resolution_; }
  double corner_x() const { return i0_ * resolution_; }
  double corner_y() const { return j0_ * resolution_; }

  // The window has its middle at a place [m], and its layer at a height; what falls out is forgotten.
  void move_to(double x, double y, double z) {
    z_ = z;
    const long i = std::lround(x / resolution_) - n_ / 2, j = std::lround(y / resolution_) - n_ / 2;
    if (i == i0_ && j == j0_) return;
    if (std::abs(i - i0_) >= n_ || std::abs(j - j0_) >= n_) {
      std::fill(cells_.begin(), cells_.end(), Cell{});
    } else {
      for (long k = std::min(i, i0_); k < std::max(i, i0_); ++k)
        for (long m = 0; m < n_; ++m) at(k, m) = Cell{};
      for (long k = std::min(j, j0_); k < std::max(j, j0_); ++k)
        for (long m = 0; m < n_; ++m) at(m, k) = Cell{};
    }
    i0_ = i, j0_ = j;
  }

  // From here on, rays are of another scan: a cell that one of its rays ends in is passed by none of them.
  void next_scan() { ++scan_; }

  // A ray's end in something [m].
  void hit(double x, double y, double z) {
    if (std::abs(z - z_) > o_.band) return;
    const long i = cell(x), j = cell(y);
    if (!inside(i, j)) return;
    Cell& c = seen(i, j, z);
    if (c.scan == scan_) return;
    c.scan = scan_;
    c.odds = static_cast<float>(std::min(c.odds + o_.hit, o_.most));
  }

  // A ray that met nothing from a place to another one [m], which is left out.
  void pass(double x, double y, double z, double to_x, double to_y, double to_z) {
    const double dx = to_x - x, dy = to_y - y, length = std::hypot(dx, dy);
    if (!(length > 0.0 && length < 1e4)) return;
    const long di = dx > 0.0 ? 1 : -1, dj = dy > 0.0 ? 1 : -1;
    long i = cell(x), j = cell(y);
    const long end_i = cell(to_x), end_j = cell(to_y);
    const double far = std::numeric_limits<double>::infinity();
    const double step_i = dx != 0.0 ? resolution_ / std::abs(dx) : far,
                 step_j = dy != 0.0 ? resolution_ / std::abs(dy) : far;
    double next_i = dx != 0.0 ? ((i + (di > 0)) * resolution_ - x) / dx : far,
           next_j = dy != 0.0 ? ((j + (dj > 0)) * resolution_ - y) / dy : far;
    for (double share = 0.0; share < 1.0 && !(i == end_i && j == end_j);) {
      const double height = z + share * (to_z - z);
      if (std::abs(height - z_) > o_.band || !inside(i, j)) return;
      Cell& c = seen(i, j, height);
      if (c.scan != scan_) {
        c.scan = scan_;
        c.odds = static_cast<float>(std::max(c.odds - o_.miss, o_.least));
      }
      if (next_i < next_j)
        share = next_i, next_i += step_i, i += di;
      else
        share = next_j, next_j += step_j, j += dj;
    }
  }

  // Rows along y, from the window's corner: 0 free, 1 occupied, 2 unknown, at the layer's height.
  void cells(std::uint8_t* out) const {
    for (long j = 0; j < n_; ++j) {
      for (long i = 0; i < n_; ++i) {
        const Cell& c = cells_[index(i0_ + i, j0_ + j)];
        const bool known = std::abs(c.z - z_) <= o_.band;
        *out++ = !known ? 2 : c.odds > o_.occupied ? 1 : c.odds < o_.free ? 0 : 2;
      }
    }
  }

 private:
  struct Cell {
    float odds = 0.0F, z = std::numeric_limits<float>::infinity();
    std::uint32_t scan = 0;
  };

  long cell(double v) const { return static_cast<long>(std::floor(v / resolution_)); }
  bool inside(long i, long j) const { return i >= i0_ && j >= j0_ && i < i0_ + n_ && j < j0_ + n_; }
  std::size_t index(long i, long j) const {
    const long a = ((i % n_) + n_) % n_, b = ((j % n_) + n_) % n_;
    return static_cast<std::size_t>(b) * static_cast<std::size_t>(n_) + static_cast<std::size_t>(a);
  }
  Cell& at(long i, long j) { return cells_[index(i, j)]; }

  // The cell, begun anew where it was looked at from another height.
  Cell& seen(long i, long j, double z) {
    Cell& c = at(i, j);
    if (!(std::abs(c.z - z_) <= o_.band)) c = Cell{};
    c.z = static_cast<float>(z);
    return c;
  }

  int n_;
  double resolution_;
  ScanGridOptions o_;
  long i0_ = 0, j0_ = 0;
  double z_ = 0.0;
  std::uint32_t scan_ = 0;
  std::vector<Cell> cells_;
};

}  // namespace giljabi::perception
