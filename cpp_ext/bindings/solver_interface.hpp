// What Python sees of an Ocp, whatever its model. Each model is compiled in a file of its own
// (solver_<model>.cpp).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "giljabi/models/outside.hpp"
#include "giljabi/solver/result.hpp"
#include "giljabi/solver/table.hpp"

namespace giljabi::bindings {

using solver::Report;
using solver::Table;

struct Solver {
  std::string model;
  int horizon = 0, nx = 0, nu = 0, np = 0, nh = 0;
  double dt = 0.0;
  bool several_minima = false;  // on several sides of what is in the way
  std::vector<std::string> states, inputs, constraints;
  std::vector<std::string> parameters, non_negative;  // per stage
  std::vector<std::string> constants, positive;       // one value
  std::map<std::string, Table*> tables;
  std::map<std::string, double*> numbers;  // constants and real-valued options
  std::map<std::string, int*> counts;      // integer options
  std::mutex busy;                         // solves run without the GIL

  std::shared_ptr<void> kept;  // what an outside model's functions need

  virtual ~Solver() = default;
  // Functions of a model that is evaluated outside; false when this solver has equations or is too small.
  virtual bool attach(const models::Outside&) { return false; }
  // First column of a table that belongs to the model, and how many do.
  virtual std::pair<int, int> shown(const std::string& table) const { return {0, tables.at(table)->columns}; }
  virtual bool prepare() = 0;
  virtual Report feedback(const double* x) = 0;
  virtual Report solve(const double* x, int max_iterations) = 0;
  virtual void shift() = 0;
  virtual void forget() = 0;
  virtual void changed() = 0;
  virtual void simulate(const double* x, const double* u, const double* p, double duration, int substeps,
                        double* next) const = 0;
  virtual double penalty_cost(const double* x, const double* u, const double* p, double* h) const = 0;
};

using SolverFactory = std::unique_ptr<Solver> (*)(const std::string& name, int horizon, double dt);

using SolverModels = std::map<std::string, SolverFactory>;

// Built-in models by name, of this module (the baseline or one variant); every solver_<model>.cpp adds its
// own.
inline SolverModels& solver_models() {
  static SolverModels all;
  return all;
}

// A module with models that was built with other headers has another name, and is refused.
inline std::string interface_name() {
  return std::string("giljabi.solver.models 1 ") + std::to_string(sizeof(Solver)) + " " +
         std::to_string(sizeof(Report)) + " " + std::to_string(sizeof(models::Outside));
}

}  // namespace giljabi::bindings
