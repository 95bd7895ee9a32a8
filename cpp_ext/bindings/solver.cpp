// giljabi._core.solver: one class over every built-in model. Names, shapes and errors live in
// giljabi/solver.py.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>

#include "registry.hpp"
#include "solver_interface.hpp"

namespace py = pybind11;

namespace {

using giljabi::bindings::Solver;
using giljabi::bindings::solver_models;
using giljabi::solver::Report;
using giljabi::solver::Table;
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

const double* check(const Array& a, int size, const char* what) {
  if (a.size() != size)
    throw py::value_error(std::string(what) + " has " + std::to_string(a.size()) + " values; " +
                          std::to_string(size) + " are expected");
  return a.data();
}

// State (nx) of a measurement; null where it is not a plain array of the right size.
const double* plain(const py::handle& x, int nx) {
  if (!py::isinstance<py::array_t<double, py::array::c_style>>(x)) return nullptr;
  const auto a = py::reinterpret_borrow<py::array>(x);
  return a.ndim() == 1 && a.shape(0) == nx ? static_cast<const double*>(a.data()) : nullptr;
}

const char* status_name(const Report& r) {
  static constexpr const char* names[] = {"converged", "feasible", "infeasible", "bad_input"};
  return names[static_cast<int>(r.status)];
}

const char* limit_name(const Report& r) {
  static constexpr const char* names[] = {"", "iterations", "time"};
  return names[static_cast<int>(r.limit)];
}

// "disc_1@stage 7"; "" when nothing is violated.
std::string worst_name(const Solver& s, const giljabi::solver::Worst& worst) {
  using giljabi::solver::Kind;
  const auto index = static_cast<std::size_t>(worst.index);
  std::string name;
  switch (worst.kind) {
    case Kind::none:
      return "";
    case Kind::quadratic_program:
      return "quadratic program";
    case Kind::constraint:
      name = s.constraints.at(index);
      break;
    case Kind::state_lower:
      name = s.states.at(index) + " lower bound";
      break;
    case Kind::state_upper:
      name = s.states.at(index) + " upper bound";
      break;
    case Kind::dynamics:
      name = s.states.at(index) + " dynamics";
      break;
  }
  return name + "@stage " + std::to_string(worst.stage);
}

// Models of the variant that runs; the baseline's until `use` was called.
giljabi::bindings::SolverModels* models_in_use = &solver_models();

// Variants that this processor can run, the best first.
std::vector<std::string> supported() {
  std::vector<std::string> names;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    names.push_back("avx512");
  if (avx2) names.push_back("avx2");
#endif
  names.push_back("baseline");
  return names;
}

// Runs f without the GIL, one caller at a time.
template <class F>
auto released(Solver& s, F&& f) {
  py::gil_scoped_release release;
  const std::lock_guard<std::mutex> lock(s.busy);
  return f();
}

// First component whose bounds no number is between: "state" or "input", stage, component.
std::optional<std::tuple<std::string, int, int>> crossed(const Solver& s) {
  for (const char* kind : {"state", "input"}) {
    const std::string name = kind;
    const Table &lower = *s.tables.at(name + "_lower"), &upper = *s.tables.at(name + "_upper");
    for (int k = 0; k < lower.rows; ++k) {
      for (int i = 0; i < lower.columns; ++i) {
        const double least = lower.row(k)[i], most = upper.row(k)[i];
        const bool ordered = name == "state" ? least <= most : least < most;
        if (!ordered || least == HUGE_VAL || most == -HUGE_VAL) return std::make_tuple(name, k, i);
      }
    }
  }
  return std::nullopt;
}

// Solves every problem once, each for its own state; which thread takes which does not matter to the results.
std::vector<Report> solve_all(const std::vector<Solver*>& solvers, const std::vector<Array>& states,
                              int max_iterations, int threads) {
  if (states.size() != solvers.size()) throw py::value_error("as many states as solvers are expected");
  std::vector<const double*> from;
  for (std::size_t i = 0; i < solvers.size(); ++i) from.push_back(check(states[i], solvers[i]->nx, "x"));
  std::vector<Report> reports(solvers.size());
  {
    py::gil_scoped_release release;
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < solvers.size(); i = next++) {
        const std::lock_guard<std::mutex> lock(solvers[i]->busy);
        reports[i] = solvers[i]->solve(from[i], max_iterations);
      }
    };
    std::vector<std::thread> helpers;
    helpers.reserve(static_cast<std::size_t>(std::max(threads, 1)));
    try {
      for (int i = 1; i < threads && static_cast<std::size_t>(i) < solvers.size(); ++i)
        helpers.emplace_back(work);
    } catch (const std::system_error&) {  // no more threads to be had: those there are do the work
    }
    work();
    for (std::thread& helper : helpers) helper.join();
  }
  return reports;
}

