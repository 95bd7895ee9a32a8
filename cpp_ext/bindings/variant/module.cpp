// giljabi._core_<variant>: the solver's models built for one instruction set, handed over in the capsule
// `models`.
#include <Python.h>

#include "solver_interface.hpp"

#define GILJABI_JOIN_(a, b) a##b
#define GILJABI_JOIN(a, b) GILJABI_JOIN_(a, b)
#define GILJABI_TEXT_(a) #a
#define GILJABI_TEXT(a) GILJABI_TEXT_(a)

PyMODINIT_FUNC GILJABI_JOIN(PyInit__core_, GILJABI_VARIANT)(void) {
  static PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                   "_core_" GILJABI_TEXT(GILJABI_VARIANT),
                                   "the solver's models for one instruction set",
                                   -1,
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr};
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  PyObject* models = PyCapsule_New(&giljabi::bindings::solver_models(), GILJABI_INTERFACE, nullptr);
  if (models == nullptr || PyModule_AddObject(module, "models", models) < 0) {
    Py_XDECREF(models);
    Py_DECREF(module);
    return nullptr;
  }
  return module;
}
