// Optimal control by multiple shooting and Gauss-Newton sequential quadratic programming.
//
//   min  sum_{k<N} 1/2 |x_k - xr_k|^2_Q + 1/2 |u_k - ur_k|^2_R  +  1/2 |x_N - xr_N|^2_QN
//        + sum_{k=1..N} sum_j l1_j s_kj + 1/2 l2_j s_kj^2
//   s.t. x_{k+1} = RK4(x_k, u_k, p_k),  x_0 given,  lower <= u_k <= upper (k < N),  lower <= x_k <= upper (k
//   >= 1),
//        h_j(x_k, p_k) + s_kj >= 0,  s_kj >= 0  (k >= 1; those that see inputs, h_j(x_k, u_k, p_k): k < N)
//
// Real-time iteration (Diehl 2005): prepare() linearizes and factorizes, feedback(x) finishes with the
// measured state. After construction nothing allocates and nothing throws.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "giljabi/solver/integrator.hpp"
#include "giljabi/solver/interior_point.hpp"
#include "giljabi/solver/result.hpp"
#include "giljabi/solver/table.hpp"

namespace giljabi::solver {

struct SolveOptions {
  double tolerance = 1e-6;       // on every KKT residual, in the problem's own units
  double step_tolerance = 1e-3;  // feedback(): a smaller step (relative where above 1) counts as converged
  double violation_tolerance =
      1e-5;                   // on hard bounds (of their range, if above 1) and dynamics (of the state)
  double soft_limit = 1e300;  // violation of a soft constraint that makes a result infeasible
  double state_bound_penalty =
      1e5;  // l1 weight that keeps an unreachable bound from making the subproblem infeasible
  int line_search_steps = 12;
};

template <class Model>
class Ocp {
 public:
  using S = Sparsity<Model>;
  using Integrator = RungeKutta4<Model>;
  using Solver = InteriorPoint<S>;
  using Stage = typename Solver::Stage;
  static constexpr int nx = S::nx, nu = S::nu, nh = S::nh, np = S::np, nz = S::nz;
  static constexpr int nm = S::nm;
  static constexpr int nzp = Stage::nzp, nxp = Stage::nxp;
  static constexpr double unbounded = 1e10;  // room of a side that is not there
  static constexpr double rounding = 1e-7;   // a smaller violation is none

  Model model;
  SolveOptions options;
  InteriorPointOptions feedback_options, solve_options;
  // Trajectory (the guess, then the solution) and everything the user sets.
  Table x, u, x_ref, u_ref, parameters, x_lower, x_upper, u_lower, u_upper;
  Table state_weights, terminal_weights, input_weights, penalty_l1, penalty_l2;

  Ocp(int horizon, double step)
      : x(horizon + 1, nx),
        u(horizon, nu),
        x_ref(horizon + 1, nx),
        u_ref(horizon, nu),
        parameters(horizon + 1, np),
        x_lower(horizon + 1, nx, -HUGE_VAL),
        x_upper(horizon + 1, nx, HUGE_VAL),
        u_lower(horizon, nu, -HUGE_VAL),
        u_upper(horizon, nu, HUGE_VAL),
        state_weights(1, nx, 1.0),
        terminal_weights(1, nx, 1.0),
        input_weights(1, nu, 1.0),
        penalty_l1(1, nh, 100.0),
        penalty_l2(1, nh, 1000.0),
        horizon_(horizon),
        dt_(step),
        qp_(horizon),
        x_trial_(horizon + 1, nx),
        u_trial_(horizon, nu),
        last_step_(horizon + 1, nz),
        rho_(1, nx) {
    const auto defaults = Model::parameters();
    for (int k = 0; k <= horizon; ++k)
      for (int i = 0; i < np; ++i) parameters.row(k)[i] = defaults[static_cast<std::size_t>(i)].value;
    for (int j = 0; j < nm; ++j) {  // what limits inputs is hard unless the user says otherwise
      penalty_l1.row(0)[j] = options.state_bound_penalty;
      penalty_l2.row(0)[j] = 0.0;
    }
    solve_options.barrier_tolerance = 1e-9;  // less leaves sides that are hardly active undecided
    solve_options.residual_tolerance = 1e-12;
    solve_options.max_iterations = 60;
  }

  int horizon() const { return horizon_; }
  double dt() const { return dt_; }
  const Solver& qp() const { return qp_; }
  // Time that a feedback() or a solve() may take; none of its iterations begins that would not fit.
  Budget& budget() { return qp_.budget; }
  void forget() { cold_ = true, prepared_ = false; }  // the next solve starts without multipliers
  void changed() { prepared_ = false; }               // something the preparation used was set

