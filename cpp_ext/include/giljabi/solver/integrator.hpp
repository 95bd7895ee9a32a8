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

  // Also the row-major sensitivities ba = (d next/du | d next/dx), nx rows of nzp, where they can be other
  // than 0.
  static void linearize(const Model& model, const double* x, const double* u, const double* p, double dt,
                        double* next, double* ba) {
    using D = Dual<S::directions.count>;
    D xs[nx], us[nu], out[nx];
    static_for<nu>([&](auto j) {
      us[j] = D(u[j]);
      if constexpr (S::directions.of[j] >= 0) us[j].set_slope(S::directions.of[j], 1.0);
    });
    static_for<nx>([&](auto i) {
      xs[i] = D(x[i]);
      if constexpr (S::directions.of[nu + i] >= 0) xs[i].set_slope(S::directions.of[nu + i], 1.0);
    });
    step(model, xs, us, p, dt, out);
    static_for<nx>([&](auto r) __attribute__((always_inline)) {
      next[r] = out[r].v;
      static_for<nz>([&](auto j) __attribute__((always_inline)) {
        constexpr int direction = S::directions.of[j];
        if constexpr (direction < 0) {
          if constexpr (j == nu + r) ba[r * nzp + j] = 1.0;
        } else if constexpr (has(S::step[r], j)) {
          ba[r * nzp + j] = out[r].slope(direction);
        }
      });
    });
  }
};

}  // namespace giljabi::solver
