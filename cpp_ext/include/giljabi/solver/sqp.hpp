// Full sequential quadratic programming: line search on the l1 merit function, first-order residuals.
#pragma once

#include "giljabi/solver/ocp.hpp"

namespace giljabi::solver {

template <class Model>
Report Ocp<Model>::solve(const double* measured, int max_iterations) {
  Report report;
  budget().begin();
  if (!finite(measured, nx)) return give_up(report, Status::bad_input);
  prepared_ = false;
  qp_.options = solve_options;
  std::copy(measured, measured + nx, x.row(0));
  clip_guess();
  std::fill(rho_.data.begin(), rho_.data.end(), 0.0);
  std::fill(last_step_.data.begin(), last_step_.data.end(), 0.0);
  const double at_rest[nx] = {};
  bool have_multipliers = false, converged = false;
  for (;;) {
    if (!linearize()) return give_up(report, Status::bad_input);
    if (have_multipliers) {
      report.residuals = residuals();
      const Residuals& r = report.residuals;
      const double largest =
          std::max(std::max(r.stationarity, r.dynamics), std::max(r.inequality, r.complementarity));
      converged = largest <= options.tolerance;
    }
    budget().rested();
    if (converged) break;
    const bool first = report.iterations == 0;  // one iteration whatever it takes
    if (report.iterations >= max_iterations || (!first && (budget().spent() || !budget().another()))) {
      report.limit = budget().spent() ? Limit::time : Limit::iterations;
      break;
    }
    ++report.iterations;
    start();
    const QpStatus qp = qp_.solve(at_rest);
    report.qp_iterations += qp_.iterations();
    if (qp == QpStatus::failed || !std::isfinite(step_size())) {
      if (cold_) return give_up(report, Status::infeasible);
      cold_ = true;  // once more without the old multipliers
      continue;
    }
    cold_ = false;
    multipliers();
    have_multipliers = true;
    if (!line_search()) break;
  }
  report.cost = cost(x, u);
  if (!std::isfinite(report.cost)) return give_up(report, Status::bad_input);
  report.worst = violation(x, u);
  Worst gap;
  bool closed = true;
  for (int k = 0; k < horizon_; ++k) {
    double next[nx];
    Integrator::step(model, x.row(k), u.row(k), parameters.row(k), dt_, next);
    for (int i = 0; i < nx; ++i) {
      const double amount = magnitude(next[i] - x.row(k + 1)[i]);
      if (amount > gap.violation) gap = {amount, Kind::dynamics, i, k + 1};
      closed = closed && amount <= options.violation_tolerance * std::max(std::abs(next[i]), 1.0);
    }
  }
  if (!closed && gap.violation > report.worst.violation) report.worst = gap;
  report.status = converged ? Status::converged : Status::feasible;
  if (!closed || !acceptable()) report.status = Status::infeasible;
  return report;
}

// Largest component of the subproblem's step, relative to the trajectory where that is above 1.
template <class Model>
double Ocp<Model>::step_size() const {
  double worst = 0.0, check = 0.0;
  for (int k = 0; k <= horizon_; ++k) {
    const double* z = qp_.stage(k).z;
    for (int i = 0; i < nu && k < horizon_; ++i) {
      worst = std::max(worst, std::abs(z[i]) / (1.0 + std::abs(u.row(k)[i])));
      check += 0.0 * z[i];
    }
    for (int i = 0; i < nx; ++i) {
      worst = std::max(worst, std::abs(z[nu + i]) / (1.0 + std::abs(x.row(k)[i])));
      check += 0.0 * z[nu + i];
    }
  }
  return check == 0.0 ? worst : HUGE_VAL;
}

// xs, us = trajectory + length * step, inputs kept in their box against rounding.
template <class Model>
void Ocp<Model>::take_step(double length, Table& xs, Table& us) const {
  for (int k = 0; k <= horizon_; ++k) {
    const double* z = qp_.stage(k).z;
    for (int i = 0; i < nu && k < horizon_; ++i) {
      const double value = u.row(k)[i] + length * z[i];
      us.row(k)[i] = clipped(value, u_lower.row(k)[i], u_upper.row(k)[i]);
    }
    for (int i = 0; i < nx; ++i) xs.row(k)[i] = x.row(k)[i] + length * z[nu + i];
  }
}

// Multipliers of the dynamics by the adjoint recursion of the subproblem at its solution.
template <class Model>
void Ocp<Model>::multipliers() {
  for (int k = horizon_; k >= 1; --k) {
    Stage& st = qp_.stage(k);
    for (int i = 0; i < nx; ++i) {
      double sum = st.gradient[nu + i];
      if (k < horizon_)
        for (int r = 0; r < nx; ++r) sum += st.ba[r * nzp + nu + i] * qp_.stage(k + 1).pi[r];
      for (int r = 0; r < nh; ++r) sum -= st.row[r * nzp + nu + i] * st.lambda[r];
      st.pi[i] = sum;
    }
    for (std::size_t j = 0; j < qp_.state_sides.size(); ++j) {
      const StateSide& side = qp_.state_sides[j];
      st.pi[side.state] -= side.sign * st.lambda[nh + static_cast<int>(j)];
    }
  }
}

template <class Model>
Residuals Ocp<Model>::residuals() const {
  Residuals out;
  const auto grow = [](double& into, double value) { into = std::max(into, magnitude(value)); };
  for (int k = 0; k <= horizon_; ++k) {
    const Stage& st = qp_.stage(k);
    if (k < horizon_) {
      const double* pi = qp_.stage(k + 1).pi;
      for (int i = 0; i < nx; ++i) grow(out.dynamics, st.gap[i]);
      for (int i = 0; i < nu; ++i) {
        double sum = st.gradient[i] - st.input_lambda[i] + st.input_lambda[nu + i];
        for (int r = 0; r < nx; ++r) sum += st.ba[r * nzp + i] * pi[r];
        for (int r = 0; r < nm; ++r) sum -= st.row[r * nzp + i] * st.lambda[r];
        grow(out.stationarity, sum);
      }
      for (int i = 0; i < 2 * nu; ++i) {
        grow(out.inequality, std::min(st.input_room[i], 0.0));
        grow(out.complementarity, st.input_lambda[i] * st.input_room[i]);
      }
    }
    for (int i = qp_.first_side(k); i < qp_.last_side(k); ++i) {
      grow(out.stationarity, qp_.l1(i) + qp_.l2(i) * st.s[i] - st.lambda[i] - st.nu_s[i]);
      grow(out.inequality, std::min(st.room[i] + st.s[i], 0.0));
      grow(out.complementarity, st.lambda[i] * (st.room[i] + st.s[i]));
      grow(out.complementarity, st.nu_s[i] * st.s[i]);
    }
    if (k == 0) continue;
    double sum[nx];
    for (int i = 0; i < nx; ++i) {
      sum[i] = st.gradient[nu + i] - st.pi[i];
      if (k < horizon_)
        for (int r = 0; r < nx; ++r) sum[i] += st.ba[r * nzp + nu + i] * qp_.stage(k + 1).pi[r];
      for (int r = 0; r < nh; ++r) sum[i] -= st.row[r * nzp + nu + i] * st.lambda[r];
    }
    for (std::size_t j = 0; j < qp_.state_sides.size(); ++j) {
      const StateSide& side = qp_.state_sides[j];
      sum[side.state] -= side.sign * st.lambda[nh + static_cast<int>(j)];
    }
    for (int i = 0; i < nx; ++i) grow(out.stationarity, sum[i]);
  }
  return out;
}

// Cost, penalties of soft constraints and state bounds, and weighted gaps of the dynamics.
template <class Model>
double Ocp<Model>::merit(const Table& xs, const Table& us) {
  double sum = cost(xs, us);
  for (int k = 0; k < horizon_; ++k) {
    double next[nx];
    Integrator::step(model, xs.row(k), us.row(k), parameters.row(k), dt_, next);
    for (int i = 0; i < nx; ++i) {
      const double now = xs.row(k + 1)[i];
      sum += rho_.row(0)[i] * std::abs(next[i] - now);
      const double outside = std::max(x_lower.row(k + 1)[i] - now, now - x_upper.row(k + 1)[i]);
      if (outside > 0.0) sum += options.state_bound_penalty * outside;
    }
  }
  return sum;
}

// Merit that the subproblem promises for the full step: its quadratic cost and linear constraints at its
// solution.
template <class Model>
double Ocp<Model>::predicted_merit() const {
  double sum = 0.0;
  for (int k = 0; k <= horizon_; ++k) {
    const Stage& st = qp_.stage(k);
    const int first = k < horizon_ ? 0 : nu;
    for (int j = first; j < nz; ++j) {
      const double w = st.weight[j];
      if (w > 0.0) {
        const double e = st.gradient[j] / w;
        sum += 0.5 * w * e * e;
      }
    }
    for (int r = qp_.first_side(k); r < std::min(nh, qp_.last_side(k)); ++r) sum += penalty(r, st.room[r]);
    for (int j = nh; j < qp_.last_side(k); ++j)
      sum += options.state_bound_penalty * std::max(-st.room[j], 0.0);
  }
  return sum;
}

// Where the line search begins. Gauss-Newton leaves out curvature; where the true one is kappa times larger,
// a step of length a makes the next one (1 - a kappa) times as long, and 1 / kappa is the length to take
// (Aitken).
template <class Model>
double Ocp<Model>::first_length() {
  double along = 0.0, before = 0.0, now = 0.0;
  for (int k = 0; k <= horizon_; ++k) {
    const Stage& st = qp_.stage(k);
    double* last = last_step_.row(k);
    for (int j = 0; j < nz; ++j) {
      along += st.weight[j] * st.z[j] * last[j];
      before += st.weight[j] * last[j] * last[j];
      now += st.weight[j] * st.z[j] * st.z[j];
      last[j] = st.z[j];
    }
  }
  if (!(along < 0.0) || along * along < 0.25 * before * now) return 1.0;  // not an echo of the last step
  const double kappa = (1.0 - along / before) / last_length_;
  return std::max(std::min(1.0 / kappa, 1.0), 0.1);
}

// Backtracking from the full step until the merit falls enough; false when no length helps.
template <class Model>
bool Ocp<Model>::line_search() {
  for (int i = 0; i < nx; ++i) {
    double largest = 0.0;
    for (int k = 1; k <= horizon_; ++k) largest = std::max(largest, std::abs(qp_.stage(k).pi[i]));
    double& rho = rho_.row(0)[i];
    rho = std::max(1.1 * largest, 0.5 * (rho + 1.1 * largest));
  }
  const double before = merit(x, u);
  const double promised = before - predicted_merit();
  const double slack = 1e-10 * (1.0 + std::abs(before));  // rounding of the merit itself
  double length = first_length();
  for (int i = 0; i < options.line_search_steps; ++i, length *= 0.5) {
    take_step(length, x_trial_, u_trial_);
    const double after = merit(x_trial_, u_trial_);
    if (after <= before - 1e-4 * length * promised + slack) {
      accept_trial();
      last_length_ = length;
      return true;
    }
  }
  return false;
}

}  // namespace giljabi::solver
