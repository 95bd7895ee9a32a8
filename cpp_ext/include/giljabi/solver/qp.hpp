// Data of the quadratic subproblem, one struct per stage; everything is fixed-size and row-major.
//
//   min  sum_k  1/2 z_k' diag(weight_k) z_k + gradient_k' z_k  + elastic penalties,     z_k = (du_k, dx_k)
//   s.t. dx_{k+1} = BA_k z_k + gap_k,   dx_0 given,
//        input sides    room + (+-du) >= 0                                              (hard, k = 0 .. N-1)
//        elastic sides  room + row dx + s >= 0,  s >= 0,  cost l1 s + 1/2 l2 s^2        (k = 1 .. N)
//        the first nm   room + input_row du + row dx + s >= 0, likewise                 (k = 0 .. N-1)
// Elastic sides are the model's constraints h first, then bounds on states with a large l1.
#pragma once

#include <array>
#include <cstdint>

#include "giljabi/solver/sparsity.hpp"

namespace giljabi::solver {

template <class Structure>
struct QpStage {
  static constexpr int nx = Structure::nx, nu = Structure::nu, nh = Structure::nh, nz = nx + nu;
  static constexpr int nm = MixedCount<Structure>::value;
  static constexpr int nzp = padded(nz), nxp = padded(nx);
  static constexpr int input_sides = 2 * nu, elastic_sides = padded(nh + 2 * nx);

  // Problem, written by linearize; the interior point keeps it centred at its own point.
  alignas(64) double ba[nx * nzp] = {};
  double gap[nxp] = {};
  double weight[nzp] = {};
  double gradient[nzp] = {};
  double row[(nh > 0 ? nh : 1) * nxp] = {};
  double input_row[(nm > 0 ? nm : 1) * nu] = {};
  double input_room[input_sides] = {};
  double room[elastic_sides] = {};
  double l1[elastic_sides] = {};
  double l2[elastic_sides] = {};

  // Interior point: slack t and multiplier of a side; s and nu of an elastic side; their directions.
  alignas(64) double input_t[input_sides] = {};
  double input_lambda[input_sides] = {}, input_dt[input_sides] = {}, input_dlambda[input_sides] = {};
  double input_tau[input_sides] = {};
  alignas(64) double t[elastic_sides] = {};
  double lambda[elastic_sides] = {}, s[elastic_sides] = {}, nu_s[elastic_sides] = {};
  double dt[elastic_sides] = {}, dlambda[elastic_sides] = {}, ds[elastic_sides] = {}, dnu[elastic_sides] = {};
  double tau_t[elastic_sides] = {}, tau_s[elastic_sides] = {}, slope[elastic_sides] = {};
  // a = lambda/t, share = a/(a + l2 + nu/s): how much of a side's stiffness its elasticity takes.
  double a[elastic_sides] = {}, share[elastic_sides] = {}, stiffness[elastic_sides] = {};

  // Riccati recursion: rows of the eliminated inputs, cost to go 1/2 dx' P dx + p' dx.
  alignas(64) double eliminated[nu * nzp] = {};
  double inverse_pivot[nu] = {}, feedforward[nu] = {};
  alignas(64) double P[nx * nxp] = {};
  double p[nxp] = {}, P_gap[nxp] = {};

  // Solution: current point, target of the last Newton step, multiplier of the dynamics that end in this
  // stage.
  alignas(64) double z[nzp] = {};
  double step[nzp] = {};
  double pi[nxp] = {};
};

// One finite bound on a state.
struct StateSide {
  int state = 0;
  double sign = 1.0;  // +1 lower bound, -1 upper bound
};

}  // namespace giljabi::solver
