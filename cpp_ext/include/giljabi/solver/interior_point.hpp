// Primal-dual interior point for the quadratic subproblem (Mehrotra 1992; structure as in Rao, Wright,
// Rawlings 1998).
//
// The Newton system is solved for the new point rather than for the step, so the dynamics hold at every
// target. Slacks of elastic sides are eliminated analytically: each side adds one number to the Hessian.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "giljabi/solver/riccati.hpp"

namespace giljabi::solver {

struct InteriorPointOptions {
  double barrier_start = 1.0;        // complementarity of a cold start, in units of cost
  double barrier_floor = 1e-3;       // least complementarity of a warm start, in units of cost
  double barrier_tolerance = 1e-5;   // done when every complementarity is below
  double residual_tolerance = 1e-3;  // done when the linear residuals are below, relative to widths
  int max_iterations = 25;
};

enum class QpStatus { converged, iteration_limit, failed };

template <class Structure>
class InteriorPoint {
 public:
  using Stage = QpStage<Structure>;
  using Recursion = Riccati<Structure>;
  static constexpr int nx = Stage::nx, nu = Stage::nu, nh = Stage::nh, nz = Stage::nz, nzp = Stage::nzp;
  static constexpr int nm = Stage::nm;
  static constexpr int nxp = Stage::nxp, input_sides = Stage::input_sides;

  InteriorPointOptions options;
  std::vector<StateSide> state_sides;  // capacity 2 nx is reserved at construction

