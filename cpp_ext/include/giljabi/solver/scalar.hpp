// Scalars a model is evaluated with: double, Dual (forward-mode derivatives), Pattern (which inputs reach a
// result).
#pragma once

#include <cmath>
#include <cstdint>

#include "giljabi/solver/simd.hpp"

namespace giljabi::solver {

// Value and N directional derivatives, in vector registers.
template <int N>
struct Dual {
  static constexpr int width = N <= 2 || lanes < 4 ? 2 : N <= 4 || lanes < 8 ? 4 : 8;
  static constexpr int parts = (N + width - 1) / width;
  using V = Vector<width>;

  V d[parts] = {};
  double v = 0.0;

  Dual() = default;
  Dual(double value) : v(value) {}  // NOLINT: constants mix freely with duals
  Dual(const Dual& from) { *this = from; }
  // Part by part: a copy of the whole goes through memory with its padding, and waits for it.
  Dual& operator=(const Dual& from) {
    v = from.v;
    for (int i = 0; i < parts; ++i) d[i] = from.d[i];
    return *this;
  }
  double slope(int i) const { return d[i / width][i % width]; }
  void set_slope(int i, double value) { d[i / width][i % width] = value; }
};

// Result of an elementary function of `a` with value `v` and derivative `dv`.
template <int N>
inline Dual<N> chain(const Dual<N>& a, double v, double dv) {
  Dual<N> r;
  r.v = v;
  for (int i = 0; i < Dual<N>::parts; ++i) r.d[i] = all<Dual<N>::width>(dv) * a.d[i];
  return r;
}

// Result of an operation on `a` and `b` with value `v` and derivatives `da` and `db`.
template <int N>
inline Dual<N> chain(const Dual<N>& a, const Dual<N>& b, double v, double da, double db) {
  constexpr int width = Dual<N>::width;
  Dual<N> r;
  r.v = v;
  for (int i = 0; i < Dual<N>::parts; ++i) r.d[i] = madd(all<width>(da), a.d[i], all<width>(db) * b.d[i]);
  return r;
}

template <int N>
inline Dual<N> operator+(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r;
  r.v = a.v + b.v;
  for (int i = 0; i < Dual<N>::parts; ++i) r.d[i] = a.d[i] + b.d[i];
  return r;
}
template <int N>
inline Dual<N> operator-(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r;
  r.v = a.v - b.v;
  for (int i = 0; i < Dual<N>::parts; ++i) r.d[i] = a.d[i] - b.d[i];
  return r;
}
template <int N>
inline Dual<N> operator*(const Dual<N>& a, const Dual<N>& b) {
  return chain(a, b, a.v * b.v, b.v, a.v);
}
template <int N>
inline Dual<N> operator/(const Dual<N>& a, const Dual<N>& b) {
  const double inverse = 1.0 / b.v, v = a.v * inverse;
  return chain(a, b, v, inverse, -v * inverse);
}
template <int N>
inline Dual<N> operator+(const Dual<N>& a, double b) {
  Dual<N> r = a;
  r.v = a.v + b;
  return r;
}
template <int N>
inline Dual<N> operator+(double a, const Dual<N>& b) {
  return b + a;
}
template <int N>
inline Dual<N> operator-(const Dual<N>& a, double b) {
  return a + -b;
}
template <int N>
inline Dual<N> operator-(double a, const Dual<N>& b) {
  return chain(b, a - b.v, -1.0);
}
template <int N>
inline Dual<N> operator-(const Dual<N>& a) {
  return chain(a, -a.v, -1.0);
}
template <int N>
inline Dual<N> operator*(const Dual<N>& a, double b) {
  return chain(a, a.v * b, b);
}
template <int N>
inline Dual<N> operator*(double a, const Dual<N>& b) {
  return chain(b, a * b.v, a);
}
template <int N>
inline Dual<N> operator/(const Dual<N>& a, double b) {
  return a * (1.0 / b);
}
template <int N>
inline Dual<N> operator/(double a, const Dual<N>& b) {
  const double v = a / b.v;
  return chain(b, v, -v / b.v);
}
template <int N>
inline Dual<N> sin(const Dual<N>& a) {
  return chain(a, std::sin(a.v), std::cos(a.v));
}
template <int N>
inline Dual<N> cos(const Dual<N>& a) {
  return chain(a, std::cos(a.v), -std::sin(a.v));
}
template <int N>
inline Dual<N> tan(const Dual<N>& a) {
  const double t = std::tan(a.v);
  return chain(a, t, 1.0 + t * t);
}
template <int N>
inline Dual<N> sqrt(const Dual<N>& a) {
  const double s = std::sqrt(a.v);
  return chain(a, s, 0.5 / s);
}
template <int N>
inline Dual<N> exp(const Dual<N>& a) {
  const double e = std::exp(a.v);
  return chain(a, e, e);
}
template <int N>
inline Dual<N> tanh(const Dual<N>& a) {
  const double t = std::tanh(a.v);
  return chain(a, t, 1.0 - t * t);
}
template <int N>
inline Dual<N> atan(const Dual<N>& a) {
  return chain(a, std::atan(a.v), 1.0 / (1.0 + a.v * a.v));
}

// Set of inputs a value depends on, one bit each, and whether it depends on any other than linearly;
// evaluated at compile time.
struct Pattern {
  std::uint64_t mask = 0;
  bool curved = false;

  constexpr Pattern() = default;
  constexpr Pattern(double) {}  // NOLINT: a constant depends on nothing
  static constexpr Pattern input(int i) {
    Pattern p;
    p.mask = std::uint64_t{1} << i;
    return p;
  }
};

constexpr Pattern operator|(Pattern a, Pattern b) {
  Pattern r;
  r.mask = a.mask | b.mask;
  r.curved = a.curved || b.curved;
  return r;
}
constexpr Pattern bent(Pattern a) {
  a.curved = a.curved || a.mask != 0;
  return a;
}
constexpr Pattern operator+(Pattern a, Pattern b) { return a | b; }
constexpr Pattern operator-(Pattern a, Pattern b) { return a | b; }
constexpr Pattern operator*(Pattern a, Pattern b) { return a.mask != 0 && b.mask != 0 ? bent(a | b) : a | b; }
constexpr Pattern operator/(Pattern a, Pattern b) { return a | bent(b); }
constexpr Pattern operator-(Pattern a) { return a; }
constexpr Pattern sin(Pattern a) { return bent(a); }
constexpr Pattern cos(Pattern a) { return bent(a); }
constexpr Pattern tan(Pattern a) { return bent(a); }
constexpr Pattern sqrt(Pattern a) { return bent(a); }
constexpr Pattern exp(Pattern a) { return bent(a); }
constexpr Pattern tanh(Pattern a) { return bent(a); }
constexpr Pattern atan(Pattern a) { return bent(a); }

// |a| rounded off below `width`, so that it has derivatives everywhere.
template <class T>
constexpr T smooth_abs(const T& a, double width) {
  using std::sqrt;
  return sqrt(a * a + width * width);
}

// max(a, 0) rounded off below `width`.
template <class T>
constexpr T smooth_positive(const T& a, double width) {
  return (a + smooth_abs(a, width)) * 0.5;
}

}  // namespace giljabi::solver
