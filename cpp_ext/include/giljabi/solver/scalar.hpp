// Scalars a model is evaluated with: double, Dual (forward-mode derivatives), Pattern (which inputs reach a
// result).
#pragma once

#include <cmath>
#include <cstdint>

namespace giljabi::solver {

// Value and N directional derivatives.
template <int N>
struct Dual {
  double v = 0.0;
  double d[N] = {};

  constexpr Dual() = default;
  constexpr Dual(double value) : v(value) {}  // NOLINT: constants mix freely with duals
};

// Result of an elementary function of `a` with value `v` and derivative `dv`.
template <int N>
inline Dual<N> chain(const Dual<N>& a, double v, double dv) {
  Dual<N> r;
  r.v = v;
  for (int i = 0; i < N; ++i) r.d[i] = dv * a.d[i];
  return r;
}

template <int N>
inline Dual<N> operator+(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r;
  r.v = a.v + b.v;
  for (int i = 0; i < N; ++i) r.d[i] = a.d[i] + b.d[i];
  return r;
}
template <int N>
inline Dual<N> operator-(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r;
  r.v = a.v - b.v;
  for (int i = 0; i < N; ++i) r.d[i] = a.d[i] - b.d[i];
  return r;
}
template <int N>
inline Dual<N> operator*(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r;
  r.v = a.v * b.v;
  for (int i = 0; i < N; ++i) r.d[i] = a.d[i] * b.v + a.v * b.d[i];
  return r;
}
template <int N>
inline Dual<N> operator/(const Dual<N>& a, const Dual<N>& b) {
  const double inv = 1.0 / b.v;
  Dual<N> r;
  r.v = a.v * inv;
  for (int i = 0; i < N; ++i) r.d[i] = (a.d[i] - r.v * b.d[i]) * inv;
  return r;
}
template <int N>
inline Dual<N> operator+(const Dual<N>& a, double b) {
  return chain(a, a.v + b, 1.0);
}
template <int N>
inline Dual<N> operator+(double a, const Dual<N>& b) {
  return chain(b, a + b.v, 1.0);
}
template <int N>
inline Dual<N> operator-(const Dual<N>& a, double b) {
  return chain(a, a.v - b, 1.0);
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

// Set of inputs a value depends on, one bit each; evaluated at compile time.
struct Pattern {
  std::uint64_t mask = 0;

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
  return r;
}
constexpr Pattern operator+(Pattern a, Pattern b) { return a | b; }
constexpr Pattern operator-(Pattern a, Pattern b) { return a | b; }
constexpr Pattern operator*(Pattern a, Pattern b) { return a | b; }
constexpr Pattern operator/(Pattern a, Pattern b) { return a | b; }
constexpr Pattern operator-(Pattern a) { return a; }
constexpr Pattern sin(Pattern a) { return a; }
constexpr Pattern cos(Pattern a) { return a; }
constexpr Pattern tan(Pattern a) { return a; }
constexpr Pattern sqrt(Pattern a) { return a; }
constexpr Pattern exp(Pattern a) { return a; }
constexpr Pattern tanh(Pattern a) { return a; }
constexpr Pattern atan(Pattern a) { return a; }

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
