// Rows of doubles in vector registers, for the instruction set that the translation unit is compiled for.
//
// Sums of products are fused where the processor has fused multiply-add and only there, always written out:
// the compiler itself contracts nothing, so results depend on the variant and not on the optimiser.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define GILJABI_INLINE __attribute__((always_inline)) inline

namespace giljabi::solver {

#if defined(__AVX512F__)
inline constexpr int lanes = 8;
#elif defined(__AVX2__)
inline constexpr int lanes = 4;
#else
inline constexpr int lanes = 2;
#endif

// Rows are padded to this many doubles; the padding holds zeros or what nobody reads.
constexpr int padded(int n) { return (n + 3) / 4 * 4; }

// W doubles.
template <int W>
struct VectorOf {
  typedef double type __attribute__((vector_size(W * sizeof(double))));
};
template <int W>
using Vector = typename VectorOf<W>::type;

// Rows begin at multiples of 32 bytes: a wider register may lie across two lines of the cache.
template <int W>
GILJABI_INLINE Vector<W> load(const double* from) {
  typedef double Loose __attribute__((vector_size(W * sizeof(double)), aligned(W < 4 ? 16 : 32)));
  return *reinterpret_cast<const Loose*>(from);
}
template <class V>
GILJABI_INLINE void store(double* to, V value) {
  typedef double Loose __attribute__((vector_size(sizeof(V)), aligned(sizeof(V) < 32 ? 16 : 32)));
  *reinterpret_cast<Loose*>(to) = value;
}

// a * b + c.
GILJABI_INLINE double madd(double a, double b, double c) {
#if defined(__FMA__)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
template <class V>
GILJABI_INLINE V madd(V a, V b, V c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64) return _mm512_fmadd_pd(a, b, c);
#endif
#if defined(__FMA__)
  if constexpr (sizeof(V) == 32) return _mm256_fmadd_pd(a, b, c);
  if constexpr (sizeof(V) == 16) return _mm_fmadd_pd(a, b, c);
#endif
  return a * b + c;
}

// The larger and the smaller of each pair; of a NaN and a number, b.
template <class V>
GILJABI_INLINE V larger(V a, V b) {
  return a > b ? a : b;
}
template <class V>
GILJABI_INLINE V smaller(V a, V b) {
  return a < b ? a : b;
}

template <int W>
GILJABI_INLINE Vector<W> all(double value) {
  return value - Vector<W>{};
}

// Sum and largest of a vector's components, in their order.
template <int W>
GILJABI_INLINE double sum_of(Vector<W> v) {
  double sum = v[0];
  for (int i = 1; i < W; ++i) sum += v[i];
  return sum;
}
template <int W>
GILJABI_INLINE double largest_of(Vector<W> v) {
  double most = v[0];
  for (int i = 1; i < W; ++i) most = most > v[i] ? most : v[i];
  return most;
}

// Doubles of the widest register that n of them fill.
constexpr int widest(int n) { return n >= lanes ? lanes : n >= 4 && lanes > 4 ? 4 : 2; }

// N doubles in as few registers as they fill: a wide one, and the rest.
template <int N>
struct Row {
  static constexpr int width = widest(N);
  using V = Vector<width>;
  V head;
  Row<N - width> rest;

  static GILJABI_INLINE Row zero() { return {V{}, Row<N - width>::zero()}; }
  // value in component j, zero elsewhere.
  static GILJABI_INLINE Row unit(int j, double value) {
    Row r = zero();
    r.add_unit(j, value);
    return r;
  }
  // += value in component j.
  GILJABI_INLINE void add_unit(int j, double value) {
    if (j >= width) return rest.add_unit(j - width, value);
    V one = V{};
    one[j] = 1.0;
    head = madd(all<width>(value), one, head);
  }
  static GILJABI_INLINE Row at(const double* from) {
    return {load<width>(from), Row<N - width>::at(from + width)};
  }
  GILJABI_INLINE void to(double* out) const {
    store(out, head);
    rest.to(out + width);
  }
  // += scale * row.
  GILJABI_INLINE void add(double scale, const Row& row) {
    head = madd(all<width>(scale), row.head, head);
    rest.add(scale, row.rest);
  }
  GILJABI_INLINE void add(double scale, const double* row) {
    head = madd(all<width>(scale), load<width>(row), head);
    rest.add(scale, row + width);
  }
  GILJABI_INLINE void operator+=(const Row& row) {
    head += row.head;
    rest += row.rest;
  }
  GILJABI_INLINE double operator[](int j) const { return j < width ? head[j] : rest[j - width]; }
  GILJABI_INLINE double sum() const { return sum_of<width>(head) + rest.sum(); }
};
template <>
struct Row<0> {
  static GILJABI_INLINE Row zero() { return {}; }
  GILJABI_INLINE void add_unit(int, double) {}
  static GILJABI_INLINE Row at(const double*) { return {}; }
  GILJABI_INLINE void to(double*) const {}
  GILJABI_INLINE void add(double, const Row&) {}
  GILJABI_INLINE void add(double, const double*) {}
  GILJABI_INLINE void operator+=(const Row&) {}
  GILJABI_INLINE double operator[](int) const { return 0.0; }
  GILJABI_INLINE double sum() const { return 0.0; }
};

// 0 when all numbers are finite, else NaN: n rows of N.
template <int N>
GILJABI_INLINE double nothing_of(const double* from, int n = 1) {
  Row<N> sum = Row<N>::zero();
  for (int i = 0; i < n; ++i) sum.add(0.0, from + i * N);
  return sum.sum();
}

}  // namespace giljabi::solver
