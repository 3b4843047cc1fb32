// Forward and backward pass of CifarCNN's three convolutions, in bfloat16 with sums in fp32, on the calling thread.
//
//   bytes (3, 32, 32) -> conv1 28x28x32 -> pool, ReLU 14x14x32 -> conv2 12x12x64 -> pool, ReLU 6x6x64
//                     -> conv3, ReLU 4x4x64
//
// Every convolution and each of its gradients is a sum of small matrix products C += A·B over taps (ky, kx) whose
// operands are read where they lie; no patches are gathered:
//
//   forward           C[position][out] += A[position + tap][in]  · B[in][out]        B: the weights of the tap
//   gradient of data  C[position][in]  += A[position - tap][out] · B[out][in]        A: gradient in a border of zeros
//   gradient of W     C[in][out]       += A[in][position + tap]  · B[position][out]  A: the layer's input, transposed
//
// How operands are multiplied is told in bf16_products.hpp, how they are laid out in cifar_cnn_layout.hpp.
//
// Rounding: weights, pixels (byte / 255), pooled activations, features and the gradients handed from layer to layer
// are rounded to bfloat16 (nearest, ties to even), as under autocast. Sums, biases, the choice of the maximum and the
// gradients of weights and biases, over the whole batch, stay in fp32.

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bf16_products.hpp"
#include "cifar_cnn_layout.hpp"

