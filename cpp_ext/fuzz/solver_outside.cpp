// Solvers of models that are evaluated outside: whatever size a model has and whatever its functions return,
// what comes out is finite, has the model's own sizes, and nothing is touched beyond them.
#include "../bindings/solver_outside.hpp"

#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "fuzz.hpp"

using namespace giljabi;
using models::Outside;
using solver::Report;
using solver::Status;

namespace {

// x' = A x + B u with a little curvature, constraints alike; some calls fail or give what is no number.
class Equations {
 public:
  Equations(FuzzedDataProvider& in, const bindings::Solver& most)
      : in_(in), random_(in.ConsumeIntegral<std::uint32_t>()) {
    o.nx = in.ConsumeIntegralInRange(1, most.nx);
    o.nu = in.ConsumeIntegralInRange(1, most.nu);
    o.np = in.ConsumeIntegralInRange(0, most.np);
    o.nh = in.ConsumeIntegralInRange(0, 4);
    o.nm = in.ConsumeIntegralInRange(0, 8);
    const auto nz = o.nx + o.nu;
    double** const at[10] = {&o.x,     &o.u,        &o.p, &o.dt,         &o.next,
                             &o.mixed, &o.jacobian, &o.h, &o.h_jacobian, &o.mixed_jacobian};
    const int sizes[10] = {o.nx, o.nu, o.np, 1, o.nx, o.nm, o.nx * nz, o.nh, o.nh * o.nx, o.nm * nz};
    for (int i = 0; i < 10; ++i) {  // each on its own, so that the sanitizer sees its end
      buffers_[i] = std::make_unique<double[]>(static_cast<std::size_t>(sizes[i]));
      *at[i] = buffers_[i].get();
    }
    o.call = [](void* self, Outside::Function f) { return static_cast<Equations*>(self)->evaluate(f); };
    o.context = this;
    std::normal_distribution<double> normal(0.0, 0.5);
    for (double& value : slopes_) value = normal(random_);
  }

  Outside o;

 private:
  bool evaluate(Outside::Function f) {
    const int kind = in_.remaining_bytes() > 40 ? in_.ConsumeIntegralInRange<int>(0, 255) : 255;
    double* out = f <= Outside::linearize ? o.next : f <= Outside::linearize_constraints ? o.h : o.mixed;
    const int n = f <= Outside::linearize ? o.nx : f <= Outside::linearize_constraints ? o.nh : o.nm;
    double* slopes = f == Outside::linearize               ? o.jacobian
                     : f == Outside::linearize_constraints ? o.h_jacobian
                     : f == Outside::linearize_mixed       ? o.mixed_jacobian
                                                           : nullptr;
    const int nu = out == o.h ? 0 : o.nu;
    for (int r = 0; r < n; ++r) {
      double sum = out == o.next ? o.x[r] : 0.3;
      for (int i = 0; i < nu + o.nx; ++i) {
        const double z = i < nu ? o.u[i] : o.x[i - nu], a = slope(r, i);
        sum += a * std::sin(z);
        if (slopes != nullptr)
          slopes[r * (nu + o.nx) + i] = a * std::cos(z) + (out == o.next && i == nu + r ? 1.0 : 0.0);
      }
      out[r] = sum + (o.np > 0 ? 0.01 * o.p[r % o.np] : 0.0);
    }
    if (kind == 0 && n > 0) out[n - 1] = std::nan("");
    if (kind == 1 && n > 0) out[0] = HUGE_VAL;
    return kind != 2;
  }
  double slope(int r, int i) const { return slopes_[(r * 31 + i * 7) % 64]; }

  FuzzedDataProvider& in_;
  std::mt19937 random_;
  double slopes_[64] = {};
  std::unique_ptr<double[]> buffers_[10];
};

template <class Solver>
void play(FuzzedDataProvider& in) {
  Solver s("_outside", in.PickValueInArray({1, 2, 5}), 0.1);
  Equations equations(in, s);
  const Outside& o = equations.o;
  const bool fits = o.nh <= Solver::Model::nh && o.nm <= Solver::Model::nm;
  PROMISE(s.attach(o) == fits);
  if (!fits) return;
  PROMISE(s.nx == o.nx && s.nu == o.nu && s.np == o.np && s.nh == o.nm + o.nh);
  for (const auto& [name, table] : s.tables) {
    const auto [first, columns] = s.shown(name);
    PROMISE(first >= 0 && columns >= 0 && first + columns <= table->columns);
    const bool limit = name.find("er") != std::string::npos && name.find("_") != std::string::npos;
    if (limit || in.ConsumeBool()) continue;  // bounds stay away
    for (int k = 0; k < table->rows; ++k)
      for (int i = 0; i < columns; ++i)
        table->row(k)[first + i] = in.PickValueInArray({0.0, 0.5, 1.0, 3.0, 1e6});
  }
  s.forget();
  std::vector<double> x(static_cast<std::size_t>(o.nx)), u(static_cast<std::size_t>(o.nu)),
      p(static_cast<std::size_t>(o.np)), h(static_cast<std::size_t>(s.nh)), next(x.size());
  for (int i = 0; i < 4; ++i) {
    for (double& value : x) value = in.PickValueInArray({0.0, 0.1, -0.5, 2.0, 1e300});
    const Report report = in.ConsumeBool() ? s.feedback(x.data()) : s.solve(x.data(), 8);
    for (const char* name : {"x", "u"})
      for (double value : s.tables.at(name)->data) PROMISE(std::isfinite(value));
    PROMISE(std::isfinite(report.cost) && std::isfinite(report.worst.violation));
    const int count = report.worst.kind == solver::Kind::constraint ? s.nh : s.nx;
    PROMISE(report.worst.index >= 0 && report.worst.index < count);
    s.penalty_cost(x.data(), u.data(), p.data(), h.data());
    s.simulate(x.data(), u.data(), p.data(), 0.1, 2, next.data());
    if (in.ConsumeBool()) s.shift();
    if (in.ConsumeBool()) s.prepare();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider in(data, size);
  if (in.ConsumeBool())
    play<bindings::SolverOutside<4, 2, 4, 0>>(in);
  else
    play<bindings::SolverOutside<8, 4, 4, 8>>(in);
  return 0;
}
