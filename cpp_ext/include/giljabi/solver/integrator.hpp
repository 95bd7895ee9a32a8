// Classical Runge-Kutta step of fourth order, and its sensitivities.
#pragma once

#include "giljabi/solver/sparsity.hpp"

namespace giljabi::solver {

template <class Model>
struct RungeKutta4 {
  using S = Sparsity<Model>;
  static constexpr int nx = S::nx, nu = S::nu, nz = S::nz, nzp = padded(nz);

  // next = x(dt) with u constant; T is any scalar.
  template <class T>
  static void step(const Model& model, const T* x, const T* u, const double* p, double dt, T* next) {
    T k[nx], y[nx], sum[nx];
    model.dynamics(x, u, p, k);
    for (int i = 0; i < nx; ++i) {
      sum[i] = k[i];
      y[i] = x[i] + k[i] * (0.5 * dt);
    }
    model.dynamics(y, u, p, k);
    for (int i = 0; i < nx; ++i) {
      sum[i] = sum[i] + k[i] * 2.0;
      y[i] = x[i] + k[i] * (0.5 * dt);
    }
    model.dynamics(y, u, p, k);
    for (int i = 0; i < nx; ++i) {
      sum[i] = sum[i] + k[i] * 2.0;
      y[i] = x[i] + k[i] * dt;
    }
    model.dynamics(y, u, p, k);
    for (int i = 0; i < nx; ++i) next[i] = x[i] + (sum[i] + k[i]) * (dt / 6.0);
  }

  // Also the row-major sensitivities ba = (d next/du | d next/dx), nx rows of nzp.
  static void linearize(const Model& model, const double* x, const double* u, const double* p, double dt,
                        double* next, double* ba) {
    constexpr int directions = S::dynamics_colours.count;
    using D = Dual<directions>;
    D y[nx], w[nu], f[nx];
    static_for<nu>([&](auto j) {
      w[j] = D(u[j]);
      w[j].d[S::dynamics_colours.of[j]] = 1.0;
    });
    static_for<nx>([&](auto i) {
      y[i] = D(x[i]);
      y[i].d[S::dynamics_colours.of[nu + i]] = 1.0;
    });
    alignas(32) double g[2][nx][nzp];  // d k / d(u, x) of this and the previous stage
    double sum[nx] = {};
    for (int i = 0; i < nx * nzp; ++i) ba[i] = 0.0;
    constexpr double reach[4] = {0.0, 0.5, 0.5, 1.0};
    constexpr double weight[4] = {1.0, 2.0, 2.0, 1.0};
    static_for<4>([&](auto stage) {
      if constexpr (stage > 0) {
        for (int i = 0; i < nx; ++i) y[i].v = x[i] + reach[stage] * dt * f[i].v;
      }
      model.dynamics(y, w, p, f);
      auto& now = g[stage % 2];
      [[maybe_unused]] auto& before = g[(stage + 1) % 2];
      const double c = reach[stage] * dt;
      static_for<nx>([&](auto r) {
        double* row = now[r];
        for (int j = 0; j < nzp; ++j) row[j] = 0.0;
        static_for<nz>([&](auto j) {
          if constexpr (has(S::traced.dynamics[r], j)) {
            const double slope = f[r].d[S::dynamics_colours.of[j]];
            row[j] += slope;
            if constexpr (j >= nu && stage > 0) {
              if constexpr (S::traced.dynamics[j - nu] != 0) {
                const double* from = before[j - nu];
                const double scale = slope * c;
                for (int i = 0; i < nzp; ++i) row[i] += scale * from[i];
              }
            }
          }
        });
        sum[r] += weight[stage] * f[r].v;
        for (int j = 0; j < nzp; ++j) ba[r * nzp + j] += weight[stage] * row[j];
      });
    });
    const double scale = dt / 6.0;
    for (int r = 0; r < nx; ++r) {
      next[r] = x[r] + scale * sum[r];
      for (int j = 0; j < nzp; ++j) ba[r * nzp + j] *= scale;
      ba[r * nzp + nu + r] += 1.0;
    }
  }
};

}  // namespace giljabi::solver