namespace companion {
namespace {

// ---------------------------------------------------------------------------------------------------- forward

/// Max-pool, bias and ReLU of sixteen channels: four sums to a rounded activation and the choice among them.
/// Of equal sums the first is chosen, as PyTorch does; an activation of zero passes no gradient on.
inline void pool(__m512 a, __m512 b, __m512 c, __m512 d, __m512 bias, Bf16* activation, std::uint8_t* choice) {
  const auto most = _mm512_max_ps(_mm512_max_ps(a, b), _mm512_max_ps(c, d));
  const auto value = _mm512_add_ps(most, bias);
  auto chosen = _mm512_set1_epi32(3);
  const auto choose = [&](__mmask16 where, int which) {
    chosen = _mm512_mask_mov_epi32(chosen, where, _mm512_set1_epi32(which));
  };
  choose(_mm512_cmp_ps_mask(c, most, _CMP_EQ_OQ), 2);
  choose(_mm512_cmp_ps_mask(b, most, _CMP_EQ_OQ), 1);
  choose(_mm512_cmp_ps_mask(a, most, _CMP_EQ_OQ), 0);
  choose(_mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_LE_OQ), kNone);
  store(activation, rounded(relu(value)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(choice), _mm512_cvtepi32_epi8(chosen));
}

/// Pool two rows of sums [2][2 * cells][channels].
template <int Cells, int Channels>
void pool_rows(const float* sums, const float* bias, Bf16 (*activation)[Channels], std::uint8_t (*choice)[Channels]) {
  constexpr int row = 2 * Cells * Channels;
  for (int cell = 0; cell < Cells; ++cell)
    UNROLL for (int channel = 0; channel < Channels; channel += kLanes) {
      const float* from = sums + 2 * cell * Channels + channel;
      pool(_mm512_loadu_ps(from), _mm512_loadu_ps(from + Channels), _mm512_loadu_ps(from + row),
           _mm512_loadu_ps(from + row + Channels), _mm512_loadu_ps(bias + channel), activation[cell] + channel,
           choice[cell] + channel);
    }
}

template <class Engine>
void conv1(const float* bias, Workspace& w, Tape& tape) {
  constexpr int row = kImageSide * kPixel;
  static constexpr auto steps = even_steps<3>(row);
  Engine::template shape<kHalfRow, kPairs1>();
  for (int y = 0; y < kPool1Side; ++y) {
    for (int x = 0; x < kConv1Side; x += kHalfRow)
      Engine::template multiply<kHalfRow, kPairs1>({w.sums + x * kOut1, kOut1, kConv1Side * kOut1},
                                                   {w.pixels[2 * y][x], kPixel, row}, steps, {w.weights1[0], kOut1});
    pool_rows<kPool1Side, kOut1>(w.sums, bias, tape.pooled1 + y * kPool1Side, tape.choice1 + y * kPool1Side);
  }
}

template <class Engine>
void conv2(const float* bias, Workspace& w, Tape& tape) {
  static constexpr auto steps = tap_steps<kPool1Side, kOut1>();
  Engine::template shape<kConv2Side, kPairs>();
  for (int y = 0; y < kPool2Side; ++y) {
    for (int out = 0; out < kOut2; out += kBlockColumns)
      Engine::template multiply<kConv2Side, kPairs>({w.sums + out, kOut2, kConv2Side * kOut2},
                                                    {tape.pooled1[2 * y * kPool1Side], kOut1, kPool1Side * kOut1},
                                                    steps, {w.weights2[0] + out, kOut2});
    pool_rows<kPool2Side, kOut2>(w.sums, bias, tape.pooled2 + y * kPool2Side, tape.choice2 + y * kPool2Side);
  }
}

/// A block is two rows as wide as the input's: of each six sums the last two mean nothing, but fuller tiles are fewer.
template <class Engine>
void conv3(const float* bias, Workspace& w, const Tape& tape, Bf16* features) {
  constexpr int rows = 2 * kPool2Side;
  static constexpr auto steps = tap_steps<kPool2Side, kOut2>();
  Engine::template shape<rows, kPairs>();
  for (int out = 0; out < kOut3; out += kBlockColumns)
    Engine::template multiply<rows, kPairs>({w.sums + out, kOut3, rows * kOut3},
                                            {tape.pooled2[0], kOut2, rows * kOut2}, steps,
                                            {w.weights3[0] + out, kOut3});
  for (int out = 0; out < kOut3; out += kLanes) {  // dense1 counts the features by channel first
    __m512i block[kLanes];
    UNROLL for (int i = 0; i < kPositions3; ++i) {
      const float* sum = w.sums + (i / kConv3Side * kPool2Side + i % kConv3Side) * kOut3 + out;
      block[i] = bits(relu(_mm512_add_ps(_mm512_loadu_ps(sum), _mm512_loadu_ps(bias + out))));
    }
    transpose(block);
    UNROLL for (int i = 0; i < kLanes; ++i) store(features + (out + i) * kPositions3, rounded(floats(block[i])));
  }
}

template <class Engine>
void forward(long images, const std::uint8_t* image, const Parameters<const float>& given, Tape* tape, Bf16* features) {
  Workspace& w = workspace();
  pack_first(given.weight1, w);
  pack<kOut1>(given.weight2, w.weights2);
  pack<kOut2>(given.weight3, w.weights3);
  for (long n = 0; n < images; ++n, image += kImageBytes, ++tape, features += kFeatures) {
    lay_pixels(image, w);
    conv1<Engine>(given.bias1, w, *tape);
    conv2<Engine>(given.bias2, w, *tape);
    conv3<Engine>(given.bias3, w, *tape, features);
  }
}

// ---------------------------------------------------------------------------------------------------- backward

/// Features' gradients of an image through ReLU, as operands of both gradients of conv3.
void open_features(const Bf16* features, const Bf16* gradient, Workspace& w, int slot) {
  for (int out = 0; out < kOut3; out += kLanes) {
    __m512i block[kLanes];
    auto sum = _mm512_setzero_ps();
    UNROLL for (int i = 0; i < kLanes; ++i) {
      const auto value = load_wide(features + (out + i) * kPositions3);
      const auto passes = _mm512_test_epi32_mask(value, value);  // features are never negative
      block[i] = _mm512_maskz_mov_epi32(passes, load_wide(gradient + (out + i) * kPositions3));
    }
    transpose(block);
    UNROLL for (int i = 0; i < kPositions3; ++i) {
      const int y = i / kConv3Side, x = i % kConv3Side;
      sum = _mm512_add_ps(sum, as_floats(block[i]));
      store(w.bordered3[slot][y + 2][x + 2] + out, _mm512_cvtepi32_epi16(block[i]));
      if (x % 2 == 0) _mm512_storeu_si512(w.pairs3[slot][y * kRowPairs3 + x / 2] + out, paired(block[i], block[i + 1]));
    }
    add_to(w.total.bias3 + out, sum);
  }
}

/// The gradient of sixteen channels of a cell, spread over the four positions of which one was chosen.
struct Spread {
  __m512i low;  // rounded
  __mmask16 to[4];

