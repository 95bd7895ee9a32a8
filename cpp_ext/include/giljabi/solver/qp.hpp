// Data of the quadratic subproblem, one struct per stage; everything is fixed-size and row-major.
//
//   min  sum_k  1/2 z_k' diag(weight_k) z_k + gradient_k' z_k  + elastic penalties,     z_k = (du_k, dx_k)
//   s.t. dx_{k+1} = BA_k z_k + gap_k,   dx_0 given,
//        input sides    room + (+-du) >= 0                                              (hard, k = 0 .. N-1)
//        elastic sides  room + row z + s >= 0,  s >= 0,  cost l1 s + 1/2 l2 s^2
// Elastic sides are the model's constraints h first, then bounds on states with a large l1. The first nm of h
// see inputs and hold for k = 0 .. N-1, all others for k = 1 .. N. Rows have the columns of z: inputs first,
// then states, then padding.
#pragma once

#include <array>
#include <cstdint>

#include "giljabi/solver/simd.hpp"
#include "giljabi/solver/sparsity.hpp"

namespace giljabi::solver {

template <class Structure>
struct QpStage {
  static constexpr int nx = Structure::nx, nu = Structure::nu, nh = Structure::nh, nz = nx + nu;
  static constexpr int nm = MixedCount<Structure>::value;
  static constexpr int nzp = padded(nz), nxp = padded(nx);
  static constexpr int input_sides = 2 * nu, elastic_sides = nh + 2 * nx;
  using Inputs = double[padded(input_sides)];
  using Elastics = double[padded(elastic_sides)];

  // Which columns of z each of the model's constraints sees.
  static constexpr auto columns() {
    std::array<std::uint64_t, (nh > 0 ? nh : 1)> out{};
    for (int r = 0; r < nh; ++r) out[r] = Structure::constraints[r] << nu;
    if constexpr (nm > 0)
      for (int r = 0; r < nm; ++r) out[r] |= Structure::mixed[r];
    return out;
  }
  static constexpr auto sees = columns();

  // Problem, written by linearize; the interior point keeps it centred at its own point.
  alignas(64) double ba[nx * nzp] = {};
  alignas(64) double weight[nzp] = {};
  alignas(64) double gradient[nzp] = {};
  alignas(64) double gap[nxp] = {};
  alignas(64) double row[(nh > 0 ? nh : 1) * nzp] = {};
  alignas(64) Inputs input_room = {};
  alignas(64) Elastics room = {};

  // Interior point: slack t and multiplier of a side; s and nu of an elastic side. Their directions (dt: of
  // t, and so on), and what the Newton step aims their products at, divided by the slack.
  alignas(64) Inputs input_t = {};
  alignas(64) Inputs input_lambda = {};
  alignas(64) Inputs input_dt = {};
  alignas(64) Inputs input_dlambda = {};
  alignas(64) Inputs input_aim = {};
  alignas(64) Inputs input_slope = {};
  alignas(64) Elastics t = {};
  alignas(64) Elastics lambda = {};
  alignas(64) Elastics s = {};
  alignas(64) Elastics nu_s = {};
  alignas(64) Elastics dt = {};
  alignas(64) Elastics dlambda = {};
  alignas(64) Elastics ds = {};
  alignas(64) Elastics dnu = {};
  alignas(64) Elastics aim_t = {};
  alignas(64) Elastics aim_s = {};
  alignas(64) Elastics slope = {};
  // a = lambda/t, b = l2 + nu/s, yield = 1/(a + b): the side's stiffness is ab/(a + b).
  alignas(64) Inputs input_stiffness = {};
  alignas(64) Inputs input_pull = {};
  alignas(64) Elastics a = {};
  alignas(64) Elastics b = {};
  alignas(64) Elastics yield = {};
  alignas(64) Elastics stiffness = {};
  alignas(64) Elastics pull = {};

  // Hessian's diagonal and gradient with what the sides add; rows of the eliminated inputs; cost to go
  // 1/2 dx' P dx + p' dx, with the columns of z.
  alignas(64) double diagonal[nzp] = {};
  alignas(64) double slant[nzp] = {};
  alignas(64) double eliminated[nu * nzp] = {};
  alignas(64) double P[nx * nzp] = {};
  alignas(64) double p[nzp] = {};
  alignas(64) double P_gap[nzp] = {};
  double inverse_pivot[nu] = {}, feedforward[nu] = {};

  // Solution: current point, target of the last Newton step, multiplier of the dynamics that end in this
  // stage.
  alignas(64) double z[nzp] = {};
  alignas(64) double step[nzp] = {};
  double pi[nxp] = {};
};

// One finite bound on a state.
struct StateSide {
  int state = 0;
  double sign = 1.0;  // +1 lower bound, -1 upper bound
};

}  // namespace giljabi::solver
