// Received, the drivers' frame, as C++ reads and makes it: slots by their descriptors, without a call into
// Python.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "giljabi/codecs/can_frames.hpp"

namespace giljabi::bindings {

// The class giljabi_drivers.contract.Received, handed in so that the core imports no driver.
class ReceivedType {
 public:
  explicit ReceivedType(pybind11::object type) : type_(std::move(type)), empty_(pybind11::tuple()) {
    constexpr std::array<const char*, 5> kNames = {"t", "data", "can_id", "bus", "flags"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      slots_[i] = pybind11::getattr(type_, kNames[i]);
      if (Py_TYPE(slots_[i].ptr())->tp_descr_get == nullptr ||
          Py_TYPE(slots_[i].ptr())->tp_descr_set == nullptr) {
        throw std::invalid_argument("a class with the slots t, data, can_id, bus and flags is expected");
      }
    }
  }

  pybind11::object make(double t, const codecs::CanFrame& f, int bus) const {
    auto* type = reinterpret_cast<PyTypeObject*>(type_.ptr());
    const auto out = pybind11::reinterpret_steal<pybind11::object>(type->tp_new(type, empty_.ptr(), nullptr));
    if (!out) {
      throw pybind11::error_already_set();
    }
    set(out, 0, PyFloat_FromDouble(t));
    set(out, 1,
        PyBytes_FromStringAndSize(reinterpret_cast<const char*>(f.data.data()),
                                  static_cast<Py_ssize_t>(f.size)));
    set(out, 2, PyLong_FromUnsignedLong(f.id));
    set(out, 3, PyLong_FromLong(bus));
    set(out, 4, PyLong_FromUnsignedLong(f.flags));
    return out;
  }

  // A slot of an object that may be of any class.
  pybind11::object get(pybind11::handle o, std::size_t slot) const {
    PyObject* d = slots_[slot].ptr();
    PyObject* value = Py_TYPE(d)->tp_descr_get(d, o.ptr(), reinterpret_cast<PyObject*>(Py_TYPE(o.ptr())));
    if (value == nullptr) {
      throw pybind11::error_already_set();
    }
    return pybind11::reinterpret_steal<pybind11::object>(value);
  }

  double t(pybind11::handle o) const { return checked(PyFloat_AsDouble(get(o, 0).ptr())); }
  long can_id(pybind11::handle o) const { return checked(PyLong_AsLong(get(o, 2).ptr())); }
  int bus(pybind11::handle o) const { return static_cast<int>(checked(PyLong_AsLong(get(o, 3).ptr()))); }
  unsigned flags(pybind11::handle o) const {
    return static_cast<unsigned>(checked(PyLong_AsLong(get(o, 4).ptr())));
  }

 private:
  template <class T>
  static T checked(T value) {
    if (value == static_cast<T>(-1) && PyErr_Occurred() != nullptr) {
      throw pybind11::error_already_set();
    }
    return value;
  }

  void set(const pybind11::object& o, std::size_t slot, PyObject* value) const {
    const auto owned = pybind11::reinterpret_steal<pybind11::object>(value);
    PyObject* d = slots_[slot].ptr();
    if (!owned || Py_TYPE(d)->tp_descr_set(d, o.ptr(), owned.ptr()) != 0) {
      throw pybind11::error_already_set();
    }
  }

  pybind11::object type_;
  pybind11::tuple empty_;
  std::array<pybind11::object, 5> slots_;
};

}  // namespace giljabi::bindings
