// How a model names its numbers, for users who set them by name.
#pragma once

#include <string>
#include <vector>

namespace giljabi::models {

// A number that is the same at every stage: a member of the model struct.
template <class Model>
struct Constant {
  const char* name;
  double Model::* member;
  bool positive;  // must be > 0
};

// A number that may differ from stage to stage: one column of p.
struct Parameter {
  std::string name;
  double value;       // default
  bool non_negative;  // must be >= 0
};

// What a model may leave out: no parameters, constraints or constants. `struct Mine : Defaults<Mine> {...}`.
template <class Model>
struct Defaults {
  static constexpr int np = 0, nh = 0;
  static std::vector<Constant<Model>> constants() { return {}; }
  static std::vector<Parameter> parameters() { return {}; }
  static std::vector<std::string> constraint_names() { return {}; }
  template <class T>
  constexpr void constraints(const T*, const double*, T*) const {}
};

}  // namespace giljabi::models
