// Solver of one model. `static const AddModel<Model> name{"name"};` in a file of its own makes it a built-in
// model.
#pragma once

#include "giljabi/solver/ocp.hpp"
#include "solver_interface.hpp"

namespace giljabi::bindings {

template <class Model>
struct SolverOf final : Solver {
  solver::Ocp<Model> ocp;

  SolverOf(const std::string& name, int n, double step) : ocp(n, step) {
    model = name;
    horizon = n;
    dt = step;
    nx = Model::nx, nu = Model::nu, np = Model::np, nh = solver::Ocp<Model>::nh;
    several_minima = solver::Sparsity<Model>::several_minima;
    states.assign(Model::state_names.begin(), Model::state_names.end());
    inputs.assign(Model::input_names.begin(), Model::input_names.end());
    constraints = Model::constraint_names();
    for (const auto& parameter : Model::parameters()) {
      parameters.push_back(parameter.name);
      if (parameter.non_negative) non_negative.push_back(parameter.name);
    }
    for (const auto& constant : Model::constants()) {
      constants.emplace_back(constant.name);
      if (constant.positive) positive.emplace_back(constant.name);
      numbers[constant.name] = &(ocp.model.*constant.member);
    }
    tables = {{"x", &ocp.x},
              {"u", &ocp.u},
              {"x_ref", &ocp.x_ref},
              {"u_ref", &ocp.u_ref},
              {"parameters", &ocp.parameters},
              {"state_lower", &ocp.x_lower},
              {"state_upper", &ocp.x_upper},
              {"input_lower", &ocp.u_lower},
              {"input_upper", &ocp.u_upper},
              {"state_weights", &ocp.state_weights},
              {"terminal_weights", &ocp.terminal_weights},
              {"input_weights", &ocp.input_weights},
              {"penalty_l1", &ocp.penalty_l1},
              {"penalty_l2", &ocp.penalty_l2}};
    numbers["tolerance"] = &ocp.options.tolerance;
    numbers["step_tolerance"] = &ocp.options.step_tolerance;
    numbers["violation_tolerance"] = &ocp.options.violation_tolerance;
    numbers["soft_limit"] = &ocp.options.soft_limit;
    numbers["state_bound_penalty"] = &ocp.options.state_bound_penalty;
    numbers["barrier_floor"] = &ocp.feedback_options.barrier_floor;
    numbers["barrier_tolerance"] = &ocp.feedback_options.barrier_tolerance;
    numbers["residual_tolerance"] = &ocp.feedback_options.residual_tolerance;
    numbers["time_budget"] = &ocp.budget().limit;
    counts["qp_iterations"] = &ocp.feedback_options.max_iterations;
    counts["line_search_steps"] = &ocp.options.line_search_steps;
  }

  bool prepare() override { return ocp.prepare(); }
  Report feedback(const double* x) override { return ocp.feedback(x); }
  Report solve(const double* x, int max_iterations) override { return ocp.solve(x, max_iterations); }
  void shift() override { ocp.shift(); }
  void forget() override { ocp.forget(); }
  void changed() override { ocp.changed(); }
  void simulate(const double* x, const double* u, const double* p, double duration, int substeps,
                double* next) const override {
    ocp.simulate(x, u, p, duration, substeps, next);
  }
  double penalty_cost(const double* x, const double* u, const double* p, double* h) const override {
    return ocp.penalty_cost(x, u, p, h);
  }
};

template <class Model>
struct AddModel {
  explicit AddModel(const char* name) {
    solver_models()[name] = [](const std::string& given, int horizon, double dt) -> std::unique_ptr<Solver> {
      return std::make_unique<SolverOf<Model>>(given, horizon, dt);
    };
  }
};

}  // namespace giljabi::bindings
