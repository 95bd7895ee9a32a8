// Interior point: the iteration and the direction of a Newton step.
#pragma once

#include "giljabi/solver/interior_point.hpp"

namespace giljabi::solver {

template <class Structure>
QpStatus InteriorPoint<Structure>::solve(const double* dx0) {
  if (!prepared_) prepare();
  prepared_ = false;
  for (int i = 0; i < nx; ++i) stage(0).step[nu + i] = dx0[i];
  int short_steps = 0, restarts = 0;
  bool may_start_over = nh == 0;  // slacks of soft constraints know better than a new centre
  for (;;) {
    forward_sweep();
    gather_slopes();
    const double predicted = direction();
    double length = std::min(1.0, 0.995 * predicted);
    if (!std::isfinite(length) || !std::isfinite(second_order_)) return lost();
    if (may_start_over && predicted < 0.5) {  // too much has changed for the old multipliers
      may_start_over = false;
      start_over();
      length = 1.0;
    } else {
      if (length < 1.0 || worst_second_order_ > options.barrier_tolerance) length = correct(predicted);
      if (!std::isfinite(length) || !std::isfinite(second_order_)) return lost();
      update(length);
      remaining_ *= 1.0 - length;
    }
    for (int i = 0; i < nx; ++i) stage(0).step[nu + i] *= 1.0 - length;
    ++iterations_;
    if (worst_product_ <= options.barrier_tolerance && remaining_ <= options.residual_tolerance)
      return QpStatus::converged;
    if (iterations_ >= options.max_iterations) return QpStatus::iteration_limit;
    if (!budget.another()) return QpStatus::time_limit;
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

// Mehrotra's corrector after a predictor that reaches the boundary at `predicted`; returns the length of the
// step.
template <class Structure>
double InteriorPoint<Structure>::correct(double predicted) {
  const double alpha = std::min(1.0, predicted), mean = products_ / count_;
  const double aimed = first_target() * count_ - products_;
  const double after = products_ + alpha * (aimed + alpha * second_order_);
  const double ratio = products_ > 0.0 ? std::max(after, 0.0) / products_ : 0.0;
  target_product_ = std::max(ratio * ratio * ratio * mean, first_target());
  second_order_share_ = 1.0;
  // Closer to the boundary at the end, or each iteration would leave 1/200 of the products.
  const double share = predicted > 0.9 ? std::max(0.995, 1.0 - mean) : 0.995;
  double length = corrected(share);
  if (length < 0.3 * alpha) {  // the second-order term misleads far from the central path: centre only
    second_order_share_ = 0.0;
    target_product_ = std::max(target_product_, 0.3 * mean);
    length = corrected(0.995);
  }
  return length;
}

// Corrector step to the target product; returns its length, `share` of the way to the boundary.
template <class Structure>
double InteriorPoint<Structure>::corrected(double share) {
  aim<true>();
  spread(false);
  backward_sweep();
  forward_sweep();
  gather_slopes();
  return std::min(1.0, share * direction());
}

// Takes the whole predictor, whatever it violates, and centres slacks and multipliers there. The product:
// what the largest violation would cost to mend, by the curvature of the cost along its input or state.
template <class Structure>
void InteriorPoint<Structure>::start_over() {
  double product = options.barrier_tolerance;
  const auto consider = [&](double room, double curvature, double most) {
    const double outside = std::max(-room, 0.0);
    product = std::max(product, outside * std::min(outside * std::max(curvature, 0.0), most));
  };
  for (int k = 0; k <= horizon_; ++k) {
    const Stage& st = stage(k);
    for (int i = 0; i < input_sides && k < horizon_; ++i) {
      const double barrier = st.input_stiffness[i % nu] + st.input_stiffness[nu + i % nu];
      consider(st.input_room[i] + st.input_slope[i], 1.0 / st.inverse_pivot[i % nu] - barrier, HUGE_VAL);
    }
    for (int i = first_side(k); i < last_side(k); ++i) {
      const int at = side(i).state;
      consider(st.room[i] + st.slope[i], st.P[at * nzp + nu + at] - st.stiffness[i], l1_[i]);
    }
  }
  update(1.0);
  centre(product);
  sum_products();
  remaining_ = primal_residual();
}

// Riccati recursion with the barrier's stiffness, and the backward sweep of the predictor.
template <class Structure>
void InteriorPoint<Structure>::factorize() {
  aim<false>();
  spread(true);
  Recursion::factorize_last(stage(horizon_));
  Recursion::backward_last(stage(horizon_));
  for (int k = horizon_ - 1; k >= 0; --k) {
    Recursion::factorize(stage(k), stage(k + 1));
    Recursion::backward(stage(k), stage(k + 1));
  }
}

template <class Structure>
void InteriorPoint<Structure>::backward_sweep() {
  Recursion::backward_last(stage(horizon_));
  for (int k = horizon_ - 1; k >= 0; --k) Recursion::backward(stage(k), stage(k + 1));
}

// What every product is aimed at (the predictor: at almost nothing), and the pull of each side on the
// gradient that follows. The predictor also finds the stiffness of the sides.
template <class Structure>
template <bool corrector>
void InteriorPoint<Structure>::aim() {
  const V target = each(corrector ? target_product_ : first_target()), share = each(-second_order_share_);
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    if (k < horizon_) {
      for (int i = 0; i < input_sides; i += wide) {
        const V t = get(st.input_t + i);
        V tau = target;
        if constexpr (corrector) tau = madd(share * get(st.input_dt + i), get(st.input_dlambda + i), tau);
        if constexpr (!corrector) store(st.input_stiffness + i, get(st.input_lambda + i) / t);
        const V aimed = tau / t;
        store(st.input_aim + i, aimed);
        store(st.input_pull + i, madd(get(st.input_stiffness + i), get(st.input_room + i) - t, -aimed));
      }
    }
    for (int i = 0; i < last_side(k); i += wide) {
      const V t = get(st.t + i), s = get(st.s + i), here = get(live(k) + i);
      V tau_t = target, tau_s = target;
      if constexpr (corrector) {
        tau_t = madd(share * get(st.dt + i), get(st.dlambda + i), tau_t);
        tau_s = madd(share * get(st.ds + i), get(st.dnu + i), tau_s);
      } else {
        const V a = get(st.lambda + i) / t, b = get(l2_ + i) + get(st.nu_s + i) / s;
        const V yield = each(1.0) / (a + b);
        store(st.a + i, a);
        store(st.b + i, b);
        store(st.yield + i, yield);
        store(st.stiffness + i, here * a * yield * b);
      }
      const V aim_t = tau_t / t, aim_s = tau_s / s;
      const V sigma = madd(get(l2_ + i), s, get(l1_ + i)) - aim_t - aim_s;
      store(st.aim_t + i, aim_t);
      store(st.aim_s + i, aim_s);
      const V bare = madd(get(st.stiffness + i), get(st.room + i) + s - t, -aim_t);
      store(st.pull + i, here * madd(-get(st.a + i) * get(st.yield + i), sigma, bare));
    }
  }
}

// Puts the sides' pulls into the gradient, and their stiffness into the Hessian's diagonal.
template <class Structure>
void InteriorPoint<Structure>::spread(bool stiffness) {
  const int bounds = static_cast<int>(state_sides.size());
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    for (int j = 0; j < nzp; ++j) st.slant[j] = st.gradient[j];
    if (stiffness)
      for (int j = 0; j < nzp; ++j) st.diagonal[j] = st.weight[j];
    if (k < horizon_) {
      for (int i = 0; i < nu; ++i) st.slant[i] += st.input_pull[i] - st.input_pull[nu + i];
      if (stiffness)
        for (int i = 0; i < nu; ++i) st.diagonal[i] += st.input_stiffness[i] + st.input_stiffness[nu + i];
    }
    for (int j = 0; j < bounds && k > 0; ++j) {
      const StateSide& bound = state_sides[static_cast<std::size_t>(j)];
      st.slant[nu + bound.state] += bound.sign * st.pull[nh + j];
      if (stiffness) st.diagonal[nu + bound.state] += st.stiffness[nh + j];
    }
    static_for<nh>([&](auto r) __attribute__((always_inline)) {
      static_for<nz>([&](auto j) __attribute__((always_inline)) {
        if constexpr (has(Stage::sees[r], j))
          st.slant[j] = madd(st.row[r * nzp + j], st.pull[r], st.slant[j]);
      });
    });
  }
}

// How much each side's room changes with the step.
template <class Structure>
void InteriorPoint<Structure>::gather_slopes() {
  const int bounds = static_cast<int>(state_sides.size());
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    for (int i = 0; i < nu; ++i) st.input_slope[i] = st.step[i], st.input_slope[nu + i] = -st.step[i];
    static_for<nh>([&](auto r) __attribute__((always_inline)) {
      double sum = 0.0;
      static_for<nz>([&](auto j) __attribute__((always_inline)) {
        if constexpr (has(Stage::sees[r], j)) sum = madd(st.row[r * nzp + j], st.step[j], sum);
      });
      st.slope[r] = sum;
    });
    for (int j = 0; j < bounds; ++j) {
      const StateSide& bound = state_sides[static_cast<std::size_t>(j)];
      st.slope[nh + j] = bound.sign * st.step[nu + bound.state];
    }
  }
}

