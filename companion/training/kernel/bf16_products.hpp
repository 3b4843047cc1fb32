// Sums of small matrix products C += A·B in bfloat16, with C in fp32, by AMX tiles or by AVX512 vectors.
//
// The instructions multiply and add *pairs* of bfloat16 numbers, and the layout of operands follows from that: A holds
// the two numbers of a pair side by side in a row, B interleaves two rows, B[pair][column][2]. Both are read where they
// lie; each step of a sum, of up to 16 pairs, names the place in A where it begins. The engines differ in speed, and in
// the order in which a sum is made.

#pragma once

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Arrays of vectors live in registers only where every loop over them is unrolled.
#define UNROLL _Pragma("GCC unroll 32")

namespace companion {

using Bf16 = std::uint16_t;      // its bits
using Bf16Pair = std::uint32_t;  // two of them, the first in the low half

constexpr int kLanes = 16;         // fp32 numbers in a vector
constexpr int kPairs = 16;         // pairs in a full step of a product
constexpr int kStep = 2 * kPairs;  // numbers in a full step

// ---------------------------------------------------------------------------------------------------- vectors

inline __m512i bits(__m512 v) { return _mm512_castps_si512(v); }
inline __m512 floats(__m512i v) { return _mm512_castsi512_ps(v); }

/// Sixteen floats, rounded.
inline __m256i rounded(__m512 v) { return (__m256i)_mm512_cvtneps_pbh(v); }

/// Thirty-two floats, rounded and in order.
inline __m512i rounded(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }

inline Bf16 rounded(float v) {
  return static_cast<Bf16>(_mm_extract_epi16((__m128i)_mm_cvtneps_pbh(_mm_set_ss(v)), 0));
}

/// Sixteen bfloat16 numbers as the low halves of sixteen lanes.
inline __m512i widened(__m256i v) { return _mm512_cvtepu16_epi32(v); }
inline __m512i load_wide(const Bf16* from) {
  return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline __m512i high_half(__m512i low) { return _mm512_slli_epi32(low, 16); }

/// bfloat16 numbers in the low halves, as floats.
inline __m512 as_floats(__m512i low) { return floats(high_half(low)); }

inline __m512i paired(__m512i first, __m512i second) { return _mm512_or_si512(first, high_half(second)); }

inline void store(Bf16* to, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }

inline void add_to(float* to, __m512 v) { _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), v)); }

/// ReLU that lets NaN through, so that a training that diverges is noticed: vmaxps answers with its second operand.
inline __m512 relu(__m512 v) { return _mm512_max_ps(_mm512_setzero_ps(), v); }

