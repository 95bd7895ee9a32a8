#include "solver_outside.hpp"

static const giljabi::bindings::AddOutside<16, 8, 8, 0> model{"_outside_large"};
