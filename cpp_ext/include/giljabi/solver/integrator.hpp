// Classical Runge-Kutta step of fourth order, and its sensitivities.
#pragma once

#include "giljabi/solver/simd.hpp"
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
    alignas(64) double dy[2][nx * nzp];  // d y / d(u, x): where this and the next stage evaluate the model
    double sum[nx] = {};
    constexpr double reach[5] = {0.0, 0.5, 0.5, 1.0, 0.0};
    constexpr double weight[4] = {1.0, 2.0, 2.0, 1.0};
    static_for<4>([&](auto stage) __attribute__((always_inline)) {
      if constexpr (stage > 0) {
        for (int i = 0; i < nx; ++i) y[i].v = x[i] + reach[stage] * dt * f[i].v;
      }
      model.dynamics(y, w, p, f);
      [[maybe_unused]] const double* now = dy[stage % 2];
      [[maybe_unused]] double* after = dy[(stage + 1) % 2];
      static_for<nx>([&](auto r) __attribute__((always_inline)) {
        Row<nzp> row = Row<nzp>::zero();
        static_for<nz>([&](auto j) __attribute__((always_inline)) {
          if constexpr (has(S::traced.dynamics[r], j)) {
            const double slope = f[r].d[S::dynamics_colours.of[j]];
            if constexpr (j < nu || stage == 0)
              row.add_unit(j, slope);
            else
              row.add(slope, now + (j - nu) * nzp);
          }
        });
        sum[r] += weight[stage] * f[r].v;
        if constexpr (stage < 3) {
          Row<nzp> next_row = Row<nzp>::unit(nu + r, 1.0);
          next_row.add(reach[stage + 1] * dt, row);
          next_row.to(after + r * nzp);
        }
        Row<nzp> total = stage == 0 ? Row<nzp>::unit(nu + r, 1.0) : Row<nzp>::at(ba + r * nzp);
        total.add(weight[stage] * (dt / 6.0), row);
        total.to(ba + r * nzp);
      });
    });
    for (int r = 0; r < nx; ++r) next[r] = x[r] + dt / 6.0 * sum[r];
  }
};

}  // namespace giljabi::solver