// Directions of slacks and multipliers with the step; returns the step length to the boundary.
template <class Structure>
double InteriorPoint<Structure>::direction() {
  V worst = each(1e-16), second = each(0.0), largest = each(0.0);  // worst: largest relative decrease
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    if (k < horizon_) {
      for (int i = 0; i < input_sides; i += wide) {
        const V t = get(st.input_t + i), lambda = get(st.input_lambda + i), here = get(input_live_ + i);
        const V dt = here * (get(st.input_room + i) - t + get(st.input_slope + i));
        const V dlambda = here * (madd(-get(st.input_stiffness + i), dt, get(st.input_aim + i)) - lambda);
        store(st.input_dt + i, dt);
        store(st.input_dlambda + i, dlambda);
        worst = larger(larger(-dt / t, -dlambda / lambda), worst);
        const V product = dt * dlambda;
        second += product;
        largest = larger(product, largest);
      }
    }
    for (int i = 0; i < last_side(k); i += wide) {
      const V t = get(st.t + i), lambda = get(st.lambda + i), s = get(st.s + i), nu_s = get(st.nu_s + i);
      const V a = get(st.a + i), aim_t = get(st.aim_t + i), aim_s = get(st.aim_s + i);
      const V l2 = get(l2_ + i), here = get(live(k) + i);
      const V sigma = madd(l2, s, get(l1_ + i)) - aim_t - aim_s;
      const V left = get(st.room + i) + s - t + get(st.slope + i);
      const V ds = -here * madd(a, left, sigma) * get(st.yield + i);
      const V dt = madd(here, left, ds);
      const V dlambda = here * (madd(-a, dt, aim_t) - lambda);
      const V dnu = here * (madd(l2 - get(st.b + i), ds, aim_s) - nu_s);
      store(st.ds + i, ds);
      store(st.dt + i, dt);
      store(st.dlambda + i, dlambda);
      store(st.dnu + i, dnu);
      const V primal = larger(-dt / t, -ds / s), dual = larger(-dlambda / lambda, -dnu / nu_s);
      worst = larger(larger(primal, dual), worst);
      const V one = dt * dlambda, two = ds * dnu;
      second += one + two;
      largest = larger(larger(one, two), largest);
    }
  }
  worst_second_order_ = largest_of<wide>(largest);
  second_order_ = sum_of<wide>(second);
  return 1.0 / largest_of<wide>(worst);
}

}  // namespace giljabi::solver
