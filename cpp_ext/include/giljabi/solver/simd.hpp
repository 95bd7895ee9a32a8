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

template <int W>
GILJABI_INLINE Vector<W> load(const double* from) {
  return *reinterpret_cast<const Vector<W>*>(from);
}
template <class V>
GILJABI_INLINE void store(double* to, V value) {
  *reinterpret_cast<V*>(to) = value;
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

// 0 when all N numbers are finite, else NaN; `from` is aligned.
template <int N>
GILJABI_INLINE double nothing_of(const double* from) {
  constexpr int width = N % lanes == 0 ? lanes : lanes > 4 ? 4 : 2;
  static_assert(N % width == 0, "arrays are padded");
  Vector<width> even = {}, odd = {};
  for (int i = 0; i < N / width; ++i)
    (i % 2 == 0 ? even : odd) += all<width>(0.0) * load<width>(from + i * width);
  return sum_of<width>(even + odd);
}

// N doubles in as many registers as they take.
template <int N>
struct Row {
  static constexpr int width = N % lanes == 0 ? lanes : lanes > 4 ? 4 : 2;
  static constexpr int parts = N / width;
  static_assert(parts * width == N, "rows are padded");
  using V = Vector<width>;
  V v[parts];

  static GILJABI_INLINE Row zero() {
    Row r;
    for (int i = 0; i < parts; ++i) r.v[i] = V{};
    return r;
  }
  // value in component j, zero elsewhere.
  static GILJABI_INLINE Row unit(int j, double value) {
    Row r = zero();
    V one = V{};
    one[j % width] = 1.0;
    r.v[j / width] = all<width>(value) * one;
    return r;
  }
  // += value in component j.
  GILJABI_INLINE void add_unit(int j, double value) {
    V one = V{};
    one[j % width] = 1.0;
    v[j / width] = madd(all<width>(value), one, v[j / width]);
  }
  static GILJABI_INLINE Row at(const double* from) {
    Row r;
    for (int i = 0; i < parts; ++i) r.v[i] = load<width>(from + i * width);
    return r;
  }
  GILJABI_INLINE void to(double* out) const {
    for (int i = 0; i < parts; ++i) store(out + i * width, v[i]);
  }
  // += scale * row.
  GILJABI_INLINE void add(double scale, const Row& row) {
    const V s = all<width>(scale);
    for (int i = 0; i < parts; ++i) v[i] = madd(s, row.v[i], v[i]);
  }
  GILJABI_INLINE void add(double scale, const double* row) {
    const V s = all<width>(scale);
    for (int i = 0; i < parts; ++i) v[i] = madd(s, load<width>(row + i * width), v[i]);
  }
  GILJABI_INLINE void operator+=(const Row& row) {
    for (int i = 0; i < parts; ++i) v[i] += row.v[i];
  }
  GILJABI_INLINE double operator[](int j) const { return v[j / width][j % width]; }
};

}  // namespace giljabi::solver
