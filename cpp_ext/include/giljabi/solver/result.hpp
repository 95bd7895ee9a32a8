// What a solve reports.
#pragma once

namespace giljabi::solver {

enum class Status {
  converged,   // every KKT residual (feedback: the step) is below the tolerance
  feasible,    // dynamics and hard bounds hold, the optimum is not reached yet
  infeasible,  // a hard bound, the dynamics, or the limit on soft constraints is violated
  bad_input,   // something that came in was not finite; the trajectory was left as it was
};

// What ended the work before it was done.
enum class Limit { none, iterations, time };

// What the worst violation belongs to.
enum class Kind { none, constraint, state_lower, state_upper, dynamics, quadratic_program };

struct Worst {
  double violation = 0.0;  // in the unit of the constraint or state
  Kind kind = Kind::none;
  int index = 0, stage = 0;
};

// Residuals of the first-order conditions, infinity norms in the problem's own units.
struct Residuals {
  double stationarity = 0.0, dynamics = 0.0, inequality = 0.0, complementarity = 0.0;
};

struct Report {
  Status status = Status::bad_input;
  Limit limit = Limit::none;
  int iterations = 0;     // linearizations
  int qp_iterations = 0;  // factorizations
  double cost = 0.0;      // of the trajectory, with the soft constraints' penalty
  Worst worst;
  Residuals residuals;  // of solve(); feedback() leaves the values of its linearization point at zero
};

}  // namespace giljabi::solver
