#include "solver_outside.hpp"

static const giljabi::bindings::AddOutside<20, 8, 8, 8> model{"_outside_huge"};
