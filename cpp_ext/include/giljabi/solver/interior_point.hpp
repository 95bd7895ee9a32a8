// Primal-dual interior point for the quadratic subproblem (Mehrotra 1992; structure as in Rao, Wright,
// Rawlings 1998).
//
// The Newton system is solved for the new point rather than for the step, so the dynamics hold at every
// target. Slacks of elastic sides are eliminated analytically: each side adds one number to the Hessian.
// Work on the sides runs over all stages before the recursion reads it: side by side in vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "giljabi/solver/budget.hpp"
#include "giljabi/solver/riccati.hpp"

namespace giljabi::solver {

struct InteriorPointOptions {
  double barrier_start = 1.0;        // complementarity of a cold start, in units of cost
  double barrier_floor = 3e-6;       // least complementarity of a warm start, in units of cost
  double barrier_tolerance = 1e-5;   // done when every complementarity is below
  double residual_tolerance = 1e-3;  // done when the linear residuals are below, relative to widths
  int max_iterations = 25;
};

// precision_limit: the next direction is lost to rounding, the point reached is good.
enum class QpStatus { converged, iteration_limit, time_limit, precision_limit, failed };

template <class Structure>
class InteriorPoint {
 public:
  using Stage = QpStage<Structure>;
  using Recursion = Riccati<Structure>;
  static constexpr int nx = Stage::nx, nu = Stage::nu, nh = Stage::nh, nz = Stage::nz, nzp = Stage::nzp;
  static constexpr int nm = Stage::nm, input_sides = Stage::input_sides;

  InteriorPointOptions options;
  Budget budget;
  std::vector<StateSide> state_sides;  // capacity 2 nx is reserved at construction

  explicit InteriorPoint(int horizon) : stages_(static_cast<std::size_t>(horizon) + 1), horizon_(horizon) {
    state_sides.reserve(2 * nx);
    std::fill(input_live_, input_live_ + input_sides, 1.0);
  }

  Stage& stage(int k) { return stages_[static_cast<std::size_t>(k)]; }
  const Stage& stage(int k) const { return stages_[static_cast<std::size_t>(k)]; }
  int horizon() const { return horizon_; }
  int sides() const { return nh + static_cast<int>(state_sides.size()); }
  // Elastic sides of stage k: those on inputs have no place at the end, those on states none at the start.
  int first_side(int k) const { return k < horizon_ ? 0 : nm; }
  int last_side(int k) const { return k > 0 ? sides() : nm; }
  int iterations() const { return iterations_; }
  double complementarity() const { return worst_product_; }
  double l1(int side) const { return l1_[side]; }
  double l2(int side) const { return l2_[side]; }

  // Scale of each side's room: input sides, then elastic sides; penalties of the elastic sides.
  void set_sides(const double* input_width, const double* width, const double* l1, const double* l2) {
    std::copy(input_width, input_width + input_sides, input_width_);
    const int m = sides();
    for (int i = 0; i < padded(m); ++i) {
      const bool live = i < m;
      width_[i] = live ? width[i] : 1.0;
      l1_[i] = live ? l1[i] : 2.0;
      l2_[i] = live ? l2[i] : 0.0;
      live_[0][i] = i < nm ? 1.0 : 0.0;
      live_[1][i] = live ? 1.0 : 0.0;
      live_[2][i] = live && i >= nm ? 1.0 : 0.0;
    }
    if (m != settled_) settle();
  }

  // Slacks and multipliers of a cold start.
  void start_cold() {
    centre(options.barrier_start);
    reset_point();
  }

  // Keeps the multipliers of the last solve; every product is at least the floor. Where the problem has
  // changed much, some products are large: the others are raised too, or their sides would block the way.
  void start_warm() {
    raise_products(options.barrier_floor);
    sum_products();
    const double floor = std::min(0.1 * worst_product_, options.barrier_start);
    if (floor > options.barrier_floor) raise_products(floor);
    reset_point();
  }

  // First factorization and backward sweep; does not need the initial state.
  void prepare() {
    iterations_ = 0;
    sum_products();
    factorize();
    prepared_ = true;
  }

  // Solves for the initial state dx0 (nx); the result is in `z` of the stages.
  QpStatus solve(const double* dx0);

  // Moves slacks and multipliers one stage towards the present; the last stage keeps its own.
  void shift() {
    for (int k = 0; k < horizon_; ++k) {
      Stage& to = stage(k);
      const Stage& from = stage(k + 1);
      if (k + 1 < horizon_) std::copy(from.input_lambda, from.input_lambda + input_sides, to.input_lambda);
      const int first = first_side(k + 1), last = last_side(k);
      if (first >= last) continue;
      std::copy(from.lambda + first, from.lambda + last, to.lambda + first);
      std::copy(from.nu_s + first, from.nu_s + last, to.nu_s + first);
      std::copy(from.s + first, from.s + last, to.s + first);
    }
  }

 private:
  static constexpr int wide = lanes < 4 ? lanes : 4;  // sides worked on at once
  using V = Vector<wide>;
  static GILJABI_INLINE V get(const double* from) { return load<wide>(from); }
  static GILJABI_INLINE V each(double value) { return all<wide>(value); }

  // What the predictor aims every product at.
  double first_target() const { return 0.05 * options.barrier_tolerance; }
  QpStatus lost() const {
    return iterations_ > 0 && remaining_ <= 1e-3 ? QpStatus::precision_limit : QpStatus::failed;
  }
  double correct(double predicted);
  double corrected(double share);
  void start_over();
  void centre(double mu);
  void settle();
  void raise_products(double floor);
  void reset_point();
  double primal_residual() const;
  void factorize();
  void backward_sweep();
  void gather_slopes();
  double direction();
  void update(double length);
  void sum_products();
  template <bool corrector>
  void aim();
  void spread(bool stiffness);

  void forward_sweep() {
    for (int k = 0; k < horizon_; ++k) Recursion::forward(stage(k), stage(k + 1));
  }
  const StateSide& side(int i) const { return state_sides[static_cast<std::size_t>(i - nh)]; }

  std::vector<Stage> stages_;
  int horizon_;
  int iterations_ = 0, count_ = 1, settled_ = -1;
  bool prepared_ = false;
  double products_ = 0.0, worst_product_ = 0.0, second_order_ = 0.0, worst_second_order_ = 0.0;
  double target_product_ = 0.0, second_order_share_ = 1.0, remaining_ = 1.0;
  // 1 for the sides that stage k has, 0 for the others and the padding: their slacks and multipliers stay
  // at 1.
  const double* live(int k) const { return live_[k == 0 ? 0 : k < horizon_ ? 1 : 2]; }

  // Of the sides, the same at every stage.
  alignas(64) typename Stage::Inputs input_width_ = {};
  alignas(64) typename Stage::Inputs input_live_ = {};
  alignas(64) typename Stage::Elastics width_ = {};
  alignas(64) typename Stage::Elastics l1_ = {};
  alignas(64) typename Stage::Elastics l2_ = {};
  alignas(64) typename Stage::Elastics live_[3] = {};  // first stage, between, last stage
};

}  // namespace giljabi::solver

#include "giljabi/solver/newton.hpp"
#include "giljabi/solver/sides.hpp"
