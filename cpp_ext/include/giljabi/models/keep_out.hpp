// Constraints h(x, p) >= 0 in the plane, shared by the vehicles: discs to keep out of and a corridor to stay
// in.
#pragma once

#include <string>
#include <vector>

#include "giljabi/models/parameter.hpp"

namespace giljabi::models {

// Discs: h = |position - centre|^2 / radius^2 - 1; radius 0 switches a disc off.
// Corridor: lateral offset n.(position - c) within [-right, left]; n is the unit normal to port of the route.
template <int discs, bool corridor>
struct KeepOut {
  static constexpr int nh = discs + (corridor ? 2 : 0);
  static constexpr int np = 3 * discs + (corridor ? 6 : 0);

  // Parameters of one stage: (x, y, radius) per disc, then corridor x, y, normal_x, normal_y, left, right.
  template <class T>
  static constexpr void evaluate(const T& x, const T& y, const double* p, T* h) {
    for (int j = 0; j < discs; ++j) {
      const double radius = p[3 * j + 2];
      if (radius > 0.0) {
        const T dx = x - p[3 * j], dy = y - p[3 * j + 1];
        h[j] = (dx * dx + dy * dy) * (1.0 / (radius * radius)) - 1.0;
      } else {
        h[j] = T(1.0);
      }
    }
    if constexpr (corridor) {
      const double* c = p + 3 * discs;
      const T offset = (x - c[0]) * c[2] + (y - c[1]) * c[3];
      h[discs] = c[4] - offset;
      h[discs + 1] = c[5] + offset;
    }
  }

  static std::vector<std::string> constraint_names() {
    std::vector<std::string> names;
    for (int j = 0; j < discs; ++j) names.push_back("disc_" + std::to_string(j + 1));
    if (corridor) names.insert(names.end(), {"corridor_left", "corridor_right"});
    return names;
  }

  static std::vector<Parameter> parameters() {
    std::vector<Parameter> out;
    for (int j = 0; j < discs; ++j) {
      const std::string disc = "disc_" + std::to_string(j + 1);
      out.push_back({disc + "_x", 0.0, false});
      out.push_back({disc + "_y", 0.0, false});
      out.push_back({disc + "_radius", 0.0, true});
    }
    if (corridor) {
      for (const char* name : {"corridor_x", "corridor_y", "corridor_normal_x", "corridor_normal_y"})
        out.push_back({name, 0.0, false});
      out.push_back({"corridor_left", 1.0e3, false});
      out.push_back({"corridor_right", 1.0e3, false});
    }
    return out;
  }
};

}  // namespace giljabi::models
