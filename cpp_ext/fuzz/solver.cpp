// The solver: whatever problem is posed in whatever order of calls, every call returns, all numbers that come
// out are finite, and the first input is within its bounds.
#include <array>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <random>

#include "fuzz.hpp"
#include "giljabi/models/bicycle.hpp"
#include "giljabi/models/lipm.hpp"
#include "giljabi/models/rigid_body.hpp"
#include "giljabi/solver/ocp.hpp"

using namespace giljabi;
using solver::Report;
using solver::Status;
using solver::Table;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<double, 9> kSteps{1e-300, 1e-9, 1e-3, 0.05, 0.05, 0.5, 10.0, 1e6, 1e300};

// Any finite number; what is not finite is refused before it reaches a problem, but for measurements.
double finite(FuzzedDataProvider& in) {
  static const std::array<double, 14> kNumbers{0,     -0.0,  1,      -1,     1e-6, -1e-6,  1e6,
                                               1e160, 1e300, -1e160, -1e300, 12,   1e-300, 10};
  if (in.ConsumeBool()) return in.PickValueInArray(kNumbers);
  const auto bits = in.ConsumeIntegral<std::uint64_t>();
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return std::isfinite(value) ? value : 0.5;
}

template <class Model>
class Play {
 public:
  using Ocp = solver::Ocp<Model>;

  explicit Play(FuzzedDataProvider& in)
      : in_(in),
        ocp_(in.PickValueInArray({1, 1, 2, 3, 8}), in.PickValueInArray(kSteps)),
        random_(in.ConsumeIntegral<std::uint32_t>()),
        scale_(in.PickValueInArray({1e-3, 1.0, 1.0, 10.0, 1e3})) {}

  void run() {
    pose();
    for (int i = 0; i < 6 && in_.remaining_bytes() > 0; ++i) act();
    promise(ocp_.solve(measured().data(), 10));
  }

 private:
  using State = std::array<double, Ocp::nx>;

  void pose() {
    for (Table* table : {&ocp_.x_ref, &ocp_.u_ref, &ocp_.x, &ocp_.u}) fill(*table);
    fill(ocp_.parameters, false);
    if (in_.ConsumeIntegralInRange<int>(0, 31) == 0) spoil(in_.ConsumeBool() ? ocp_.x_ref : ocp_.parameters);
    for (Table* table : {&ocp_.state_weights, &ocp_.terminal_weights, &ocp_.input_weights, &ocp_.penalty_l1,
                         &ocp_.penalty_l2})
      if (in_.ConsumeBool()) weigh(*table);
    bound(ocp_.x_lower, ocp_.x_upper);
    bound(ocp_.u_lower, ocp_.u_upper);
    if (in_.ConsumeBool()) ocp_.feedback_options.max_iterations = in_.ConsumeIntegralInRange<int>(1, 40);
    if (in_.ConsumeBool()) ocp_.budget().limit = in_.PickValueInArray({1e-9, 50.0, 500.0});
    ocp_.forget();
  }

  void act() {
    switch (in_.ConsumeIntegralInRange<int>(0, 7)) {
      case 0:
        ocp_.prepare();
        break;
      case 1:
        ocp_.shift();
        break;
      case 2:
        poke(ocp_.parameters);
        ocp_.changed();
        break;
      case 3:
        bound(ocp_.x_lower, ocp_.x_upper);
        ocp_.changed();
        break;
      case 4:
        promise(ocp_.solve(measured().data(), in_.ConsumeIntegralInRange<int>(1, 10)));
        break;
      default:
        promise(ocp_.feedback(measured().data()));
    }
  }

  // Normal numbers, or the defaults that are there; and some of any size.
  void fill(Table& table, bool always = true) {
    std::normal_distribution<double> normal(0.0, scale_);
    if (always || in_.ConsumeBool())
      for (double& value : table.data) value = normal(random_);
    if (in_.ConsumeBool()) poke(table);
  }

  void poke(Table& table) {
    for (int i = in_.ConsumeIntegralInRange<int>(0, 3); i > 0 && !table.data.empty(); --i)
      table.data[in_.ConsumeIntegralInRange<std::size_t>(0, table.data.size() - 1)] = finite(in_);
  }

  // What only C++ can do: the bindings refuse it.
  void spoil(Table& table) {
    table.data[in_.ConsumeIntegralInRange<std::size_t>(0, table.data.size() - 1)] = std::nan("");
  }

  // Weights: none, tiny to huge, or any.
  void weigh(Table& table) {
    std::uniform_real_distribution<double> exponent(-8.0, 8.0);
    const bool none = in_.ConsumeBool();
    for (double& value : table.data) value = none ? 0.0 : std::pow(10.0, exponent(random_));
    poke(table);
    for (double& value : table.data) value = std::abs(value);
  }

  // Bounds: none, around what is normal, without room, crossed, or any.
  void bound(Table& lower, Table& upper) {
    std::normal_distribution<double> normal(0.0, scale_);
    const double room = in_.PickValueInArray({1.0, 1e-9, 0.0, -1.0, 10.0});
    const bool there = in_.ConsumeBool();
    for (std::size_t i = 0; i < lower.data.size(); ++i) {
      const double middle = normal(random_), half = room * std::abs(normal(random_));
      lower.data[i] = there ? middle - half : -kInfinity;
      upper.data[i] = there ? middle + half : kInfinity;
    }
    if (in_.ConsumeBool()) poke(lower), poke(upper);
  }

  State measured() {
    std::normal_distribution<double> normal(0.0, scale_);
    State x;
    for (double& value : x) value = normal(random_);
    if (in_.ConsumeIntegralInRange<int>(0, 7) == 0) {
      const auto i = in_.ConsumeIntegralInRange<std::size_t>(0, x.size() - 1);
      x[i] = in_.ConsumeBool() ? finite(in_) : in_.ConsumeBool() ? std::nan("") : kInfinity;
      taken_ = std::isfinite(x[i]);
    } else {
      taken_ = true;
    }
    return x;
  }

  void promise(const Report& report) {
    for (const Table* table : {&ocp_.x, &ocp_.u})
      for (double value : table->data) PROMISE(std::isfinite(value));
    PROMISE(std::isfinite(report.cost));
    PROMISE(std::isfinite(report.worst.violation) && report.worst.violation >= 0.0);
    PROMISE(report.worst.stage >= 0 && report.worst.stage <= ocp_.horizon() && report.worst.index >= 0);
    PROMISE(taken_ || report.status == Status::bad_input);
    for (double residual : {report.residuals.stationarity, report.residuals.dynamics,
                            report.residuals.inequality, report.residuals.complementarity})
      PROMISE(std::isfinite(residual));
    for (int i = 0; i < Ocp::nu; ++i) {
      const double lower = ocp_.u_lower.row(0)[i], upper = ocp_.u_upper.row(0)[i], u = ocp_.u.row(0)[i];
      if (lower <= upper) PROMISE(u >= lower && u <= upper);
    }
  }

  FuzzedDataProvider& in_;
  Ocp ocp_;
  std::mt19937 random_;
  double scale_;
  bool taken_ = true;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider in(data, size);
  switch (in.ConsumeIntegralInRange<int>(0, 2)) {
    case 0:
      Play<models::Bicycle<1, false>>(in).run();
      break;
    case 1:
      Play<models::Lipm<4>>(in).run();
      break;
    default:
      Play<models::RigidBody<1>>(in).run();
  }
  return 0;
}
