// Local planning at one height: distances on an occupancy grid, cost to go, and a search over accelerations.
//
// The search (after Liu et al. 2017, search-based motion planning for quadrotors) goes over pieces of
// constant acceleration, so its plans are time-optimal within limits up to the lattice, and passing left or
// right of anything are branches of one search. A state is only entered when a straight stop from it stays in
// known free space: every plan can be left by braking at any of its pieces. Unknown cells block plans; the
// cost to go is optimistic about them. What moves is a disc that goes on with its velocity and grows: no
// piece, no stop and no wait after it may be inside one. Distances by Felzenszwalb, Huttenlocher 2012.
// Nothing is allocated after construction.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace giljabi::planning {

enum Cell : std::uint8_t { kFree = 0, kOccupied = 1, kUnknown = 2 };

struct LatticeOptions {
  double clearance = 0.35;       // m, from the centre to anything
  double hard_clearance = 0.27;  // m, where a state that is already too near may still be left
  double speed_max = 5.0;        // m/s
  double acceleration = 5.0;     // m/s^2 along each axis
  double braking = 5.0;          // m/s^2
  double piece = 0.3;            // s
  double horizon = 1.8;          // s
  double goal_radius = 0.5;      // m
  double greed = 1.5;            // weight of the cost to go
  double wait = 2.0;             // s at the goal in which nothing that moves may come
  int expansions = 3000;
};

struct LatticeState {
  std::array<double, 2> p{}, v{};  // m, m/s
};

struct Piece {
  LatticeState begin;
  std::array<double, 2> a{};  // m/s^2
  double duration = 0.0;      // s
};

// A disc that goes straight on; its radius holds what is known of its place, the growth what is not of its
// ways.
struct Mover {
  std::array<double, 2> p{}, v{};     // m, m/s at the begin of the plan
  double radius = 0.0, growth = 0.0;  // m from centre to centre, m/s
};

class LatticePlanner {
 public:
  static constexpr int kPieces = 64;
  static constexpr int kMovers = 64;

  LatticePlanner(int width, int height, double resolution, const LatticeOptions& o)
      : width_(width),
        height_(height),
        resolution_(resolution),
        o_(o),
        cells_(size(), kUnknown),
        clear_(size()),
        wide_(size()),
        line_(static_cast<std::size_t>(std::max(width, height))),
        hull_(line_.size()),
        border_(line_.size() + 1),
        f_(line_.size()),
        coarse_w_((width + 1) / 2),
        coarse_h_((height + 1) / 2),
        to_go_(static_cast<std::size_t>(coarse_w_) * coarse_h_) {
    nodes_.reserve(static_cast<std::size_t>(o.expansions) * 9 + 2);
    open_.reserve(nodes_.capacity());
    heap_.reserve(to_go_.size() * 8 + 8);
    std::size_t slots = 16;
    while (slots < 4 * nodes_.capacity()) slots *= 2;
    seen_.assign(slots, {0, 0.0F, 0});
  }

  int width() const { return width_; }
  int height() const { return height_; }

  // Cells by rows (y), the first one with its corner at (x, y) [m]; the goal lies anywhere.
  void set_map(const std::uint8_t* cells, double x, double y, std::array<double, 2> goal) {
    x_ = x, y_ = y, goal_ = goal;
    std::copy(cells, cells + size(), cells_.begin());
    distances(clear_, [](std::uint8_t c) { return c != kFree; });
    distances(wide_, [](std::uint8_t c) { return c == kOccupied; });
    cost_to_go();
  }

  void limit_speed(double speed) { o_.speed_max = speed; }

  // What moves, from the begin of the next plan on; at most kMovers of them.
  void set_movers(const Mover* movers, int count) {
    movers_ = std::min(count, kMovers);
    std::copy(movers, movers + movers_, moving_.begin());
  }

  // Distance [m] to what is occupied; 0 outside the grid.
  double room(double x, double y) const { return look(wide_, x, y); }

  // Distance [m] to what is not known to be free, from a place in map; 0 outside the grid.
  double clearance(double x, double y) const { return look(clear_, x, y); }
  double cost_to_go(double x, double y) const {
    const int i = static_cast<int>((x - x_) / (2.0 * resolution_)),
              j = static_cast<int>((y - y_) / (2.0 * resolution_));
    if (i < 0 || j < 0 || i >= coarse_w_ || j >= coarse_h_) return std::hypot(goal_[0] - x, goal_[1] - y);
    const double centre_x = x_ + (2 * i + 1) * resolution_, centre_y = y_ + (2 * j + 1) * resolution_;
    const double at = to_go_[static_cast<std::size_t>(j) * coarse_w_ + i];
    // Within a cell the way goes straight to the goal.
    const double near = std::hypot(goal_[0] - x, goal_[1] - y),
                 far = std::hypot(goal_[0] - centre_x, goal_[1] - centre_y);
    return std::max(at + near - far, 0.0);
  }

