// Solver of a model that is evaluated outside: what Python sees has the model's own sizes.
#pragma once

#include "giljabi/models/outside.hpp"
#include "solver_model.hpp"

namespace giljabi::bindings {

template <int nx_max, int nu_max, int nh_max, int nm_max>
struct SolverOutside final : Solver {
  static constexpr int np_max = 64;
  using Model = models::OutsideModel<nx_max, nu_max, np_max, nh_max, nm_max>;
  SolverOf<Model> inner;
  models::Outside outside;
  mutable double x_[nx_max] = {}, u_[nu_max] = {}, p_[np_max] = {}, h_[nm_max + nh_max] = {};

  SolverOutside(const std::string& name, int n, double step) : inner(name, n, step) {
    model = name;
    horizon = n;
    dt = step;
    nx = nx_max, nu = nu_max, np = np_max, nh = nm_max + nh_max;
    tables = inner.tables;
    numbers = inner.numbers;
    counts = inner.counts;
  }

  bool attach(const models::Outside& given) override {
    if (given.nx > nx_max || given.nu > nu_max || given.np > np_max || given.nh > nh_max || given.nm > nm_max)
      return false;
    outside = given;
    nx = given.nx, nu = given.nu, np = given.np, nh = given.nm + given.nh;
    several_minima = given.several_minima;
    inner.ocp.model.outside = &outside;
    return true;
  }
  std::pair<int, int> shown(const std::string& table) const override {
    if (table == "parameters") return {0, np};
    if (table.rfind("penalty", 0) == 0) return {unused(), nh};
    return {0, table[0] == 'u' || table.rfind("input", 0) == 0 ? nu : nx};
  }

  bool prepare() override { return inner.prepare(); }
  Report feedback(const double* x) override { return named(inner.feedback(padded_state(x))); }
  Report solve(const double* x, int max_iterations) override {
    return named(inner.solve(padded_state(x), max_iterations));
  }
  void shift() override { inner.shift(); }
  void forget() override { inner.forget(); }
  void changed() override { inner.changed(); }
  void simulate(const double* x, const double* u, const double* p, double duration, int substeps,
                double* next) const override {
    double to[nx_max];
    std::copy(u, u + nu, u_);
    std::copy(p, p + np, p_);
    inner.simulate(padded_state(x), u_, p_, duration, substeps, to);
    std::copy(to, to + nx, next);
  }
  double penalty_cost(const double* x, const double* u, const double* p, double* h) const override {
    std::copy(p, p + np, p_);
    std::copy(u, u + nu, u_);
    const double cost = inner.penalty_cost(padded_state(x), u_, p_, h_);
    std::copy(h_ + unused(), h_ + unused() + nh, h);
    return cost;
  }

 private:
  // Constraints on inputs that the model has not.
  int unused() const { return nm_max - outside.nm; }
  Report named(Report report) const {
    if (report.worst.kind == solver::Kind::constraint) report.worst.index -= unused();
    return report;
  }
  const double* padded_state(const double* x) const {
    std::copy(x, x + nx, x_);
    return x_;
  }
};

template <int nx, int nu, int nh, int nm>
struct AddOutside {
  explicit AddOutside(const char* name) {
    solver_models()[name] = [](const std::string& given, int horizon, double dt) -> std::unique_ptr<Solver> {
      return std::make_unique<SolverOutside<nx, nu, nh, nm>>(given, horizon, dt);
    };
  }
};

}  // namespace giljabi::bindings
