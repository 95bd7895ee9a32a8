// Linearization of an Ocp at its guess: fills the quadratic subproblem.
#pragma once

#include "giljabi/solver/ocp.hpp"

namespace giljabi::solver {

template <class Model>
bool Ocp<Model>::linearize() {
  select_sides();
  double check = 0.0;  // becomes NaN when anything is not finite
  for (int k = 0; k <= horizon_; ++k) {
    Stage& st = qp_.stage(k);
    const double* weights = (k < horizon_ ? state_weights : terminal_weights).row(0);
    for (int i = 0; i < nx; ++i) {
      st.weight[nu + i] = weights[i];
      st.gradient[nu + i] = weights[i] * (x.row(k)[i] - x_ref.row(k)[i]);
    }
    if (k < horizon_) {
      double next[nx];
      Integrator::linearize(model, x.row(k), u.row(k), parameters.row(k), dt_, next, st.ba);
      for (int i = 0; i < nx; ++i) st.gap[i] = next[i] - x.row(k + 1)[i];
      for (int i = 0; i < nu; ++i) {
        st.weight[i] = input_weights.row(0)[i];
        st.gradient[i] = input_weights.row(0)[i] * (u.row(k)[i] - u_ref.row(k)[i]);
        st.input_room[i] = std::min(u.row(k)[i] - u_lower.row(k)[i], unbounded);
        st.input_room[nu + i] = std::min(u_upper.row(k)[i] - u.row(k)[i], unbounded);
      }
      linearize_mixed(k);
    }
    if (k > 0) linearize_constraints(k);
    check += nothing_of_stage(k);
  }
  return check == 0.0;
}

// 0 when all numbers of a stage's problem are finite, else NaN. A sum for each stage: they overlap.
template <class Model>
double Ocp<Model>::nothing_of_stage(int k) const {
  const Stage& st = qp_.stage(k);
  double sum = nothing_of<nzp>(st.gradient) + nothing_of<nxp>(st.gap) + nothing_of<nzp>(st.ba, nx);
  sum += nothing_of<padded(2 * nu)>(st.input_room);
  if constexpr (nh > 0) sum += nothing_of<nzp>(st.row, nh);
  for (int i = qp_.first_side(k); i < qp_.last_side(k); ++i) sum += 0.0 * st.room[i];
  return sum;
}

// Values and gradients of the model's constraints on inputs.
template <class Model>
void Ocp<Model>::linearize_mixed([[maybe_unused]] int k) {
  if constexpr (nm > 0) {
    Stage& st = qp_.stage(k);
    using D = Dual<S::constraint_colours.count>;
    D xs[nx], us[nu], h[nm];
    static_for<nx>([&](auto i) {
      xs[i] = D(x.row(k)[i]);
      xs[i].set_slope(S::constraint_colours.of[nu + i], 1.0);
    });
    static_for<nu>([&](auto i) {
      us[i] = D(u.row(k)[i]);
      us[i].set_slope(S::constraint_colours.of[i], 1.0);
    });
    model.mixed_constraints(xs, us, parameters.row(k), h);
    static_for<nm>([&](auto r) {
      st.room[r] = std::min(h[r].v, unbounded);
      static_for<nu>([&](auto i) {
        if constexpr (has(S::mixed[r], i)) st.row[r * nzp + i] = h[r].slope(S::constraint_colours.of[i]);
      });
      static_for<nx>([&](auto i) {
        if constexpr (has(S::constraints[r], i))
          st.row[r * nzp + nu + i] = h[r].slope(S::constraint_colours.of[nu + i]);
      });
    });
  }
}

// Values and gradients of the model's constraints on states, and the room to the state bounds.
template <class Model>
void Ocp<Model>::linearize_constraints(int k) {
  Stage& st = qp_.stage(k);
  if constexpr (nh > nm) {
    using D = Dual<S::constraint_colours.count>;
    D xs[nx], h[nh];
    static_for<nx>([&](auto i) {
      xs[i] = D(x.row(k)[i]);
      xs[i].set_slope(S::constraint_colours.of[nu + i], 1.0);
    });
    model.constraints(xs, parameters.row(k), h + nm);
    static_for<nh - nm>([&](auto j) {
      constexpr int r = nm + j;
      st.room[r] = std::min(h[r].v, unbounded);
      static_for<nx>([&](auto i) {
        if constexpr (has(S::constraints[r], i))
          st.row[r * nzp + nu + i] = h[r].slope(S::constraint_colours.of[nu + i]);
      });
    });
  }
  for (std::size_t j = 0; j < qp_.state_sides.size(); ++j) {
    const StateSide& side = qp_.state_sides[j];
    const double bound = (side.sign > 0.0 ? x_lower : x_upper).row(k)[side.state];
    st.room[nh + static_cast<int>(j)] = std::min(side.sign * (x.row(k)[side.state] - bound), unbounded);
  }
}

// Which state bounds exist at any stage, and the scale of every side.
template <class Model>
void Ocp<Model>::select_sides() {
  std::size_t count = 0;
  const auto add = [&](int state, double sign, double width) {
    if (count == qp_.state_sides.size()) {
      qp_.state_sides.push_back({});  // within the capacity reserved at construction
      cold_ = true;
    }
    StateSide& side = qp_.state_sides[count];
    if (side.state != state || side.sign != sign) cold_ = true;
    side = {state, sign};
    const int at = nh + static_cast<int>(count);
    side_width_[at] = width;
    side_l1_[at] = options.state_bound_penalty;
    side_l2_[at] = 0.0;
    ++count;
  };
  for (int i = 0; i < nx; ++i) {
    bool lower = false, upper = false;
    for (int k = 1; k <= horizon_; ++k) {
      lower = lower || x_lower.row(k)[i] > -unbounded;
      upper = upper || x_upper.row(k)[i] < unbounded;
    }
    const double range = x_upper.row(1)[i] - x_lower.row(1)[i];
    const double width = range < unbounded && range > 0.0 ? range : 1.0;
    if (lower) add(i, 1.0, width);
    if (upper) add(i, -1.0, width);
  }
  if (count < qp_.state_sides.size()) {
    qp_.state_sides.resize(count);
    cold_ = true;
  }
  for (int j = 0; j < nh; ++j) {
    side_width_[j] = 10.0;
    side_l1_[j] = penalty_l1.row(0)[j];
    side_l2_[j] = penalty_l2.row(0)[j];
  }
  for (int i = 0; i < nu; ++i) {
    const double range = u_upper.row(0)[i] - u_lower.row(0)[i];
    input_width_[i] = input_width_[nu + i] = range < unbounded ? range : 1.0;
  }
}

}  // namespace giljabi::solver