/// Transpose a 16x16 block of 32-bit lanes.
inline void transpose(__m512i (&row)[kLanes]) {
  __m512i t[kLanes];
  UNROLL for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
  }
  UNROLL for (int i = 0; i < kLanes; i += 4) {
    row[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    row[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    row[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    row[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0xdd);
  }
  UNROLL for (int i = 0; i < 8; ++i) {
    row[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    row[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// ---------------------------------------------------------------------------------------------------- products

// A product has two blocks of rows, of A and of C, and 32 columns. All distances are counted in elements.

/// Two blocks of rows, of A or of C.
template <class T>
struct Blocks {
  T* at;
  int row, block;  ///< distance of two rows, and of the two blocks
};

/// B, from the first step to the last: the rows of all steps lie evenly spaced.
struct Panel {
  const Bf16Pair* at;
  int row;
};

/// Where A begins at each step.
struct Steps {
  const int* at;
  int count;

  Steps(const int* at, int count) : at(at), count(count) {}
  template <std::size_t Count>
  Steps(const std::array<int, Count>& all) : at(all.data()), count(Count) {}
};

/// Steps that are evenly spaced.
template <int Count>
constexpr auto even_steps(int distance) {
  std::array<int, Count> steps{};
  for (int step = 0; step < Count; ++step) steps[step] = step * distance;
  return steps;
}

constexpr int kBlockColumns = 2 * kLanes;

/// What a sum begins with.
enum class From { zero, c };

/// One row of 16 columns at a time.
class Avx512 {
 public:
  template <int Rows, int Pairs>
  static void shape() {}

  template <int Rows, int Pairs>
  static void multiply(Blocks<float> c, Blocks<const Bf16> a, Steps steps, Panel b, From from = From::zero) {
    constexpr int at_once = Rows <= 14 ? Rows : Rows / 2;  // twice as many sums and the operands fit 32 registers
    static_assert(Rows % at_once == 0);
    for (int block = 0; block < 2; ++block)
      for (int row = 0; row < Rows; row += at_once)
        multiply_rows<at_once, Pairs>(c.at + block * c.block + row * c.row, c.row,
                                      a.at + block * a.block + row * a.row, a.row, steps, b, from);
  }

 private:
  template <int Rows, int Pairs>
  static void multiply_rows(float* c, int c_row, const Bf16* a, int a_row, Steps steps, Panel b, From from) {
    __m512 sum[Rows][2];
    UNROLL for (int r = 0; r < Rows; ++r) {
      sum[r][0] = from == From::c ? _mm512_loadu_ps(c + r * c_row) : _mm512_setzero_ps();
      sum[r][1] = from == From::c ? _mm512_loadu_ps(c + r * c_row + kLanes) : _mm512_setzero_ps();
    }
    for (int step = 0; step < steps.count; ++step) {
      const Bf16* here = a + steps.at[step];
      for (int pair = 0; pair < Pairs; ++pair, b.at += b.row) {
        const auto left = (__m512bh)_mm512_loadu_si512(b.at), right = (__m512bh)_mm512_loadu_si512(b.at + kLanes);
        UNROLL for (int r = 0; r < Rows; ++r) {
          Bf16Pair both;
          std::memcpy(&both, here + r * a_row + 2 * pair, sizeof both);
          const auto everywhere = (__m512bh)_mm512_set1_epi32(static_cast<int>(both));
          sum[r][0] = _mm512_dpbf16_ps(sum[r][0], everywhere, left);
          sum[r][1] = _mm512_dpbf16_ps(sum[r][1], everywhere, right);
        }
      }
    }
    UNROLL for (int r = 0; r < Rows; ++r) {
      _mm512_storeu_ps(c + r * c_row, sum[r][0]);
      _mm512_storeu_ps(c + r * c_row + kLanes, sum[r][1]);
    }
  }
};

/// Tiles of 16 rows by 16 columns: 0 to 3 hold two blocks by two halves of C, 4 and 5 two blocks of A, 6 and 7 two
/// halves of B.
class Amx {
  struct alignas(64) Configuration {
    std::uint8_t palette, start_row, reserved[14];
    std::uint16_t row_bytes[16];
    std::uint8_t rows[16];
  };

 public:
  /// Give the tiles their shape; a product costs time by its rows, so that partly filled tiles waste little.
  template <int Rows, int Pairs>
  static void shape() {
    Configuration tiles{};
    tiles.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      const bool is_b = tile >= 6, is_a = !is_b && tile >= 4;
      tiles.rows[tile] = is_b ? Pairs : Rows;
      tiles.row_bytes[tile] = is_a ? Pairs * sizeof(Bf16Pair) : kLanes * sizeof(float);
    }
    load(tiles);
  }

  template <int Rows, int Pairs>
  static void multiply(Blocks<float> c, Blocks<const Bf16> a, Steps steps, Panel b, From from = From::zero) {
    asm volatile("" ::: "memory");  // gcc does not know that a tile load reads memory: finish what was stored before
    const long c_row = c.row * sizeof(float), a_row = a.row * sizeof(Bf16), b_row = b.row * sizeof(Bf16Pair);
    if (from == From::c) {
      _tile_loadd(0, c.at, c_row);
      _tile_loadd(1, c.at + kLanes, c_row);
      _tile_loadd(2, c.at + c.block, c_row);
      _tile_loadd(3, c.at + c.block + kLanes, c_row);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int step = 0; step < steps.count; ++step, b.at += Pairs * b.row) {
      const Bf16* here = a.at + steps.at[step];
      _tile_loadd(4, here, a_row);
      _tile_loadd(6, b.at, b_row);
      _tile_loadd(7, b.at + kLanes, b_row);
      _tile_loadd(5, here + a.block, a_row);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c.at, c_row);
    _tile_stored(1, c.at + kLanes, c_row);
    _tile_stored(2, c.at + c.block, c_row);
    _tile_stored(3, c.at + c.block + kLanes, c_row);
  }

  /// The tiles' shape is the thread's, and oneDNN may believe that it still is what it last asked for: put it back.
  class Guard {
   public:
    Guard() {
      _tile_storeconfig(&before_);
      asm volatile("" : "=m"(before_));  // as in `load`: all of it was written
    }
    ~Guard() { before_.palette == 0 ? _tile_release() : load(before_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Configuration before_;
  };

 private:
  static void load(const Configuration& tiles) {
    asm volatile("" ::"m"(tiles));  // gcc 12 takes ldtilecfg to read the first 8 bytes, and drops the other stores
    _tile_loadconfig(&tiles);
  }
};

}  // namespace companion
