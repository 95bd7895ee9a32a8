// Fixed-step integration shared by all plants: deterministic, no allocation.
#pragma once

#include <array>
#include <cstddef>

namespace giljabi::plants {

// One classical Runge-Kutta step of order 4 with the inputs held; `f(x) -> dx` must not depend on time.
template <std::size_t N, class F>
void rk4_step(std::array<double, N>& x, double dt, const F& f) {
  const auto advanced = [&x](const std::array<double, N>& k, double h) {
    std::array<double, N> y;
    for (std::size_t i = 0; i < N; ++i) y[i] = x[i] + h * k[i];
    return y;
  };
  const auto k1 = f(x);
  const auto k2 = f(advanced(k1, 0.5 * dt));
  const auto k3 = f(advanced(k2, 0.5 * dt));
  const auto k4 = f(advanced(k3, dt));
  for (std::size_t i = 0; i < N; ++i) x[i] += dt / 6.0 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i]);
}

// How many equal substeps of at most `dt_max` cover `dt`.
inline int substeps(double dt, double dt_max) {
  int n = 1;
  while (dt > n * dt_max * (1.0 + 1e-9)) ++n;
  return n;
}

// One named parameter of a plant: how the file calls it, and where it is kept.
template <class Parameters>
struct Named {
  const char* name;
  double Parameters::* member;
};

}  // namespace giljabi::plants