  Spread(const float* gradient, const std::uint8_t* choice) {
    const auto chosen = load_bytes(choice);
    UNROLL for (int i = 0; i < 4; ++i) to[i] = _mm512_cmpeq_epi32_mask(chosen, _mm512_set1_epi32(i));
    const auto passes = _mm512_cmpneq_epi32_mask(chosen, _mm512_set1_epi32(kNone));
    low = _mm512_maskz_mov_epi32(passes, widened(rounded(_mm512_loadu_ps(gradient))));
  }

  __m512i at(int which) const { return _mm512_maskz_mov_epi32(to[which], low); }

  /// The two neighbours of the upper (0) or lower (1) row.
  __m512i pair(int row) const { return _mm512_mask_mov_epi32(at(2 * row), to[2 * row + 1], high_half(low)); }
};

/// Two rows of conv3's data gradient back through the second pool.
void unpool2(int y, Workspace& w, const Tape& tape) {
  for (int out = 0; out < kOut2; out += kLanes) {
    auto sum = _mm512_setzero_ps();
    for (int cell = 0; cell < 2 * kPool2Side; ++cell) {
      const int row = 2 * (y + cell / kPool2Side), x = cell % kPool2Side;
      const Spread spread(w.sums + cell * kOut2 + out, tape.choice2[y * kPool2Side + cell] + out);
      sum = _mm512_add_ps(sum, as_floats(spread.low));
      UNROLL for (int i = 0; i < 2; ++i) {
        _mm512_storeu_si512(w.pairs2[(row + i) * kRowPairs2 + x] + out, spread.pair(i));
        store(w.bordered2[row + i + 2][2 * x + 2] + out, _mm512_cvtepi32_epi16(spread.at(2 * i)));
        store(w.bordered2[row + i + 2][2 * x + 3] + out, _mm512_cvtepi32_epi16(spread.at(2 * i + 1)));
      }
    }
    add_to(w.total.bias2 + out, sum);
  }
}

/// Two rows of conv2's data gradient back through the first pool; conv1 needs no gradient of its data.
void unpool1(int y, Workspace& w, const Tape& tape) {
  for (int out = 0; out < kOut1; out += kLanes) {
    auto sum = _mm512_setzero_ps();
    for (int cell = 0; cell < 2 * kPool1Side; ++cell) {
      const int row = 2 * (y + cell / kPool1Side), x = cell % kPool1Side;
      const Spread spread(w.sums + cell * kOut1 + out, tape.choice1[y * kPool1Side + cell] + out);
      sum = _mm512_add_ps(sum, as_floats(spread.low));
      UNROLL for (int i = 0; i < 2; ++i)
        _mm512_storeu_si512(w.pairs1[(row + i) * kRowPairs1 + x] + out, spread.pair(i));
    }
    add_to(w.total.bias1 + out, sum);
  }
}

/// Two rows, y and y + 1, of a data gradient. The first two rows see only border under the first row of taps, and the
/// last two under the last one.
template <class Engine, int Side, int In, int Out>
void data_gradient(int y, const Bf16* bordered, const Bf16Pair (*turned)[In], float* sums) {
  constexpr int row = (Side + 2) * Out, tap_row = 3 * Out / kStep;
  static constexpr auto steps = tap_steps<Side + 2, Out>();
  const int first = y == 0 ? tap_row : 0;
  const int last = y == Side - 2 ? 2 * tap_row : 3 * tap_row;
  for (int in = 0; in < In; in += kBlockColumns)
    Engine::template multiply<Side, kPairs>({sums + in, In, Side * In}, {bordered + y * row, Out, row},
                                            {steps.data() + first, last - first}, {turned[first * kPairs] + in, In});
}

/// Add a layer's weight gradient [tap][in][out] of some images.
template <class Engine, int Width, int In, int Out, int Pairs, int Transposed>
void weight_gradient(float (*total)[In][Out], const Bf16 (*transposed)[Transposed], Steps steps,
                     const Bf16Pair (*pairs)[Out]) {
  for (int tap = 0; tap < kTaps; ++tap)
    for (int in = 0; in < In; in += 2 * kLanes)
      for (int out = 0; out < Out; out += kBlockColumns)
        Engine::template multiply<kLanes, Pairs>(
            {total[tap][in] + out, Out, kLanes * Out},
            {transposed[in] + tap / 3 * Width + tap % 3, Transposed, kLanes * Transposed}, steps, {pairs[0] + out, Out},
            From::c);
}

template <class Engine>
void backward(long images, const std::uint8_t* image, const Parameters<const float>& given, const Tape* tape,
              const Bf16* features, const Bf16* gradient, const Parameters<float>& gradients) {
  static constexpr auto rows = even_steps<kConv1Side>(kImageRow * kImageSide);
  static constexpr auto two_rows = even_steps<kSteps2>(2 * kPairs2);
  static constexpr auto slots = even_steps<kTogether>(kOut2 * kTransposed2);
  Workspace& w = workspace();
  pack_turned<kOut1, kOut2>(given.weight2, w.turned2);
  pack_turned<kOut2, kOut3>(given.weight3, w.turned3);
  Totals& total = w.total;
  std::memset(&total, 0, sizeof total);

  for (long from = 0; from < images; from += kTogether) {
    const int together = static_cast<int>(std::min<long>(kTogether, images - from));
    for (int slot = 0; slot < together; ++slot) {
      const long n = from + slot;
      open_features(features + n * kFeatures, gradient + n * kFeatures, w, slot);
      lay_transposed<kPositions2>(tape[n].pooled2, w.transposed2[slot]);
    }
    Engine::template shape<kLanes, kPairs3>();
    weight_gradient<Engine, kPool2Side, kOut2, kOut3, kPairs3>(total.weight3, w.transposed2[0],
                                                               {slots.data(), together}, w.pairs3[0]);
    for (int slot = 0; slot < together; ++slot) {
      const Tape& seen = tape[from + slot];
      Engine::template shape<kPool2Side, kPairs>();
      for (int y = 0; y < kPool2Side; y += 2) {
        data_gradient<Engine, kPool2Side, kOut2, kOut3>(y, w.bordered3[slot][0][0], w.turned3, w.sums);
        unpool2(y, w, seen);
      }
      lay_transposed<kPositions1>(seen.pooled1, w.transposed1);
      Engine::template shape<kLanes, kPairs2>();
      weight_gradient<Engine, kPool1Side, kOut1, kOut2, kPairs2>(total.weight2, w.transposed1, two_rows, w.pairs2);
      Engine::template shape<kPool1Side, kPairs>();
      for (int y = 0; y < kPool1Side; y += 2) {
        data_gradient<Engine, kPool1Side, kOut1, kOut2>(y, w.bordered2[0][0], w.turned2, w.sums);
        unpool1(y, w, seen);
      }
      lay_columns(image + (from + slot) * kImageBytes, w);
      Engine::template shape<kLanes, kRowPairs1>();
      Engine::template multiply<kLanes, kRowPairs1>({total.weight1[0], kOut1, kLanes * kOut1},
                                                    {w.columns[0], kImageSide, kLanes * kImageSide}, rows,
                                                    {w.pairs1[0], kOut1}, From::c);
    }
  }

  unpack_first(total.weight1, gradients.weight1);
  unpack(total.weight2, gradients.weight2);
  unpack(total.weight3, gradients.weight3);
  std::memcpy(gradients.bias1, total.bias1, sizeof total.bias1);
  std::memcpy(gradients.bias2, total.bias2, sizeof total.bias2);
  std::memcpy(gradients.bias3, total.bias3, sizeof total.bias3);
}

}  // namespace

// ---------------------------------------------------------------------------------------------------- for Python

extern "C" {

/// Bytes that `forward` writes for `backward`, per image.
long tape_bytes() { return sizeof(Tape); }

/// Whether Linux lets this process use tiles: it wants to be asked, once.
int may_use_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

/// Features (n, 1024) of images (n, 3, 32, 32).
void forward(int amx, long n, const std::uint8_t* images, const Parameters<const float>* given, void* tape,
             Bf16* features) {
  auto* kept = static_cast<Tape*>(tape);
  if (amx) {
    const Amx::Guard guard;
    forward<Amx>(n, images, *given, kept, features);
  } else {
    forward<Avx512>(n, images, *given, kept, features);
  }
}

/// Gradients of the parameters from that of the features.
void backward(int amx, long n, const std::uint8_t* images, const Parameters<const float>* given, const void* tape,
              const Bf16* features, const Bf16* gradient, const Parameters<float>* gradients) {
  const auto* kept = static_cast<const Tape*>(tape);
  if (amx) {
    const Amx::Guard guard;
    backward<Amx>(n, images, *given, kept, features, gradient, *gradients);
  } else {
    backward<Avx512>(n, images, *given, kept, features, gradient, *gradients);
  }
}

}  // extern "C"
}  // namespace companion