  // Pieces from a state, the last of which brakes to a stop; 0 where there is no plan.
  int plan(const LatticeState& start, Piece* out) {
    begin_search(start);
    int best = -1;
    double best_cost = std::numeric_limits<double>::infinity();
    expanded_ = 0;
    while (!open_.empty() && expanded_ < o_.expansions) {
      std::pop_heap(open_.begin(), open_.end(), later);
      const int at = open_.back().node;
      open_.pop_back();
      if (nodes_[at].closed) continue;
      nodes_[at].closed = true;
      ++expanded_;
      if ((arrived(nodes_[at].state) && can_stop(nodes_[at].state, nodes_[at].time, o_.wait)) ||
          nodes_[at].time >= o_.horizon - 1e-9) {
        best = at;
        break;
      }
      // When the work is cut off: the one with the least way to go, in time.
      const double cost = nodes_[at].go + 0.2 * nodes_[at].time;
      if (cost < best_cost) best_cost = cost, best = at;
      expand(at);
    }
    return best < 0 ? 0 : trace(best, out);
  }

  int expanded() const { return expanded_; }

 private:
  struct Node {
    LatticeState state;
    std::array<double, 2> a{};
    double time = 0.0, go = 0.0;
    int parent = -1;
    bool closed = false;
  };
  struct Entry {
    double key;
    int node;
  };
  struct Slot {
    std::uint64_t key;
    float time;
    std::uint32_t round;
  };

  static bool later(const Entry& a, const Entry& b) { return a.key > b.key; }

  std::size_t size() const { return static_cast<std::size_t>(width_) * height_; }

  double look(const std::vector<float>& field, double x, double y) const {
    const double u = (x - x_) / resolution_, v = (y - y_) / resolution_;
    if (!(u >= 0.0 && v >= 0.0 && u < width_ && v < height_)) return 0.0;
    return field[static_cast<std::size_t>(v) * width_ + static_cast<std::size_t>(u)];
  }

  // Distance of every cell's centre to the edge of the nearest cell that blocks, as of squares' centres less
  // half.
  template <class Blocks>
  void distances(std::vector<float>& out, const Blocks& blocks) {
    constexpr double kFar = 1e12;
    for (std::size_t i = 0; i < size(); ++i) out[i] = blocks(cells_[i]) ? 0.0F : static_cast<float>(kFar);
    for (int x = 0; x < width_; ++x) {
      for (int y = 0; y < height_; ++y) f_[y] = out[static_cast<std::size_t>(y) * width_ + x];
      parabolas(height_);
      for (int y = 0; y < height_; ++y)
        out[static_cast<std::size_t>(y) * width_ + x] = static_cast<float>(line_[y]);
    }
    for (int y = 0; y < height_; ++y) {
      float* row = &out[static_cast<std::size_t>(y) * width_];
      for (int x = 0; x < width_; ++x) f_[x] = row[x];
      parabolas(width_);
      for (int x = 0; x < width_; ++x)
        row[x] = static_cast<float>(resolution_ * std::max(std::sqrt(std::min(line_[x], 1e8)) - 0.5, 0.0));
    }
  }

  // line_[q] = min over p of (q - p)^2 + f_[p].
  void parabolas(int n) {
    int k = 0;
    hull_[0] = 0;
    border_[0] = -1e15, border_[1] = 1e15;
    for (int q = 1; q < n; ++q) {
      double s;
      while (true) {
        const int p = hull_[k];
        s = ((f_[q] + double(q) * q) - (f_[p] + double(p) * p)) / (2.0 * (q - p));
        if (s > border_[k] || k == 0) break;
        --k;
      }
      if (s <= border_[k]) {
        hull_[k] = q;
      } else {
        hull_[++k] = q;
        border_[k] = s;
      }
      border_[k + 1] = 1e15;
    }
    k = 0;
    for (int q = 0; q < n; ++q) {
      while (border_[k + 1] < q) ++k;
      const double d = q - hull_[k];
      line_[q] = d * d + f_[hull_[k]];
    }
  }