  explicit InteriorPoint(int horizon) : stages_(static_cast<std::size_t>(horizon) + 1), horizon_(horizon) {
    state_sides.reserve(2 * nx);
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
  // Linear residuals that the last solve left, relative to the widths.
  double remaining() const { return remaining_; }

  // Scale of each side's room: input sides, then elastic sides.
  void set_widths(const double* input_width, const double* width) {
    std::copy(input_width, input_width + input_sides, input_width_);
    std::copy(width, width + sides(), width_);
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
  QpStatus solve(const double* dx0) {
    if (!prepared_) prepare();
    prepared_ = false;
    for (int i = 0; i < nx; ++i) stage(0).step[nu + i] = dx0[i];
    int short_steps = 0, restarts = 0;
    for (;;) {
      forward_sweep();
      const double predicted = direction(false);
      const double alpha = std::min(1.0, predicted);
      const double after = products_ + alpha * (first_order_ + alpha * second_order_);
      const double ratio = products_ > 0.0 ? std::max(after, 0.0) / products_ : 0.0;
      if (!std::isfinite(ratio)) return QpStatus::failed;
      target_product_ = ratio * ratio * ratio * products_ / count_;
      second_order_share_ = 1.0;
      double length = corrected();
      if (length < 0.3 * alpha) {  // the second-order term misleads far from the central path: centre only
        second_order_share_ = 0.0;
        target_product_ = std::max(target_product_, 0.3 * products_ / count_);
        length = corrected();
      }
      if (!std::isfinite(length) || !std::isfinite(first_order_)) return QpStatus::failed;
      update(length);
      for (int i = 0; i < nx; ++i) stage(0).step[nu + i] *= 1.0 - length;
      ++iterations_;
      remaining_ *= 1.0 - length;
      if (worst_product_ <= options.barrier_tolerance && remaining_ <= options.residual_tolerance)
        return QpStatus::converged;
      if (iterations_ >= options.max_iterations) return QpStatus::iteration_limit;
      short_steps = length < 0.05 ? short_steps + 1 : 0;
      if (short_steps == 3 && restarts < 2) {  // too close to the boundary for what has to change
        short_steps = 0;
        ++restarts;
        centre(100.0 * std::max(products_ / count_, options.barrier_start));
        remaining_ = std::max(remaining_, primal_residual());
        sum_products();
      }
      factorize();
    }
  }

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
  void raise_products(double floor) {
    for (int k = 0; k <= horizon_; ++k) {
      Stage& st = stage(k);
      for (int i = 0; i < input_sides && k < horizon_; ++i) {
        const double least = std::min(floor / st.input_lambda[i], 0.01 * input_width_[i]);
        st.input_t[i] = std::max(st.input_room[i], least);
        st.input_lambda[i] = std::max(st.input_lambda[i], floor / st.input_t[i]);
      }
      for (int i = first_side(k); i < last_side(k); ++i) {
        st.s[i] = std::max(st.s[i], std::min(floor / st.nu_s[i], 0.01 * width_[i]));
        st.nu_s[i] = std::max(st.nu_s[i], floor / st.s[i]);
        st.t[i] = std::max(st.room[i] + st.s[i], std::min(floor / st.lambda[i], 0.01 * width_[i]));
        st.lambda[i] = std::max(st.lambda[i], floor / st.t[i]);
      }
    }
  }

  // Corrector step to the target product; returns the length of the step.
  double corrected() {
    backward_sweep(true);
    forward_sweep();
    return std::min(1.0, 0.995 * direction(true));
  }

  // Slacks and multipliers around the present point with every product mu.
  void centre(double mu) {
    for (int k = 0; k <= horizon_; ++k) {
      Stage& st = stage(k);
      for (int i = 0; i < input_sides && k < horizon_; ++i) {
        st.input_t[i] = std::max(st.input_room[i], 0.01 * input_width_[i]);
        st.input_lambda[i] = mu / st.input_t[i];
      }
      for (int i = first_side(k); i < last_side(k); ++i) {
        st.t[i] = std::max(st.room[i], 0.0) + 0.01 * width_[i];
        st.lambda[i] = mu / st.t[i];
        st.s[i] = std::max(-st.room[i], 0.0) + mu / st.l1[i];
        st.nu_s[i] = mu / st.s[i];
      }
    }
  }

  void reset_point() {
    for (auto& st : stages_) std::fill(st.z, st.z + nzp, 0.0);
    remaining_ = primal_residual();
    prepared_ = false;
  }

  // Largest mismatch of a slack and its room, relative to the width; at least 1.
  double primal_residual() const {
    double worst = 1.0;
    for (int k = 0; k <= horizon_; ++k) {
      const Stage& st = stage(k);
      for (int i = 0; i < input_sides && k < horizon_; ++i)
        worst = std::max(worst, std::abs(st.input_room[i] - st.input_t[i]) / input_width_[i]);
      for (int i = first_side(k); i < last_side(k); ++i)
        worst = std::max(worst, std::abs(st.room[i] + st.s[i] - st.t[i]) / width_[i]);
    }
    return worst;
  }

  // Riccati recursion with the barrier's stiffness, and the backward sweep of the predictor.
  void factorize() {
    for (int k = horizon_; k >= 0; --k) {
      Stage& st = stage(k);
      alignas(64) double weight[nzp];
      for (int j = 0; j < nzp; ++j) weight[j] = st.weight[j];
      if (k < horizon_) {
        for (int i = 0; i < nu; ++i)
          weight[i] += st.input_lambda[i] / st.input_t[i] + st.input_lambda[nu + i] / st.input_t[nu + i];
      }
      for (int i = first_side(k); i < last_side(k); ++i) {
        const double a = st.lambda[i] / st.t[i];
        const double share = a / (a + st.l2[i] + st.nu_s[i] / st.s[i]);
        st.a[i] = a;
        st.share[i] = share;
        st.stiffness[i] = a * (1.0 - share);
      }
      for (int i = nh; i < last_side(k); ++i) weight[nu + side(i).state] += st.stiffness[i];
      for (int i = 0; i < nm && k == horizon_; ++i) st.stiffness[i] = 0.0;
      for (int i = nm; i < nh && k == 0; ++i) st.stiffness[i] = 0.0;
      if (k == horizon_)
        Recursion::factorize_last(st, weight);
      else
        Recursion::factorize(st, stage(k + 1), weight);
      backward_stage(k, false);
    }
  }

  void backward_sweep(bool corrector) {
    for (int k = horizon_; k >= 0; --k) backward_stage(k, corrector);
  }

  void backward_stage(int k, bool corrector) {
    Stage& st = stage(k);
    alignas(64) double g[nzp];
    for (int j = 0; j < nzp; ++j) g[j] = st.gradient[j];
    if (k < horizon_) {
      double pull[input_sides];
      for (int i = 0; i < input_sides; ++i) {
        st.input_tau[i] =
            corrector ? target_product_ - second_order_share_ * st.input_dt[i] * st.input_dlambda[i] : 0.0;
        pull[i] = (st.input_lambda[i] * (st.input_room[i] - st.input_t[i]) - st.input_tau[i]) / st.input_t[i];
      }
      for (int i = 0; i < nu; ++i) g[i] += pull[i] - pull[nu + i];
    }
    if (k > 0 || nm > 0) {
      const int first = first_side(k), last = last_side(k);
      double pull[Stage::elastic_sides] = {};
      for (int i = first; i < last; ++i) {
        st.tau_t[i] = corrector ? target_product_ - second_order_share_ * st.dt[i] * st.dlambda[i] : 0.0;
        st.tau_s[i] = corrector ? target_product_ - second_order_share_ * st.ds[i] * st.dnu[i] : 0.0;
        const double from_t = st.tau_t[i] / st.t[i];
        const double sigma = st.l1[i] + st.l2[i] * st.s[i] - from_t - st.tau_s[i] / st.s[i];
        pull[i] = -from_t + st.stiffness[i] * (st.room[i] + st.s[i] - st.t[i]) - st.share[i] * sigma;
      }
      for (int i = nh; i < last; ++i) g[nu + side(i).state] += side(i).sign * pull[i];
      static_for<nh>([&](auto r) {
        static_for<nx>([&](auto j) {
          if constexpr (has(Structure::constraints[r], j)) g[nu + j] += st.row[r * nxp + j] * pull[r];
        });
      });
      static_for<nm>([&](auto r) {
        static_for<nu>([&](auto j) {
          if constexpr (has(Structure::mixed[r], j)) g[j] += st.input_row[r * nu + j] * pull[r];
        });
      });
    }
    if (k == horizon_)
      Recursion::backward_last(st, g);
    else
      Recursion::backward(st, stage(k + 1), g);
  }

  void forward_sweep() {
    for (int k = 0; k < horizon_; ++k) Recursion::forward(stage(k), stage(k + 1));
  }

  // Directions of slacks and multipliers with the step; returns the step length to the boundary.
  double direction(bool with_tau) {
    double worst = 1e-16;  // largest relative decrease
    double first = 0.0, second = 0.0;
    for (int k = 0; k <= horizon_; ++k) {
      Stage& st = stage(k);
      if (k < horizon_) {
        for (int i = 0; i < input_sides; ++i) {
          const double du = i < nu ? st.step[i] : -st.step[i - nu];
          const double t = st.input_t[i], lambda = st.input_lambda[i];
          const double dt = st.input_room[i] - t + du;
          const double dlambda = -lambda + ((with_tau ? st.input_tau[i] : 0.0) - lambda * dt) / t;
          st.input_dt[i] = dt;
          st.input_dlambda[i] = dlambda;
          worst = std::max(worst, std::max(-dt / t, -dlambda / lambda));
          first += lambda * dt + t * dlambda;
          second += dt * dlambda;
        }
      }
      if (k == 0 && nm == 0) continue;
      const int m = last_side(k);
      static_for<nh>([&](auto r) {
        double sum = 0.0;
        static_for<nx>([&](auto j) {
          if constexpr (has(Structure::constraints[r], j)) sum += st.row[r * nxp + j] * st.step[nu + j];
        });
        if constexpr (r < nm) {
          static_for<nu>([&](auto j) {
            if constexpr (has(Structure::mixed[r], j)) sum += st.input_row[r * nu + j] * st.step[j];
          });
        }
        st.slope[r] = sum;
      });
      for (int i = nh; i < m; ++i) st.slope[i] = side(i).sign * st.step[nu + side(i).state];
      for (int i = first_side(k); i < m; ++i) {
        const double t = st.t[i], lambda = st.lambda[i], s = st.s[i], nu_s = st.nu_s[i], a = st.a[i];
        const double from_t = (with_tau ? st.tau_t[i] : 0.0) / t, from_s = (with_tau ? st.tau_s[i] : 0.0) / s;
        const double b = st.l2[i] + nu_s / s;
        const double sigma = st.l1[i] + st.l2[i] * s - from_t - from_s;
        const double left = st.room[i] + s - t + st.slope[i];
        const double ds = -(sigma + a * left) / (a + b);
        const double dt = left + ds;
        const double dlambda = -lambda + from_t - a * dt;
        const double dnu = -nu_s + from_s - nu_s / s * ds;
        st.ds[i] = ds;
        st.dt[i] = dt;
        st.dlambda[i] = dlambda;
        st.dnu[i] = dnu;
        worst =
            std::max(worst, std::max(std::max(-dt / t, -dlambda / lambda), std::max(-ds / s, -dnu / nu_s)));
        first += lambda * dt + t * dlambda + nu_s * ds + s * dnu;
        second += dt * dlambda + ds * dnu;
      }
    }
    first_order_ = first;
    second_order_ = second;
    return 1.0 / worst;
  }

  void update(double length) {
    for (int k = 0; k <= horizon_; ++k) {
      Stage& st = stage(k);
      for (int j = 0; j < nz; ++j) {
        const double part = length * st.step[j];
        st.z[j] += part;
        st.gradient[j] += st.weight[j] * part;
      }
      for (int i = 0; i < nx; ++i) st.gap[i] *= 1.0 - length;
      for (int i = 0; i < nu; ++i) {
        st.input_room[i] += length * st.step[i];
        st.input_room[nu + i] -= length * st.step[i];
      }
      for (int i = first_side(k); i < last_side(k); ++i) st.room[i] += length * st.slope[i];
      for (int i = 0; i < input_sides; ++i) {
        st.input_t[i] += length * st.input_dt[i];
        st.input_lambda[i] += length * st.input_dlambda[i];
      }
      for (int i = first_side(k); i < last_side(k); ++i) {
        // What stays of l1 + l2 s - lambda - nu is known; it gives the larger multiplier without
        // cancellation.
        const double left = (1.0 - length) * (st.l1[i] + st.l2[i] * st.s[i] - st.lambda[i] - st.nu_s[i]);
        st.t[i] += length * st.dt[i];
        st.lambda[i] += length * st.dlambda[i];
        st.s[i] += length * st.ds[i];
        st.nu_s[i] += length * st.dnu[i];
        const double sum = st.l1[i] + st.l2[i] * st.s[i] - left;
        (st.lambda[i] > st.nu_s[i] ? st.lambda[i] : st.nu_s[i]) = sum - std::min(st.lambda[i], st.nu_s[i]);
      }
    }
    sum_products();
  }

  void sum_products() {
    double sum = 0.0, worst = 0.0;
    for (int k = 0; k <= horizon_; ++k) {
      const Stage& st = stage(k);
      if (k < horizon_) {
        for (int i = 0; i < input_sides; ++i) {
          const double product = st.input_t[i] * st.input_lambda[i];
          sum += product;
          worst = std::max(worst, product);
        }
      }
      for (int i = first_side(k); i < last_side(k); ++i) {
        const double one = st.t[i] * st.lambda[i], two = st.s[i] * st.nu_s[i];
        sum += one + two;
        worst = std::max(worst, std::max(one, two));
      }
    }
    products_ = sum;
    worst_product_ = worst;
    count_ = std::max(1, horizon_ * (input_sides + 2 * sides()));  // as many stages have each side
  }

  const StateSide& side(int i) const { return state_sides[static_cast<std::size_t>(i - nh)]; }

  std::vector<Stage> stages_;
  int horizon_;
  int iterations_ = 0, count_ = 1;
  bool prepared_ = false;
  double products_ = 0.0, worst_product_ = 0.0, first_order_ = 0.0, second_order_ = 0.0;
  double target_product_ = 0.0, second_order_share_ = 1.0, remaining_ = 1.0;
  double input_width_[input_sides] = {}, width_[Stage::elastic_sides] = {};
};

}  // namespace giljabi::solver
