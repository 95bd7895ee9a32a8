// Interior point: slacks and multipliers of the sides.
#pragma once

#include "giljabi/solver/interior_point.hpp"

namespace giljabi::solver {

// Slacks and multipliers of the padding, which nothing moves.
template <class Structure>
void InteriorPoint<Structure>::settle() {
  settled_ = sides();
  const auto fill = [](auto& values, int from) {
    std::fill(values + from, values + sizeof(values) / sizeof(values[0]), 1.0);
  };
  for (Stage& st : stages_) {
    fill(st.input_t, input_sides), fill(st.input_lambda, input_sides);
    const bool inner = &st != &stages_.front() && &st != &stages_.back();
    const int from = inner ? settled_ : 0;
    fill(st.t, from), fill(st.lambda, from), fill(st.s, from), fill(st.nu_s, from);
  }
  fill(input_width_, input_sides);
}

// Every product at least `floor`; slacks follow the room, but not below a hundredth of the width by that.
template <class Structure>
void InteriorPoint<Structure>::raise_products(double floor) {
  const V least = each(floor), part = each(0.01), one = each(1.0);
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    for (int i = 0; i < input_sides && k < horizon_; i += wide) {
      const V here = get(input_live_ + i), dead = one - here, lambda = get(st.input_lambda + i);
      const V t = larger(get(st.input_room + i), smaller(least / lambda, part * get(input_width_ + i)));
      store(st.input_t + i, madd(here, t, dead));
      store(st.input_lambda + i, madd(here, larger(lambda, least / t), dead));
    }
    for (int i = 0; i < last_side(k); i += wide) {
      const V here = get(live(k) + i), dead = one - here, narrow = part * get(width_ + i);
      const V lambda = get(st.lambda + i), nu_s = get(st.nu_s + i);
      const V s = larger(get(st.s + i), smaller(least / nu_s, narrow));
      const V t = larger(get(st.room + i) + s, smaller(least / lambda, narrow));
      store(st.s + i, madd(here, s, dead));
      store(st.nu_s + i, madd(here, larger(nu_s, least / s), dead));
      store(st.t + i, madd(here, t, dead));
      store(st.lambda + i, madd(here, larger(lambda, least / t), dead));
    }
  }
}

// Slacks and multipliers around the present point with every product mu.
template <class Structure>
void InteriorPoint<Structure>::centre(double mu) {
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    for (int i = 0; i < input_sides && k < horizon_; ++i) {
      st.input_t[i] = std::max(st.input_room[i], 0.01 * input_width_[i]);
      st.input_lambda[i] = mu / st.input_t[i];
    }
    for (int i = first_side(k); i < last_side(k); ++i) {
      st.t[i] = std::max(st.room[i], 0.0) + 0.01 * width_[i];
      st.lambda[i] = mu / st.t[i];
      st.s[i] = std::max(-st.room[i], 0.0) + mu / l1_[i];
      st.nu_s[i] = mu / st.s[i];
    }
  }
}

template <class Structure>
void InteriorPoint<Structure>::reset_point() {
  for (auto& st : stages_) std::fill(st.z, st.z + nzp, 0.0);
  remaining_ = primal_residual();
  prepared_ = false;
}

// Largest mismatch of a slack and its room, relative to the width; at least 1.
template <class Structure>
double InteriorPoint<Structure>::primal_residual() const {
  V worst = each(1.0);
  const V none = each(0.0);
  const auto consider = [&](V miss, V here, V width) {
    miss *= here / width;
    worst = larger(larger(miss, none - miss), worst);
  };
  for (int k = 0; k <= horizon_; ++k) {
    const Stage& st = stage(k);
    for (int i = 0; i < input_sides && k < horizon_; i += wide)
      consider(get(st.input_room + i) - get(st.input_t + i), get(input_live_ + i), get(input_width_ + i));
    for (int i = 0; i < last_side(k); i += wide)
      consider(get(st.room + i) + get(st.s + i) - get(st.t + i), get(live(k) + i), get(width_ + i));
  }
  return largest_of<wide>(worst);
}

template <class Structure>
void InteriorPoint<Structure>::update(double length) {
  const V part = each(length), rest = each(1.0 - length);
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = stage(k);
    const auto move = [&](double* values, const double* by, int i) {
      store(values + i, madd(part, get(by + i), get(values + i)));
    };
    for (int j = 0; j < nzp; j += wide) {
      const V by = part * get(st.step + j);
      store(st.z + j, get(st.z + j) + by);
      store(st.gradient + j, madd(get(st.weight + j), by, get(st.gradient + j)));
    }
    for (int i = 0; i < Stage::nxp; i += wide) store(st.gap + i, rest * get(st.gap + i));
    for (int i = 0; i < input_sides && k < horizon_; i += wide) {
      move(st.input_room, st.input_slope, i);
      move(st.input_t, st.input_dt, i);
      move(st.input_lambda, st.input_dlambda, i);
    }
    for (int i = 0; i < last_side(k); i += wide) {
      // What stays of l1 + l2 s - lambda - nu is known; it gives the larger multiplier without cancellation.
      const V l1 = get(l1_ + i), l2 = get(l2_ + i);
      const V left = rest * (madd(l2, get(st.s + i), l1) - get(st.lambda + i) - get(st.nu_s + i));
      move(st.room, st.slope, i);
      move(st.t, st.dt, i);
      move(st.s, st.ds, i);
      const V lambda = madd(part, get(st.dlambda + i), get(st.lambda + i));
      const V nu_s = madd(part, get(st.dnu + i), get(st.nu_s + i));
      const V sum = madd(l2, get(st.s + i), l1) - left;
      const V here = get(live(k) + i), dead = each(1.0) - here;
      store(st.lambda + i, madd(here, lambda > nu_s ? sum - nu_s : lambda, dead));
      store(st.nu_s + i, madd(here, lambda > nu_s ? nu_s : sum - lambda, dead));
    }
  }
  sum_products();
}

template <class Structure>
void InteriorPoint<Structure>::sum_products() {
  V sum = each(0.0), worst = each(0.0);
  for (int k = 0; k <= horizon_; ++k) {
    const Stage& st = stage(k);
    for (int i = 0; i < input_sides && k < horizon_; i += wide) {
      const V product = get(input_live_ + i) * get(st.input_t + i) * get(st.input_lambda + i);
      sum += product;
      worst = larger(product, worst);
    }
    for (int i = 0; i < last_side(k); i += wide) {
      const V here = get(live(k) + i);
      const V one = here * get(st.t + i) * get(st.lambda + i), two = here * get(st.s + i) * get(st.nu_s + i);
      sum += one + two;
      worst = larger(larger(one, two), worst);
    }
  }
  products_ = sum_of<wide>(sum);
  worst_product_ = largest_of<wide>(worst);
  count_ = std::max(1, horizon_ * (input_sides + 2 * sides()));  // as many stages have each side
}

}  // namespace giljabi::solver
