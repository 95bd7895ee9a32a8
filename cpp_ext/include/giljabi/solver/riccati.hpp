// Riccati recursion of the equality-constrained Newton system of the interior point.
#pragma once

#include <cmath>

#include "giljabi/solver/qp.hpp"

namespace giljabi::solver {

template <class Structure>
struct Riccati {
  using Stage = QpStage<Structure>;
  static constexpr int nx = Stage::nx, nu = Stage::nu, nh = Stage::nh, nz = Stage::nz;
  static constexpr int nm = Stage::nm;
  static constexpr int nzp = Stage::nzp, nxp = Stage::nxp;
  static constexpr double smallest_pivot = 1e-12;  // a direction without cost and without bound stays put

  // P of the last stage from its Hessian (diagonal `weight` plus rows' stiffness).
  static void factorize_last(Stage& last, const double* weight) {
    for (int i = 0; i < nx; ++i) {
      for (int j = 0; j < nxp; ++j) last.P[i * nxp + j] = 0.0;
      last.P[i * nxp + i] = weight[nu + i];
    }
    add_rows<nxp>(last, last.P, 0);
    mirror(last);
  }

  // Eliminates the inputs of a stage: needs P of the next stage.
  static void factorize(Stage& now, const Stage& next, const double* weight) {
    alignas(64) double m[nx * nzp];  // P BA
    for (int i = 0; i < nx; ++i) {
      double* out = m + i * nzp;
      for (int j = 0; j < nzp; ++j) out[j] = 0.0;
      double along_gap = 0.0;
      for (int c = 0; c < nx; ++c) {
        const double scale = next.P[i * nxp + c];
        const double* from = now.ba + c * nzp;
        for (int j = 0; j < nzp; ++j) out[j] += scale * from[j];
        along_gap += scale * now.gap[c];
      }
      now.P_gap[i] = along_gap;
    }
    alignas(64) double h[nz * nzp];  // upper triangle of BA' P BA + Hessian
    static_for<nz>([&](auto i) {
      constexpr int from = i / 2 * 2;
      double* out = h + i * nzp;
      for (int j = from; j < nzp; ++j) out[j] = 0.0;
      static_for<nx>([&](auto c) {
        if constexpr (has(Structure::step[c], i)) {
          const double scale = now.ba[c * nzp + i];
          for (int j = from; j < nzp; ++j) out[j] += scale * m[c * nzp + j];
        }
      });
      out[i] += weight[i];
    });
    add_rows<nzp>(now, h + nu * nzp, nu);
    add_input_rows(now, h);
    static_for<nu>([&](auto i) {
      double* pivot_row = h + i * nzp;
      const double inverse = 1.0 / (pivot_row[i] > smallest_pivot ? pivot_row[i] : smallest_pivot);
      now.inverse_pivot[i] = inverse;
      for (int j = 0; j < nzp; ++j) now.eliminated[i * nzp + j] = j > i ? pivot_row[j] : 0.0;
      for (int r = i + 1; r < nz; ++r) {
        const double scale = pivot_row[r] * inverse;
        double* out = h + r * nzp;
        for (int j = r; j < nzp; ++j) out[j] -= scale * pivot_row[j];
      }
    });
    for (int i = 0; i < nx; ++i)
      for (int j = i; j < nx; ++j) now.P[i * nxp + j] = h[(nu + i) * nzp + nu + j];
    mirror(now);
  }

  // p of the last stage.
  static void backward_last(Stage& last, const double* gradient) {
    for (int i = 0; i < nx; ++i) last.p[i] = gradient[nu + i];
  }

  // p and feedforward of a stage from the next one.
  static void backward(Stage& now, const Stage& next, const double* gradient) {
    alignas(64) double g[nzp];
    for (int j = 0; j < nzp; ++j) g[j] = gradient[j];
    for (int c = 0; c < nx; ++c) {
      const double scale = next.p[c] + now.P_gap[c];
      for (int j = 0; j < nzp; ++j) g[j] += scale * now.ba[c * nzp + j];
    }
    for (int i = 0; i < nu; ++i) {
      const double scale = g[i] * now.inverse_pivot[i];
      now.feedforward[i] = scale;
      for (int j = 0; j < nzp; ++j) g[j] -= scale * now.eliminated[i * nzp + j];
    }
    for (int i = 0; i < nx; ++i) now.p[i] = g[nu + i];
  }

  // Inputs of a stage from its state, and the next state; both in `step`.
  static void forward(Stage& now, Stage& next) {
    for (int i = nu - 1; i >= 0; --i) {
      double sum = 0.0;
      for (int j = i + 1; j < nz; ++j) sum += now.eliminated[i * nzp + j] * now.step[j];
      now.step[i] = -now.feedforward[i] - now.inverse_pivot[i] * sum;
    }
    for (int r = 0; r < nx; ++r) {
      double sum = now.gap[r];
      static_for<nz>([&](auto j) { sum += now.ba[r * nzp + j] * now.step[j]; });
      next.step[nu + r] = sum;
    }
  }

 private:
  // The part of the rows on inputs that add_rows leaves out: columns u with u, and u with x.
  static void add_input_rows([[maybe_unused]] const Stage& stage, [[maybe_unused]] double* h) {
    static_for<nm>([&](auto r) {
      const double *in = stage.input_row + r * nu, *row = stage.row + r * nxp;
      static_for<nu>([&](auto i) {
        if constexpr (has(Structure::mixed[r], i)) {
          const double scale = stage.stiffness[r] * in[i];
          static_for<nu>([&](auto j) {
            if constexpr (j >= i && has(Structure::mixed[r], j)) h[i * nzp + j] += scale * in[j];
          });
          static_for<nx>([&](auto j) {
            if constexpr (has(Structure::constraints[r], j)) h[i * nzp + nu + j] += scale * row[j];
          });
        }
      });
    });
  }

  // Upper triangle of rows' diag(stiffness) rows, in a matrix whose column `offset` is state 0.
  template <int stride>
  static void add_rows(const Stage& stage, double* h, int offset) {
    static_for<nh>([&](auto r) {
      const double* row = stage.row + r * nxp;
      static_for<nx>([&](auto i) {
        if constexpr (has(Structure::constraints[r], i)) {
          const double scale = stage.stiffness[r] * row[i];
          static_for<nx>([&](auto j) {
            if constexpr (j >= i && has(Structure::constraints[r], j))
              h[i * stride + offset + j] += scale * row[j];
          });
        }
      });
    });
  }

  static void mirror(Stage& stage) {
    for (int i = 1; i < nx; ++i)
      for (int j = 0; j < i; ++j) stage.P[i * nxp + j] = stage.P[j * nxp + i];
  }
};

}  // namespace giljabi::solver
