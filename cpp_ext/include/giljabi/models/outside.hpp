// A model whose equations are evaluated outside: by CasADi, for models written in Python.
//
// Its sizes are at most those of the template; states, inputs and constraints that are not used stand still,
// cost nothing and hold nothing back.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "giljabi/models/parameter.hpp"
#include "giljabi/solver/integrator.hpp"

namespace giljabi::models {

// Where arguments go to and results come from. Matrices are row-major and as large as the model that is used:
// jacobian nx x (nu + nx), columns (u, x); h_jacobian nh x nx; mixed: constraints that see inputs, with
// mixed_jacobian nm x (nu + nx).
struct Outside {
  enum Function { step, linearize, constraints, linearize_constraints, mixed_constraints, linearize_mixed };

  int nx = 0, nu = 0, np = 0, nh = 0, nm = 0;
  bool several_minima = false;
  double *x = nullptr, *u = nullptr, *p = nullptr, *dt = nullptr;
  double *next = nullptr, *jacobian = nullptr, *h = nullptr, *h_jacobian = nullptr;
  double *mixed = nullptr, *mixed_jacobian = nullptr;
  bool (*call)(void* context, Function function) = nullptr;  // false: the results are not to be used
  void* context = nullptr;
};

// Of the constraints on inputs the last ones are used, so that all that are used lie side by side.
template <int max_nx, int max_nu, int max_np, int max_nh, int max_nm>
struct OutsideModel {
  static constexpr int nx = max_nx, nu = max_nu, np = max_np, nh = max_nh, nm = max_nm;
  template <std::size_t n>
  static constexpr std::array<const char*, n> nameless() {
    std::array<const char*, n> names{};
    for (std::size_t i = 0; i < n; ++i) names[i] = "";
    return names;
  }
  static constexpr std::array<const char*, nx> state_names = nameless<nx>();
  static constexpr std::array<const char*, nu> input_names = nameless<nu>();

  const Outside* outside = nullptr;

  static std::vector<Constant<OutsideModel>> constants() { return {}; }
  static std::vector<Parameter> parameters() { return std::vector<Parameter>(np); }
  static std::vector<std::string> constraint_names() { return std::vector<std::string>(nm + nh); }

  // Everything may depend on everything: only asked by the tracer of structural zeros.
  template <class T>
  constexpr void dynamics(const T* x, const T* u, const double*, T* f) const {
    T all = x[0];
    for (int i = 1; i < nx; ++i) all = all + x[i];
    for (int i = 0; i < nu; ++i) all = all + u[i];
    for (int i = 0; i < nx; ++i) f[i] = all;
  }

  constexpr void constraints(const solver::Pattern* x, const double*, solver::Pattern* h) const {
    solver::Pattern all;
    for (int i = 0; i < nx; ++i) all = all + x[i];
    for (int i = 0; i < nh; ++i) h[i] = all;
  }
  void constraints(const double* x, const double* p, double* h) const {
    if (outside->nh > 0) evaluate(x, nullptr, p, 0.0, Outside::constraints);
    for (int i = 0; i < nh; ++i) h[i] = i < outside->nh ? outside->h[i] : far;
  }
  template <int N>
  void constraints(const solver::Dual<N>* x, const double* p, solver::Dual<N>* h) const {
    double at[nx];
    for (int i = 0; i < nx; ++i) at[i] = x[i].v;
    if (outside->nh > 0) evaluate(at, nullptr, p, 0.0, Outside::linearize_constraints);
    for (int r = 0; r < nh; ++r) {
      h[r] = solver::Dual<N>(r < outside->nh ? outside->h[r] : far);
      for (int i = 0; i < outside->nx && r < outside->nh; ++i)
        h[r] = h[r] + chain(x[i], 0.0, outside->h_jacobian[r * outside->nx + i]);
    }
  }

