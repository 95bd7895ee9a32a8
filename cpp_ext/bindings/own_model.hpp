// A user's model as a module of its own: GILJABI_OWN_MODEL(name, Struct) in a file that includes the struct.
// `giljabi build-model` writes such a file and compiles it. Importing the module hands the model to
// giljabi.solver.
#pragma once

#include <Python.h>

#include "solver_model.hpp"

namespace giljabi::bindings {

// The module object; null with a Python error where giljabi refuses it.
inline PyObject* own_model_module(PyModuleDef* definition) {
  // The headers by their content, and the layouts that this compiler gave them.
  static const std::string interface = interface_name() + " " GILJABI_INTERFACE;
  PyObject* module = PyModule_Create(definition);
  PyObject* models = PyCapsule_New(&solver_models(), interface.c_str(), nullptr);
  PyObject* solver = PyImport_ImportModule("giljabi.solver");
  PyObject* done =
      module && models && solver ? PyObject_CallMethod(solver, "add_models", "O", models) : nullptr;
  const bool good = done != nullptr && PyModule_AddObject(module, "models", models) == 0;
  Py_XDECREF(done);
  Py_XDECREF(solver);
  if (good) return module;
  Py_XDECREF(models);
  Py_XDECREF(module);
  return nullptr;
}

}  // namespace giljabi::bindings

#define GILJABI_OWN_MODEL(name, Struct)                            \
  PyMODINIT_FUNC PyInit_##name(void) {                             \
    static const giljabi::bindings::AddModel<Struct> model{#name}; \
    static PyModuleDef definition = {PyModuleDef_HEAD_INIT,        \
                                     #name,                        \
                                     "a model for giljabi.solver", \
                                     -1,                           \
                                     nullptr,                      \
                                     nullptr,                      \
                                     nullptr,                      \
                                     nullptr,                      \
                                     nullptr};                     \
    return giljabi::bindings::own_model_module(&definition);       \
  }
