#include "solver_outside.hpp"

static const giljabi::bindings::AddOutside<4, 2, 4, 0> model{"_outside_small"};