  constexpr void mixed_constraints(const solver::Pattern* x, const solver::Pattern* u, const double*,
                                   solver::Pattern* h) const {
    solver::Pattern all;
    for (int i = 0; i < nx; ++i) all = all + x[i];
    for (int i = 0; i < nu; ++i) all = all + u[i];
    for (int i = 0; i < nm; ++i) h[i] = all;
  }
  void mixed_constraints(const double* x, const double* u, const double* p, double* h) const {
    const int unused = nm - outside->nm;
    if (outside->nm > 0) evaluate(x, u, p, 0.0, Outside::mixed_constraints);
    for (int i = 0; i < nm; ++i) h[i] = i < unused ? far : outside->mixed[i - unused];
  }
  template <int N>
  void mixed_constraints(const solver::Dual<N>* x, const solver::Dual<N>* u, const double* p,
                         solver::Dual<N>* h) const {
    const Outside& o = *outside;
    double at[nx], input[nu];
    for (int i = 0; i < nx; ++i) at[i] = x[i].v;
    for (int i = 0; i < nu; ++i) input[i] = u[i].v;
    if (o.nm > 0) evaluate(at, input, p, 0.0, Outside::linearize_mixed);
    for (int r = 0; r < nm - o.nm; ++r) h[r] = solver::Dual<N>(far);
    for (int r = 0; r < o.nm; ++r) {
      const double* slope = o.mixed_jacobian + r * (o.nu + o.nx);
      solver::Dual<N> sum(o.mixed[r]);
      for (int i = 0; i < o.nu; ++i) sum = sum + chain(u[i], 0.0, slope[i]);
      for (int i = 0; i < o.nx; ++i) sum = sum + chain(x[i], 0.0, slope[o.nu + i]);
      h[nm - o.nm + r] = sum;
    }
  }

  // Hands the arguments over and calls; NaN where that went wrong.
  void evaluate(const double* x, const double* u, const double* p, double dt,
                Outside::Function function) const {
    const Outside& o = *outside;
    for (int i = 0; i < o.nx; ++i) o.x[i] = x[i];
    for (int i = 0; i < o.nu && u != nullptr; ++i) o.u[i] = u[i];
    for (int i = 0; i < o.np; ++i) o.p[i] = p[i];
    *o.dt = dt;
    if (o.call(o.context, function)) return;
    for (int i = 0; i < o.nx; ++i) o.next[i] = std::nan("");
    for (int i = 0; i < o.nh; ++i) o.h[i] = std::nan("");
    for (int i = 0; i < o.nm; ++i) o.mixed[i] = std::nan("");
  }

 private:
  static constexpr double far = 1e9;  // room of a constraint that is not there
};

}  // namespace giljabi::models

namespace giljabi::solver {

// The step and its sensitivities come from outside, too.
template <int a, int b, int c, int d, int e>
struct RungeKutta4<models::OutsideModel<a, b, c, d, e>> {
  using Model = models::OutsideModel<a, b, c, d, e>;
  static constexpr int nx = a, nu = b, nz = a + b, nzp = padded(nz);

  static void step(const Model& model, const double* x, const double* u, const double* p, double dt,
                   double* next) {
    model.evaluate(x, u, p, dt, models::Outside::step);
    for (int i = 0; i < nx; ++i) next[i] = i < model.outside->nx ? model.outside->next[i] : 0.0;
  }

  static void linearize(const Model& model, const double* x, const double* u, const double* p, double dt,
                        double* next, double* ba) {
    const models::Outside& o = *model.outside;
    model.evaluate(x, u, p, dt, models::Outside::linearize);
    for (int i = 0; i < nx * nzp; ++i) ba[i] = 0.0;
    for (int r = 0; r < nx; ++r) next[r] = r < o.nx ? o.next[r] : 0.0;
    for (int r = 0; r < o.nx; ++r) {
      const double* from = o.jacobian + r * (o.nu + o.nx);
      for (int i = 0; i < o.nu; ++i) ba[r * nzp + i] = from[i];
      for (int i = 0; i < o.nx; ++i) ba[r * nzp + nu + i] = from[o.nu + i];
    }
  }
};

}  // namespace giljabi::solver
