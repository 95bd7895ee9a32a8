// Arrays that the user sees.
#pragma once

#include <vector>

namespace giljabi::solver {

// Row-major table of doubles, sized once.
struct Table {
  std::vector<double> data;
  int rows, columns;
  Table(int r, int c, double value = 0.0)
      : data(static_cast<std::size_t>(r) * static_cast<std::size_t>(c), value), rows(r), columns(c) {}
  double* row(int r) { return data.data() + static_cast<std::size_t>(r) * static_cast<std::size_t>(columns); }
  const double* row(int r) const {
    return data.data() + static_cast<std::size_t>(r) * static_cast<std::size_t>(columns);
  }
};

}  // namespace giljabi::solver
