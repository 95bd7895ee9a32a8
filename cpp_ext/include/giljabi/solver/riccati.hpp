// Riccati recursion of the equality-constrained Newton system of the interior point.
//
// Everything a stage needs of the sides is in `diagonal`, `slant` and, of the model's constraints,
// `stiffness`.
#pragma once

#include <cmath>

#include "giljabi/solver/qp.hpp"

namespace giljabi::solver {

template <class Structure>
struct Riccati {
  using Stage = QpStage<Structure>;
  static constexpr int nx = Stage::nx, nu = Stage::nu, nh = Stage::nh, nz = Stage::nz, nzp = Stage::nzp;
  using R = Row<nzp>;
  static constexpr double smallest_pivot = 1e-12;  // a direction without cost and without bound stays put

  // P and p of the last stage.
  static void factorize_last(Stage& last) {
    static_for<nx>([&](auto i) __attribute__((always_inline)) {
      R out = R::unit(nu + i, last.diagonal[nu + i]);
      add_constraints<nu + i>(last, out);
      out.to(last.P + i * nzp);
    });
  }

  // Eliminates the inputs of a stage: needs P of the next stage.
  static void factorize(Stage& now, const Stage& next) {
    alignas(64) double m[nx * nzp];  // P BA
    R along_gap = R::zero();
    static_for<nx>([&](auto i) __attribute__((always_inline)) {
      R out = R::zero();
      static_for<nx>([&](auto c) __attribute__((always_inline)) {
        // Of the upper triangle only: else what rounding makes unsymmetric would grow from stage to stage.
        constexpr int at = i < c ? i * nzp + nu + c : c * nzp + nu + i;
        out.add(next.P[at], now.ba + c * nzp);
      });
      out.to(m + i * nzp);
      along_gap.add(now.gap[i], next.P + i * nzp);
    });
    along_gap.to(now.P_gap);
    static_for<nu>([&](auto i) __attribute__((always_inline)) {
      R out = hessian_row<i>(now, m);
      static_for<i>([&](auto j) __attribute__((always_inline)) { eliminate<j>(now, i, out); });
      const double pivot = out[i];
      now.inverse_pivot[i] = 1.0 / (pivot > smallest_pivot ? pivot : smallest_pivot);
      out.to(now.eliminated + i * nzp);
    });
    static_for<nx>([&](auto i) __attribute__((always_inline)) {
      R out = hessian_row<nu + i>(now, m);
      static_for<nu>([&](auto j) __attribute__((always_inline)) { eliminate<j>(now, nu + i, out); });
      out.to(now.P + i * nzp);
    });
  }

  // p of the last stage.
  static void backward_last(Stage& last) { R::at(last.slant).to(last.p); }

  // p and feedforward of a stage from the next one.
  static void backward(Stage& now, const Stage& next) {
    R even = R::at(now.slant), odd = R::zero();
    alignas(64) double along[nzp];
    R sum = R::at(next.p);
    sum += R::at(now.P_gap);
    sum.to(along);
    static_for<nx>([&](auto c) __attribute__((always_inline)) {
      (c % 2 == 0 ? even : odd).add(along[nu + c], now.ba + c * nzp);
    });
    even += odd;
    static_for<nu>([&](auto i) __attribute__((always_inline)) {
      const double scale = even[i] * now.inverse_pivot[i];
      now.feedforward[i] = scale;
      even.add(-scale, now.eliminated + i * nzp);
    });
    even.to(now.p);
  }

  // Inputs of a stage from its state, and the next state; both in `step`.
  static void forward(Stage& now, Stage& next) {
    double z[nz];
    for (int j = nu; j < nz; ++j) z[j] = now.step[j];
    static_for<nu>([&](auto from_last) __attribute__((always_inline)) {
      constexpr int i = nu - 1 - from_last;
      const double* row = now.eliminated + i * nzp;
      double even = 0.0, odd = 0.0;
      static_for<nz - i - 1>([&](auto from) __attribute__((always_inline)) {
        constexpr int j = nz - 1 - from;  // states first: the inputs are known last
        double& sum = from % 2 == 0 ? even : odd;
        sum = madd(row[j], z[j], sum);
      });
      z[i] = madd(-now.inverse_pivot[i], even + odd, -now.feedforward[i]);
      now.step[i] = z[i];
    });
    static_for<nx>([&](auto r) __attribute__((always_inline)) {
      double sum = now.gap[r];
      static_for<nz>([&](auto from) __attribute__((always_inline)) {
        constexpr int j = nz - 1 - from;
        if constexpr (has(Structure::step[r], j)) sum = madd(now.ba[r * nzp + j], z[j], sum);
      });
      next.step[nu + r] = sum;
    });
  }

 private:
  // Row i of BA' P BA + Hessian.
  template <int i>
  static GILJABI_INLINE R hessian_row(const Stage& now, const double* m) {
    R out = R::unit(i, now.diagonal[i]);
    static_for<nx>([&](auto c) __attribute__((always_inline)) {
      if constexpr (has(Structure::step[c], i)) out.add(now.ba[c * nzp + i], m + c * nzp);
    });
    add_constraints<i>(now, out);
    return out;
  }

  // Subtracts what input j takes from a row.
  template <int j>
  static GILJABI_INLINE void eliminate(const Stage& now, int row, R& out) {
    const double* pivot_row = now.eliminated + j * nzp;
    out.add(-pivot_row[row] * now.inverse_pivot[j], pivot_row);
  }

  // Row i of the constraints' rows' diag(stiffness) rows.
  template <int i>
  static GILJABI_INLINE void add_constraints(const Stage& stage, R& out) {
    static_for<nh>([&](auto r) __attribute__((always_inline)) {
      if constexpr (has(Stage::sees[r], i)) {
        const double* row = stage.row + r * nzp;
        out.add(stage.stiffness[r] * row[i], row);
      }
    });
  }
};

}  // namespace giljabi::solver