  // First phase of the real-time iteration: linearize at the guess and factorize.
  bool prepare() {
    qp_.options = feedback_options;
    usable_ = linearize();
    if (usable_) {
      start();
      qp_.prepare();
    }
    prepared_ = true;
    return usable_;
  }

  // Second phase: finish the iteration for the measured state (nx).
  Report feedback(const double* measured) {
    Report report;
    budget().begin();
    if (!finite(measured, nx)) return give_up(report, Status::bad_input);
    if (!prepared_) prepare();
    prepared_ = false;
    if (!usable_) return give_up(report, Status::bad_input);
    double dx0[nx];
    for (int i = 0; i < nx; ++i) dx0[i] = measured[i] - x.row(0)[i];
    const QpStatus qp = qp_.solve(dx0);
    report.iterations = 1;
    report.qp_iterations = qp_.iterations();
    report.limit = limit_of(qp);
    const double step = qp == QpStatus::failed ? HUGE_VAL : step_size();
    if (!std::isfinite(step)) {
      cold_ = true;
      return give_up(report, Status::infeasible);
    }
    cold_ = false;
    take_step(1.0, x_trial_, u_trial_);
    std::copy(measured, measured + nx, x_trial_.row(0));
    report.cost = cost(x_trial_, u_trial_);
    if (!std::isfinite(report.cost)) return give_up(report, Status::bad_input);
    accept_trial();
    report.worst = violation(x, u);
    const bool small = step <= options.step_tolerance && qp == QpStatus::converged;
    report.status = acceptable() ? (small ? Status::converged : Status::feasible) : Status::infeasible;
    budget().rested();
    return report;
  }

  // Sequential quadratic programming with a line search on the l1 merit function, from the guess.
  Report solve(const double* measured, int max_iterations);

  // Moves the trajectory one stage towards the present; the last stage is repeated.
  void shift() {
    for (int k = 0; k < horizon_; ++k) std::copy(x.row(k + 1), x.row(k + 1) + nx, x.row(k));
    for (int k = 0; k + 1 < horizon_; ++k) std::copy(u.row(k + 1), u.row(k + 1) + nu, u.row(k));
    qp_.shift();
    prepared_ = false;
  }

  // One integration step of the model, for plants in benchmarks and tests.
  void simulate(const double* from, const double* input, const double* p, double duration, int substeps,
                double* to) const {
    double now[nx];
    std::copy(from, from + nx, now);
    for (int i = 0; i < substeps; ++i) {
      Integrator::step(model, now, input, p, duration / substeps, to);
      std::copy(to, to + nx, now);
    }
  }

  // Values h (nh) of the model's constraints and the penalty of the violated ones. Those on inputs are left
  // at `unbounded` where `input` is null, those on states where `state_counts` is false.
  double penalty_cost(const double* state, const double* input, const double* p, double* h,
                      bool state_counts = true) const {
    double sum = 0.0;
    for (int j = 0; j < nh; ++j) h[j] = unbounded;
    if constexpr (nm > 0) {
      if (input != nullptr) model.mixed_constraints(state, input, p, h);
    }
    if constexpr (nh > nm) {
      if (state_counts) model.constraints(state, p, h + nm);
    }
    for (int j = 0; j < nh; ++j) sum += penalty(j, h[j]);
    return sum;
  }

  // Cost of a trajectory, with the penalty of violated soft constraints.
  double cost(const Table& xs, const Table& us) const {
    double sum = 0.0;
    for (int k = 0; k <= horizon_; ++k) {
      const double* weights = (k < horizon_ ? state_weights : terminal_weights).row(0);
      for (int i = 0; i < nx; ++i) {
        const double e = xs.row(k)[i] - x_ref.row(k)[i];
        sum += 0.5 * weights[i] * e * e;
      }
      if (k < horizon_) {
        for (int i = 0; i < nu; ++i) {
          const double e = us.row(k)[i] - u_ref.row(k)[i];
          sum += 0.5 * input_weights.row(0)[i] * e * e;
        }
      }
      double h[nh > 0 ? nh : 1] = {};
      if (k > 0 || nm > 0)
        sum += penalty_cost(xs.row(k), k < horizon_ ? us.row(k) : nullptr, parameters.row(k), h, k > 0);
    }
    return sum;
  }

