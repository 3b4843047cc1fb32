// How CifarCNN's images, weights, activations and gradients lie in memory, for every product of its convolutions and of
// their gradients to find its operands ready; and how they are brought there.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "bf16_products.hpp"

namespace companion {

constexpr int kTaps = 9;  // of a 3x3 kernel

constexpr int kImageSide = 32, kColours = 3;  // as stored; rows and columns 30 and 31 never reach the output
constexpr int kImageBytes = kColours * kImageSide * kImageSide;
constexpr int kConv1Side = 28, kPool1Side = 14, kConv2Side = 12, kPool2Side = 6, kConv3Side = 4;
constexpr int kOut1 = 32, kOut2 = 64, kOut3 = 64;
constexpr int kPositions1 = kPool1Side * kPool1Side, kPositions2 = kPool2Side * kPool2Side;
constexpr int kPositions3 = kConv3Side * kConv3Side;
constexpr int kFeatures = kOut3 * kPositions3;
static_assert(kPositions3 == kLanes, "the features of a channel fill one vector");

/// Where A begins at each step of a convolution over maps of `width` x `channels`: every tap, every 32 channels.
template <int Width, int Channels>
constexpr auto tap_steps() {
  constexpr int chunks = Channels / kStep;
  std::array<int, kTaps * chunks> steps{};
  for (int tap = 0; tap < kTaps; ++tap)
    for (int chunk = 0; chunk < chunks; ++chunk)
      steps[tap * chunks + chunk] = (tap / 3 * Width + tap % 3) * Channels + chunk * kStep;
  return steps;
}

// ---------------------------------------------------------------------------------------------------- memory

constexpr int kNone = 4;  // in place of a choice among four: ReLU has cut it off

/// What the backward pass needs of an image.
struct alignas(64) Tape {
  Bf16 pooled1[kPositions1][kOut1];
  Bf16 pooled2[kPositions2][kOut2];
  std::uint8_t choice1[kPositions1][kOut1];  // the first maximum of the four, or kNone
  std::uint8_t choice2[kPositions2][kOut2];
};

// conv1 reads pixels of four numbers (the fourth is 0), so that a row of its kernel is 12 numbers in a row.
constexpr int kPixel = 4, kPairs1 = 3 * kPixel / 2;
constexpr int kHalfRow = kConv1Side / 2;  // 14 positions: a whole row of 28 is too long for a tile

// Gradients as A of the data gradients lie in a border of two zeros; as B of the weight gradients, in pairs of
// neighbours. There conv2's rows are as wide as its input's (6 pairs and one of zeros), and conv3's likewise (2 pairs
// and one), so that a tap is the same distance into the transposed input from every row.
constexpr int kBordered2 = kConv2Side + 4, kBordered3 = kConv3Side + 4;
constexpr int kRowPairs1 = kConv1Side / 2, kRowPairs2 = kPool1Side / 2, kRowPairs3 = kPool2Side / 2;
constexpr int kPairs2 = 2 * kRowPairs2, kSteps2 = kConv2Side / 2;  // two rows a step
constexpr int kPairs3 = kConv3Side * kRowPairs3;                   // an image a step

// Transposed inputs, [channel][position]; the last taps read a little past the last position, and must find zeros.
constexpr int kTransposed1 = 200, kTransposed2 = 40;
static_assert(kTransposed1 >= 2 * kPool1Side + 2 + 2 * kPairs2 * kSteps2);
static_assert(kTransposed2 >= 2 * kPool2Side + 2 + 2 * kPairs3);

constexpr int kImageRow = 3 * kColours;  // rows of the transposed image for each row of pixels: [colour][kx]

constexpr int kTogether = 4;  // images whose weight gradients of conv3 are summed at once: as many as L1 holds

/// Gradients of weights and biases, summed over the batch.
struct Totals {
  float weight1[2 * kLanes][kOut1];  // [ky][colour][kx], and five rows that mean nothing
  float weight2[kTaps][kOut1][kOut2];
  float weight3[kTaps][kOut2][kOut3];
  float bias1[kOut1], bias2[kOut2], bias3[kOut3];
};

/// Scratch memory of a thread. Zeros around the gradients are written once, here, and stay.
struct alignas(64) Workspace {
  // Weights as B, [step and pair][column][2]
  Bf16Pair weights1[3 * kPairs1][kOut1];
  Bf16Pair weights2[kTaps * kOut1 / 2][kOut2];
  Bf16Pair weights3[kTaps * kOut2 / 2][kOut3];
  Bf16Pair turned2[kTaps * kOut2 / 2][kOut1];  // for the gradients of data: taps from the last to the first
  Bf16Pair turned3[kTaps * kOut3 / 2][kOut2];
  // One image
  Bf16 pixels[kImageSide - 2][kImageSide][kPixel];
  Bf16 columns[(kImageSide - 2) * kImageRow + 5][kImageSide];  // five rows more: 27 in two blocks of 16
  float sums[2 * kConv1Side * kOut1];  // at most two rows of conv1; other layers take less
  Bf16 transposed1[kOut1][kTransposed1];
  Bf16 transposed2[kTogether][kOut2][kTransposed2];
  Bf16Pair pairs1[kConv1Side * kRowPairs1][kOut1];
  Bf16Pair pairs2[kConv2Side * kRowPairs2][kOut2];
  Bf16Pair pairs3[kTogether][kPairs3][kOut3];
  Bf16 bordered2[kBordered2][kBordered2][kOut2];
  Bf16 bordered3[kTogether][kBordered3][kBordered3][kOut3];
  Totals total;
};

inline Workspace& workspace() {
  thread_local const auto mine = std::make_unique<Workspace>();
  return *mine;
}

/// The three layers' weights [out][ky][kx][in] and biases, or their gradients.
template <class T>
struct Parameters {
  T *weight1, *bias1, *weight2, *bias2, *weight3, *bias3;
};

// ---------------------------------------------------------------------------------------------------- packing

inline void pack_first(const float* weights, Workspace& w) {
  auto* packed = reinterpret_cast<Bf16*>(w.weights1);
  for (int ky = 0; ky < 3; ++ky)
    for (int kx = 0; kx < 3; ++kx)
      for (int colour = 0; colour < kColours; ++colour)
        for (int out = 0; out < kOut1; ++out) {
          const int k = kx * kPixel + colour;
          packed[((ky * kPairs1 + k / 2) * kOut1 + out) * 2 + k % 2] =
              rounded(weights[(out * kTaps + ky * 3 + kx) * kColours + colour]);
        }
}

/// Pairs of inputs, columns of outputs.
template <int In, int Out>
void pack(const float* weights, Bf16Pair (*packed)[Out]) {
  for (int tap = 0; tap < kTaps; ++tap)
    for (int in = 0; in < In; in += kStep)
      for (int out = 0; out < Out; out += kLanes) {
        __m512i block[kLanes];
        UNROLL for (int i = 0; i < kLanes; ++i) {
          const float* from = weights + ((out + i) * kTaps + tap) * In + in;
          block[i] = rounded(_mm512_loadu_ps(from), _mm512_loadu_ps(from + kLanes));
        }
        transpose(block);
        UNROLL for (int i = 0; i < kLanes; ++i) _mm512_storeu_si512(packed[(tap * In + in) / 2 + i] + out, block[i]);
      }
}

/// Pairs of outputs, columns of inputs, taps from the last to the first.
template <int In, int Out>
void pack_turned(const float* weights, Bf16Pair (*packed)[In]) {
  for (int tap = 0; tap < kTaps; ++tap)
    for (int out = 0; out < Out; out += 2)
      for (int in = 0; in < In; in += kLanes) {
        const float* from = weights + (out * kTaps + kTaps - 1 - tap) * In + in;
        const auto first = widened(rounded(_mm512_loadu_ps(from)));
        const auto second = widened(rounded(_mm512_loadu_ps(from + kTaps * In)));
        _mm512_storeu_si512(packed[(tap * Out + out) / 2] + in, paired(first, second));
      }
}

/// Sums [tap][in][out] to gradients [out][tap][in].
template <int In, int Out>
void unpack(const float (*sums)[In][Out], float* gradient) {
  for (int tap = 0; tap < kTaps; ++tap)
    for (int in = 0; in < In; in += kLanes)
      for (int out = 0; out < Out; out += kLanes) {
        __m512i block[kLanes];
        UNROLL for (int i = 0; i < kLanes; ++i) block[i] = _mm512_loadu_si512(sums[tap][in + i] + out);
        transpose(block);
        UNROLL for (int i = 0; i < kLanes; ++i)
          _mm512_storeu_si512(gradient + ((out + i) * kTaps + tap) * In + in, block[i]);
      }
}

inline void unpack_first(const float (*sums)[kOut1], float* gradient) {
  for (int out = 0; out < kOut1; ++out)
    for (int ky = 0; ky < 3; ++ky)
      for (int kx = 0; kx < 3; ++kx)
        for (int colour = 0; colour < kColours; ++colour)
          gradient[(out * kTaps + ky * 3 + kx) * kColours + colour] = sums[ky * kImageRow + colour * 3 + kx][out];
}

/// byte / 255 of sixteen bytes in lanes. Rounded to bfloat16, product and quotient are the same for every byte.
inline __m512 coded(__m512i bytes) { return _mm512_mul_ps(_mm512_cvtepi32_ps(bytes), _mm512_set1_ps(1 / 255.f)); }

inline __m512i load_bytes(const std::uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

/// An image as A of the forward pass: [row][column][colour], a fourth colour of zeros.
inline void lay_pixels(const std::uint8_t* image, Workspace& w) {
  constexpr int plane = kImageSide * kImageSide;
  for (int y = 0; y < kImageSide - 2; ++y)
    for (int x = 0; x < kImageSide; x += kLanes) {
      const std::uint8_t* from = image + y * kImageSide + x;
      const auto red = load_bytes(from), green = load_bytes(from + plane), blue = load_bytes(from + 2 * plane);
      const auto both = _mm512_or_si512(red, _mm512_slli_epi32(green, 8));
      const auto all = _mm512_or_si512(both, _mm512_slli_epi32(blue, 16));  // bytes: red green blue 0, sixteen times
      const auto quarter = [&](__m128i four) { return coded(_mm512_cvtepu8_epi32(four)); };
      Bf16* to = w.pixels[y][x];
      _mm512_storeu_si512(to, rounded(quarter(_mm512_extracti32x4_epi32(all, 0)),  // four pixels of four numbers
                                      quarter(_mm512_extracti32x4_epi32(all, 1))));
      _mm512_storeu_si512(to + kStep, rounded(quarter(_mm512_extracti32x4_epi32(all, 2)),
                                              quarter(_mm512_extracti32x4_epi32(all, 3))));
    }
}

/// An image as A of conv1's weight gradient: the 27 numbers under the kernel are the 27 rows from [y][0][0] on.
inline void lay_columns(const std::uint8_t* image, Workspace& w) {
  for (int y = 0; y < kImageSide - 2; ++y)
    for (int colour = 0; colour < kColours; ++colour)
      for (int kx = 0; kx < 3; ++kx) {
        const std::uint8_t* from = image + (colour * kImageSide + y) * kImageSide + kx;  // row 29 is not the last one
        _mm512_storeu_si512(w.columns[y * kImageRow + colour * 3 + kx],
                            rounded(coded(load_bytes(from)), coded(load_bytes(from + kLanes))));
      }
}

/// Maps [position][channel] to [channel][position], with zeros after the last position.
template <int Positions, int Channels, int Width>
void lay_transposed(const Bf16 (*maps)[Channels], Bf16 (*to)[Width]) {
  for (int position = 0; position < Width; position += kStep)
    for (int channel = 0; channel < Channels; channel += kLanes) {
      __m512i block[kLanes];
      UNROLL for (int i = 0; i < kLanes; ++i) {
        const int first = position + 2 * i;  // the number of positions is even
        block[i] = first < Positions ? paired(load_wide(maps[first] + channel), load_wide(maps[first + 1] + channel))
                                     : _mm512_setzero_si512();
      }
      transpose(block);
      const int left = std::min((Width - position) / 2, kLanes);
      UNROLL for (int i = 0; i < kLanes; ++i)
        _mm512_mask_storeu_epi32(to[channel + i] + position, static_cast<__mmask16>((1u << left) - 1), block[i]);
    }
}

}  // namespace companion