// What calls into Python for an outside model.
struct Caller {
  py::object function;
  std::vector<Array> buffers;
};

bool call_outside(void* context, giljabi::models::Outside::Function function) {
  const py::gil_scoped_acquire acquire;
  try {
    static_cast<Caller*>(context)->function(static_cast<int>(function));
    return true;
  } catch (py::error_already_set& e) {
    e.discard_as_unraisable("a model's function");
    return false;
  }
}

// names: of states, inputs, parameters, constraints, constraints on inputs; buffers: x, u, p, dt, next,
// jacobian, h, h_jacobian, mixed, mixed_jacobian; call(i) runs function i on them.
void attach(Solver& s, const std::array<std::vector<std::string>, 5>& names,
            const std::vector<Array>& buffers, const py::object& call, bool several_minima) {
  std::array<int, 5> sizes{};
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = static_cast<int>(names[i].size());
  const auto [nx, nu, np, nh, nm] = sizes;
  const std::array<int, 10> expected = {nx, nu, np, 1, nx, nx * (nu + nx), nh, nh * nx, nm, nm * (nu + nx)};
  if (buffers.size() != expected.size()) throw py::value_error("10 buffers are expected");
  double* at[10];
  auto caller = std::shared_ptr<Caller>(new Caller{call, buffers}, [](Caller* c) {
    const py::gil_scoped_acquire acquire;
    delete c;
  });
  for (std::size_t i = 0; i < expected.size(); ++i) {
    check(buffers[i], expected[i], "a buffer");
    at[i] = caller->buffers[i].mutable_data();
  }
  const giljabi::models::Outside outside = {
      nx,    nu,    np,    nh,    nm,    several_minima, at[0], at[1],         at[2],
      at[3], at[4], at[5], at[6], at[7], at[8],          at[9], &call_outside, caller.get()};
  if (!s.attach(outside)) throw py::value_error("the model does not fit");
  s.states = names[0], s.inputs = names[1], s.parameters = names[2];
  s.constraints = names[4];
  s.constraints.insert(s.constraints.end(), names[3].begin(), names[3].end());
  s.kept = caller;
}