  // Largest violation of the model's constraints and the state bounds.
  Worst violation(const Table& xs, const Table& us, bool soft = true, bool hard = true) const {
    Worst worst;
    const auto consider = [&](double amount, Kind kind, int index, int k) {
      if (amount > worst.violation && amount > rounding) worst = {magnitude(amount), kind, index, k};
    };
    for (int k = nm > 0 ? 0 : 1; k <= horizon_; ++k) {
      double h[nh > 0 ? nh : 1] = {};
      if (soft) penalty_cost(xs.row(k), k < horizon_ ? us.row(k) : nullptr, parameters.row(k), h, k > 0);
      for (int j = 0; j < nh && soft; ++j) consider(-h[j], Kind::constraint, j, k);
      for (int i = 0; i < nx && hard && k > 0; ++i) {
        consider(x_lower.row(k)[i] - xs.row(k)[i], Kind::state_lower, i, k);
        consider(xs.row(k)[i] - x_upper.row(k)[i], Kind::state_upper, i, k);
      }
    }
    return worst;
  }

  // Residuals of the first-order conditions at the linearization point, with the last subproblem's
  // multipliers.
  Residuals residuals() const;

 private:
  // Fills the subproblem at the guess; false when something is not finite.
  bool linearize();
  double nothing_of_stage(int k) const;
  void linearize_mixed(int k);
  void linearize_constraints(int k);
  void select_sides();
  double step_size() const;
  void take_step(double length, Table& xs, Table& us) const;
  void multipliers();
  double first_length();
  bool line_search();
  double merit(const Table& xs, const Table& us);
  double predicted_merit() const;

  void start() {
    qp_.set_sides(input_width_, side_width_, side_l1_, side_l2_);
    if (cold_)
      qp_.start_cold();
    else
      qp_.start_warm();
  }

  static Limit limit_of(QpStatus qp) {
    return qp == QpStatus::time_limit        ? Limit::time
           : qp == QpStatus::iteration_limit ? Limit::iterations
                                             : Limit::none;
  }

  double penalty(int j, double h) const {
    const double s = std::max(-h, 0.0);
    return s * (penalty_l1.row(0)[j] + 0.5 * penalty_l2.row(0)[j] * s);
  }

  // Nothing usable came out: the trajectory stays, its inputs inside their box.
  Report give_up(Report& report, Status status) {
    report.status = status;
    if (status == Status::infeasible) report.worst.kind = Kind::quadratic_program;
    clip_guess();
    const double value = cost(x, u);
    report.cost = std::isfinite(value) ? value : 0.0;
    return report;
  }

  // Hard bounds hold, and soft constraints up to the user's limit.
  bool acceptable() const {
    if (violation(x, u, true, false).violation > options.soft_limit) return false;
    for (int k = 1; k <= horizon_; ++k) {
      for (int i = 0; i < nx; ++i) {
        const double lower = x_lower.row(k)[i], upper = x_upper.row(k)[i];
        const double range = upper - lower < unbounded ? std::max(upper - lower, 1.0) : 1.0;
        const double outside = std::max(lower - x.row(k)[i], x.row(k)[i] - upper);
        if (outside > options.violation_tolerance * range) return false;
      }
    }
    return true;
  }

  void accept_trial() {  // views of x and u stay valid
    std::copy(x_trial_.data.begin(), x_trial_.data.end(), x.data.begin());
    std::copy(u_trial_.data.begin(), u_trial_.data.end(), u.data.begin());
  }

  // Inside its bounds where there are any that a number can keep.
  static double clipped(double value, double lower, double upper) {
    if (value > upper && upper > -HUGE_VAL) value = upper;
    return value < lower && lower < HUGE_VAL ? lower : value;
  }

  void clip_guess() {
    for (int k = 0; k <= horizon_; ++k) {
      for (int i = 0; i < nx && k > 0; ++i)
        x.row(k)[i] = clipped(x.row(k)[i], x_lower.row(k)[i], x_upper.row(k)[i]);
      for (int i = 0; i < nu && k < horizon_; ++i)
        u.row(k)[i] = clipped(u.row(k)[i], u_lower.row(k)[i], u_upper.row(k)[i]);
    }
  }

  // |value|; what is not finite counts as the largest number.
  static double magnitude(double value) {
    constexpr double most = std::numeric_limits<double>::max();
    return std::abs(value) <= most ? std::abs(value) : most;
  }

  static bool finite(const double* values, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; ++i) sum += values[i] * 0.0;
    return sum == 0.0;
  }

  int horizon_;
  double dt_;
  Solver qp_;
  bool cold_ = true, prepared_ = false, usable_ = false;
  double input_width_[2 * nu] = {}, side_width_[nh + 2 * nx] = {};
  double side_l1_[nh + 2 * nx] = {}, side_l2_[nh + 2 * nx] = {};
  Table x_trial_, u_trial_, last_step_, rho_;  // rho: merit weight of each state's gap
  double last_length_ = 1.0;
};

}  // namespace giljabi::solver

#include "giljabi/solver/linearize.hpp"
#include "giljabi/solver/sqp.hpp"