  // Length of way to the goal over cells of double size; ways near obstacles count as longer.
  void cost_to_go() {
    const float far = std::numeric_limits<float>::max();
    std::fill(to_go_.begin(), to_go_.end(), far);
    heap_.clear();
    const auto centre = [this](int i, int j) {
      return std::array<double, 2>{x_ + (2 * i + 1) * resolution_, y_ + (2 * j + 1) * resolution_};
    };
    const int gi = static_cast<int>(std::floor((goal_[0] - x_) / (2.0 * resolution_))),
              gj = static_cast<int>(std::floor((goal_[1] - y_) / (2.0 * resolution_)));
    const bool inside = gi >= 0 && gj >= 0 && gi < coarse_w_ && gj < coarse_h_;
    for (int j = 0; j < coarse_h_; ++j) {
      for (int i = 0; i < coarse_w_; ++i) {
        const bool edge = i == 0 || j == 0 || i == coarse_w_ - 1 || j == coarse_h_ - 1;
        if (inside ? (i != gi || j != gj) : !edge) continue;
        const auto c = centre(i, j);
        push(i, j, static_cast<float>(std::hypot(goal_[0] - c[0], goal_[1] - c[1])));
      }
    }
    constexpr int di[8] = {1, -1, 0, 0, 1, 1, -1, -1}, dj[8] = {0, 0, 1, -1, 1, -1, 1, -1};
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const Entry e = heap_.back();
      heap_.pop_back();
      const int i = e.node % coarse_w_, j = e.node / coarse_w_;
      if (e.key > to_go_[e.node]) continue;
      for (int n = 0; n < 8; ++n) {
        const int a = i + di[n], b = j + dj[n];
        if (a < 0 || b < 0 || a >= coarse_w_ || b >= coarse_h_) continue;
        const auto c = centre(a, b);
        const double room = look(wide_, c[0], c[1]) - o_.clearance;
        const double price = room < -resolution_ ? 40.0
                             : room < 0.0        ? 8.0
                             : room < 0.3        ? 1.6 - 2.0 * room
                                                 : 1.0;
        const double step = (n < 4 ? 2.0 : 2.8284271247461903) * resolution_ * price;
        push(a, b, static_cast<float>(e.key + step));
      }
    }
  }

  void push(int i, int j, float cost) {
    const int at = j * coarse_w_ + i;
    if (cost >= to_go_[at]) return;
    to_go_[at] = cost;
    heap_.push_back({cost, at});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  void begin_search(const LatticeState& start) {
    ++round_;
    nodes_.clear();
    open_.clear();
    const double room = clearance(start.p[0], start.p[1]);
    enough_ = room >= o_.clearance ? o_.clearance : std::max(room - 0.25 * resolution_, o_.hard_clearance);
    for (int k = 0; k < movers_; ++k) leave(moving_[static_cast<std::size_t>(k)], start);
    Node n;
    n.state = start;
    n.go = cost_to_go(start.p[0], start.p[1]) / o_.speed_max;
    add(n);
  }

  // Who is inside a disc already may leave it: it comes no nearer than it must until it has turned away.
  void leave(Mover& m, const LatticeState& start) const {
    const double x = start.p[0] - m.p[0], y = start.p[1] - m.p[1], away = std::hypot(x, y);
    if (away >= m.radius) return;
    const double closing = -((start.v[0] - m.v[0]) * x + (start.v[1] - m.v[1]) * y) / std::max(away, 1e-6);
    const double turn = closing > 0.0 ? closing * closing / (1.4 * o_.acceleration) : 0.0;
    m.radius = std::max(away - turn - 0.02, 0.1), m.growth = 0.0;
  }

  void add(const Node& n) {
    nodes_.push_back(n);
    open_.push_back({n.time + o_.greed * n.go, static_cast<int>(nodes_.size()) - 1});
    std::push_heap(open_.begin(), open_.end(), later);
  }

  // True where an equal or better way to (about) this state is known; else remembers it.
  bool known(const LatticeState& s, double time) {
    const auto pack = [](double value, double unit) {
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(std::floor(value / unit)) & 0xffff);
    };
    const double dv = 0.5 * o_.acceleration * o_.piece;
    const std::uint64_t key =
        pack(s.p[0], 0.2) << 48 | pack(s.p[1], 0.2) << 32 | pack(s.v[0], dv) << 16 | pack(s.v[1], dv);
    std::uint64_t h = key * 0x9E3779B97F4A7C15ULL;
    for (std::size_t i = (h ^ (h >> 29)) & (seen_.size() - 1);; i = (i + 1) & (seen_.size() - 1)) {
      Slot& slot = seen_[i];
      if (slot.round != round_) {
        slot = {key, static_cast<float>(time), round_};
        return false;
      }
      if (slot.key != key) continue;
      if (slot.time <= time + 1e-6) return true;
      slot.time = static_cast<float>(time);
      return false;
    }
  }

  void expand(int at) {
    const Node from = nodes_[at];
    for (int k = 0; k < 9; ++k) {
      Node n;
      n.a = {(k % 3 - 1) * o_.acceleration, (k / 3 - 1) * o_.acceleration};
      n.state = after(from.state, n.a, o_.piece);
      if (std::hypot(n.state.v[0], n.state.v[1]) > o_.speed_max) continue;
      n.time = from.time + o_.piece;
      if (known(n.state, n.time)) continue;
      if (!clear_along(from.state, n.a, o_.piece, from.time) || !can_stop(n.state, n.time, 0.0)) continue;
      n.go = cost_to_go(n.state.p[0], n.state.p[1]) / o_.speed_max;
      n.parent = at;
      add(n);
    }
  }

  static LatticeState after(const LatticeState& s, const std::array<double, 2>& a, double t) {
    LatticeState out;
    for (std::size_t i = 0; i < 2; ++i) {
      out.p[i] = s.p[i] + s.v[i] * t + 0.5 * a[i] * t * t;
      out.v[i] = s.v[i] + a[i] * t;
    }
    return out;
  }

  // Distance [m] to the nearest thing that moves, t [s] after the begin of the plan, and who it is.
  double gap(const std::array<double, 2>& p, double t, double& speed) const {
    double least = std::numeric_limits<double>::infinity();
    for (int k = 0; k < movers_; ++k) {
      const Mover& m = moving_[static_cast<std::size_t>(k)];
      const double d =
          std::hypot(p[0] - m.p[0] - m.v[0] * t, p[1] - m.p[1] - m.v[1] * t) - m.radius - m.growth * t;
      if (d < least) least = d, speed = std::hypot(m.v[0], m.v[1]) + m.growth;
    }
    return least;
  }

  // Walks the piece, which begins `after_begin` [s] after the plan, in steps that cannot jump over anything.
  bool clear_along(const LatticeState& s, const std::array<double, 2>& a, double duration,
                   double after_begin) const {
    const double fastest = std::hypot(s.v[0], s.v[1]) + std::hypot(a[0], a[1]) * duration;
    for (double t = 0.0;;) {
      const LatticeState x = after(s, a, t);
      const double room = clearance(x.p[0], x.p[1]) - enough_;
      if (room < 0.0) return false;
      double step = std::max(room, 0.5 * resolution_) / std::max(fastest, 0.1);
      if (movers_ > 0) {
        double speed = 0.0;
        const double d = gap(x.p, after_begin + t, speed);
        if (d < 0.0) return false;
        step = std::min(step, std::max(d, 0.5 * resolution_) / std::max(fastest + speed, 0.1));
      }
      if (t >= duration) return true;
      t = std::min(t + step, duration);
    }
  }

  std::array<double, 2> brake(const LatticeState& s, double& duration) const {
    const double speed = std::hypot(s.v[0], s.v[1]);
    duration = speed / o_.braking;
    if (speed < 1e-9) return {0.0, 0.0};
    return {-o_.braking * s.v[0] / speed, -o_.braking * s.v[1] / speed};
  }

  // Whether a straight stop stays clear, and nothing comes while the vehicle waits there [s].
  bool can_stop(const LatticeState& s, double after_begin, double wait) const {
    double duration = 0.0;
    const auto a = brake(s, duration);
    if (!clear_along(s, a, duration, after_begin)) return false;
    if (movers_ == 0 || wait <= 0.0) return true;
    const LatticeState rest{after(s, a, duration).p, {}};
    return clear_along(rest, {0.0, 0.0}, wait, after_begin + duration);
  }

  bool arrived(const LatticeState& s) const {
    double duration = 0.0;
    const auto a = brake(s, duration);
    const LatticeState end = after(s, a, duration);
    return std::hypot(end.p[0] - goal_[0], end.p[1] - goal_[1]) < o_.goal_radius;
  }

  int trace(int at, Piece* out) const {
    std::array<int, kPieces> way{};
    int n = 0;
    for (int i = at; i >= 0 && n < kPieces - 1; i = nodes_[i].parent) way[n++] = i;
    int count = 0;
    for (int k = n - 1; k > 0; --k) out[count++] = {nodes_[way[k]].state, nodes_[way[k - 1]].a, o_.piece};
    Piece& last = out[count++];
    last.begin = nodes_[at].state;
    last.a = brake(last.begin, last.duration);
    return count;
  }

  int width_, height_;
  double resolution_;
  LatticeOptions o_;
  double x_ = 0.0, y_ = 0.0, enough_ = 0.0;
  std::array<double, 2> goal_{};
  std::array<Mover, kMovers> moving_{};
  int movers_ = 0;
  std::vector<std::uint8_t> cells_;
  std::vector<float> clear_, wide_;  // m, to anything but free cells; to occupied ones
  std::vector<double> line_;
  std::vector<int> hull_;
  std::vector<double> border_, f_;
  int coarse_w_, coarse_h_;
  std::vector<float> to_go_;
  std::vector<Entry> heap_, open_;
  std::vector<Node> nodes_;
  std::vector<Slot> seen_;
  std::uint32_t round_ = 0;
  int expanded_ = 0;
};

}  // namespace giljabi::planning