void bind(py::module_& m) {
  m.def("models", [] {
    std::vector<std::string> names;
    for (const auto& entry : *models_in_use)
      if (entry.first[0] != '_') names.push_back(entry.first);
    return names;
  });
  m.def("supported", &supported);
  m.def(
      "use",
      [](const py::capsule& models) {
        const char* interface = models.name();
        if (interface == nullptr || std::string(interface) != GILJABI_INTERFACE) return false;
        models_in_use = models.get_pointer<giljabi::bindings::SolverModels>();
        return true;
      },
      py::arg("models"));
  m.def(
      "add",
      [](const py::object& models) {
        const std::string interface = giljabi::bindings::interface_name() + " " GILJABI_INTERFACE;
        if (!PyCapsule_IsValid(models.ptr(), interface.c_str()))
          throw py::value_error("the module was built with the headers of another giljabi");
        const auto* own = static_cast<giljabi::bindings::SolverModels*>(
            PyCapsule_GetPointer(models.ptr(), interface.c_str()));
        for (const auto& entry : *own) {
          const auto known = models_in_use->find(entry.first);
          if (known != models_in_use->end() && known->second != entry.second)
            throw py::value_error("there is a model '" + entry.first + "' already");
        }
        for (const auto& entry : *own) (*models_in_use)[entry.first] = entry.second;
      },
      py::arg("models"));
  py::class_<Report>(
      m, "Report", "What one solve reached; residuals: stationarity, dynamics, inequality, complementarity.")
      .def_property_readonly("status", &status_name)
      .def_property_readonly("limit", &limit_name)
      .def_readonly("iterations", &Report::iterations)
      .def_readonly("qp_iterations", &Report::qp_iterations)
      .def_readonly("cost", &Report::cost)
      .def_property_readonly("violation", [](const Report& r) { return r.worst.violation; })
      .def_property_readonly("residuals", [](const Report& r) {
        const giljabi::solver::Residuals& all = r.residuals;
        return std::array<double, 4>{all.stationarity, all.dynamics, all.inequality, all.complementarity};
      });
  py::class_<Solver>(m, "Solver", "One problem of a built-in model; giljabi.solver.Ocp checks what goes in.")
      .def(py::init([](const std::string& name, int horizon, double dt) {
             const auto found = models_in_use->find(name);
             if (found == models_in_use->end()) throw py::value_error("no model '" + name + "'");
             if (horizon < 1 || horizon > 10000) throw py::value_error("horizon must be 1 to 10000 stages");
             if (!(dt > 0.0) || !std::isfinite(dt))
               throw py::value_error("dt must be a positive number of seconds");
             return found->second(name, horizon, dt);
           }),
           py::arg("model"), py::arg("horizon"), py::arg("dt"))
      .def_readonly("model", &Solver::model)
      .def_readonly("horizon", &Solver::horizon)
      .def_readonly("dt", &Solver::dt)
      .def_readonly("states", &Solver::states)
      .def_readonly("inputs", &Solver::inputs)
      .def_readonly("constraints", &Solver::constraints)
      .def_readonly("parameters", &Solver::parameters)
      .def_readonly("non_negative", &Solver::non_negative)
      .def_readonly("constants", &Solver::constants)
      .def_readonly("positive", &Solver::positive)
      .def_readonly("several_minima", &Solver::several_minima)
      .def_property_readonly("tables",
                             [](const Solver& s) {
                               std::vector<std::string> names;
                               for (const auto& entry : s.tables) names.push_back(entry.first);
                               return names;
                             })
      .def_property_readonly("settings",
                             [](const Solver& s) {
                               std::vector<std::string> names;
                               for (const auto& entry : s.numbers) names.push_back(entry.first);
                               for (const auto& entry : s.counts) names.push_back(entry.first);
                               return names;
                             })
      .def(
          "table",
          [](py::object self, const std::string& name) {
            Table& t = *self.cast<Solver&>().tables.at(name);
            const auto [first, columns] = self.cast<Solver&>().shown(name);
            const auto size = static_cast<py::ssize_t>(sizeof(double));
            return py::array_t<double>({static_cast<py::ssize_t>(t.rows), static_cast<py::ssize_t>(columns)},
                                       {t.columns * size, size}, t.data.data() + first,
                                       self);  // a view; keeps the solver alive
          },
          py::arg("name"))
      .def(
          "get",
          [](const Solver& s, const std::string& name) {
            const auto count = s.counts.find(name);
            return count != s.counts.end() ? static_cast<double>(*count->second) : *s.numbers.at(name);
          },
          py::arg("name"))
      .def(
          "set",
          [](Solver& s, const std::string& name, double value) {
            const auto count = s.counts.find(name);
            if (count != s.counts.end())
              *count->second = static_cast<int>(value);
            else
              *s.numbers.at(name) = value;
            s.changed();
          },
          py::arg("name"), py::arg("value"))
      .def("attach", &attach, py::arg("names"), py::arg("buffers"), py::arg("call"),
           py::arg("several_minima"))
      .def("prepare", [](Solver& s) { return released(s, [&] { return s.prepare(); }); })
      .def(
          "feedback",
          [](Solver& s, const py::object& x) -> std::optional<Report> {
            const double* from = plain(x, s.nx);
            if (from == nullptr) return std::nullopt;
            return released(s, [&] { return s.feedback(from); });
          },
          py::arg("x"), "None, and nothing done, where x is not a plain array (nx,) of doubles.")
      .def(
          "worst", [](const Solver& s, const Report& r) { return worst_name(s, r.worst); }, py::arg("report"),
          "Constraint and stage of the largest violation.")
      .def(
          "solve",
          [](Solver& s, const Array& x, int max_iterations) {
            const double* from = check(x, s.nx, "x");
            return released(s, [&] { return s.solve(from, max_iterations); });
          },
          py::arg("x"), py::arg("max_iterations"))
      .def("shift", [](Solver& s) { released(s, [&] { s.shift(); }); })
      .def("forget", &Solver::forget)
      .def("changed", &Solver::changed)
      .def("crossed", &crossed)
      .def(
          "simulate",
          [](Solver& s, const Array& x, const Array& u, const Array& p, double duration, int substeps) {
            py::array_t<double> next(s.nx);
            if (substeps < 1) throw py::value_error("substeps must be 1 or more");
            s.simulate(check(x, s.nx, "x"), check(u, s.nu, "u"), check(p, s.np, "p"), duration, substeps,
                       next.mutable_data());
            return next;
          },
          py::arg("x"), py::arg("u"), py::arg("p"), py::arg("duration"), py::arg("substeps"))
      .def(
          "constraint_values",
          [](Solver& s, const Array& x, const Array& u, const Array& p) {
            py::array_t<double> h(s.nh);
            s.penalty_cost(check(x, s.nx, "x"), check(u, s.nu, "u"), check(p, s.np, "p"), h.mutable_data());
            return h;
          },
          py::arg("x"), py::arg("u"), py::arg("p"));
  m.def("solve_all", &solve_all, py::arg("solvers"), py::arg("states"), py::arg("max_iterations"),
        py::arg("threads"));
}

const giljabi::bindings::Registration registration{"solver",
                                                   "real-time optimal control of the built-in models", bind};

}  // namespace
