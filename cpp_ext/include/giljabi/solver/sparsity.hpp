// Structure of a model's Jacobians, found at compile time by running the model with Pattern scalars.
//
// Columns are ordered (u, x): inputs first, because the Riccati recursion eliminates them first.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "giljabi/solver/scalar.hpp"

namespace giljabi::solver {

namespace detail {
template <class F, int... I>
__attribute__((always_inline)) constexpr void unroll(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}
}  // namespace detail

// Calls f(std::integral_constant<int, i>) for i = 0 .. N-1, unrolled.
template <int N, class F>
__attribute__((always_inline)) constexpr void static_for(F&& f) {
  detail::unroll(f, std::make_integer_sequence<int, N>{});
}

constexpr bool has(std::uint64_t mask, int column) { return (mask >> column) & 1u; }

// Number nm of constraints on inputs, of a model or a structure that has any.
template <class M, class = void>
struct MixedCount {
  static constexpr int value = 0;
};
template <class M>
struct MixedCount<M, std::void_t<decltype(M::nm)>> {
  static constexpr int value = M::nm;
};

template <class Model>
struct Sparsity {
  static constexpr int nx = Model::nx, nu = Model::nu, np = Model::np, nz = nx + nu;
  // Constraints on inputs (and states) come first, at stages 0 .. N-1; then those on states, at 1 .. N.
  static constexpr int nm = MixedCount<Model>::value, nh = nm + Model::nh;
  static_assert(nz <= 64, "one bit per column");
  template <int n>
  using Rows = std::array<std::uint64_t, n>;

  struct Trace {
    Rows<nx> dynamics{};                    // of f(x, u)
    Rows<(nh > 0 ? nh : 1)> constraints{};  // of h(x)
    bool curved = false;                    // any of them is not linear
  };

  static constexpr Trace trace() {
    Pattern x[nx] = {}, u[nu] = {}, f[nx] = {}, h[nh > 0 ? nh : 1] = {};
    double p[np > 0 ? np : 1] = {};
    for (int i = 0; i < np; ++i) p[i] = 1.0;
    for (int i = 0; i < nu; ++i) u[i] = Pattern::input(i);
    for (int i = 0; i < nx; ++i) x[i] = Pattern::input(nu + i);
    const Model model{};
    model.dynamics(x, u, p, f);
    if constexpr (nm > 0) model.mixed_constraints(x, u, p, h);
    if constexpr (nh > nm) model.constraints(x, p, h + nm);
    Trace t;
    for (int i = 0; i < nx; ++i) t.dynamics[i] = f[i].mask, t.curved = t.curved || f[i].curved;
    for (int i = 0; i < nh; ++i) t.constraints[i] = h[i].mask, t.curved = t.curved || h[i].curved;
    return t;
  }
  static constexpr Trace traced = trace();
  // A trajectory may be held back by a constraint on states, and where anything is not linear, on either
  // side.
  static constexpr bool several_minima = nh > nm&& traced.curved;

  // One Runge-Kutta stage: d k_i = fx dy + fu, dy = I + c dk_{i-1}.
  static constexpr Rows<nx> chain(const Rows<nx>& previous) {
    Rows<nx> out{};
    for (int r = 0; r < nx; ++r) {
      out[r] = traced.dynamics[r];
      for (int c = 0; c < nx; ++c)
        if (has(traced.dynamics[r], nu + c)) out[r] |= previous[c];
    }
    return out;
  }
  // Of the four-stage step: columns (B | A).
  static constexpr Rows<nx> step_rows() {
    Rows<nx> rows = traced.dynamics;
    for (int stage = 1; stage < 4; ++stage) rows = chain(rows);
    for (int r = 0; r < nx; ++r) rows[r] |= std::uint64_t{1} << (nu + r);
    return rows;
  }
  static constexpr Rows<nx> step = step_rows();

  // Of the constraints: columns x only.
  static constexpr Rows<(nh > 0 ? nh : 1)> constraint_rows() {
    Rows<(nh > 0 ? nh : 1)> rows{};
    for (int r = 0; r < nh; ++r) rows[r] = traced.constraints[r] >> nu;
    return rows;
  }
  static constexpr auto constraints = constraint_rows();

  // Of the constraints on inputs: columns u only.
  static constexpr Rows<(nm > 0 ? nm : 1)> mixed_rows() {
    Rows<(nm > 0 ? nm : 1)> rows{};
    for (int r = 0; r < nm; ++r) rows[r] = traced.constraints[r] & ((std::uint64_t{1} << nu) - 1);
    return rows;
  }
  static constexpr auto mixed = mixed_rows();

  // Columns that never meet in a row share one direction of differentiation (Curtis, Powell, Reid 1974).
  struct Colouring {
    int count = 0;
    std::array<int, nz> of{};
  };
  template <std::size_t n>
  static constexpr Colouring colour(const std::array<std::uint64_t, n>& rows) {
    Colouring out;
    for (int j = 0; j < nz; ++j) {
      std::uint64_t meets = 0;  // columns that share a row with j
      for (std::size_t r = 0; r < n; ++r)
        if (has(rows[r], j)) meets |= rows[r];
      int c = 0;
      for (bool clash = true; clash;) {
        clash = false;
        for (int i = 0; i < j; ++i) clash = clash || (has(meets, i) && out.of[i] == c);
        if (clash) ++c;
      }
      out.of[j] = c;
      if (meets != 0 && c + 1 > out.count) out.count = c + 1;
    }
    if (out.count == 0) out.count = 1;
    return out;
  }
  // Directions in which the step is differentiated: every column but those of states that no derivative
  // depends on (a vehicle's place); they only carry over, and have -1.
  static constexpr Colouring reached() {
    Colouring out;
    for (int j = 0; j < nz; ++j) {
      bool matters = false;
      for (std::uint64_t row : traced.dynamics) matters = matters || has(row, j);
      out.of[static_cast<std::size_t>(j)] = matters ? out.count++ : -1;
    }
    if (out.count == 0) out.count = 1;
    return out;
  }
  static constexpr Colouring directions = reached();
  static constexpr Colouring constraint_colours = colour(traced.constraints);
};

}  // namespace giljabi::solver
