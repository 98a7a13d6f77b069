// Rung 5: involution in CUDA C++, in versions, each one idea better than the one before it.
//
//   y[n, g*C_g + r, i, j] = sum over u, v of
//       kernel[n, g, u, v, i, j] * x[n, g*C_g + r, i*s + u*d - p, j*s + v*d - p]
//
// The operator is limited by memory: with K = 7 and C_g = 16 in float32, one y takes 98 FLOP (2 for
// each product) and at least 20.25 bytes (4 of x, 4 of y and 4 * 49 / 16 of kernel). Any GPU does
// 98 FLOP sooner than it moves 20 bytes, so a version is better when it moves less. The numbers
// below are reads from global memory for each result, many of which the caches answer; halo is
// the size of a tile with its margin over that of the tile, at most 2.1 for 8 x 32 pixels, K = 7.
//
// Template parameters are the storage type T (float, double, or __half, which is summed in float)
// and K: a square window without dilation, whose loops the compiler unrolls, or 0 for any window.
// All other sizes are arguments. Every gradient gathers: one thread owns one result, so no two
// threads add to the same number.
//
// Each file includes those it builds on: common, v1, tiles (v2 and v3), pairs (v4), units (v5),
// fused. In involution.cu is what nvcc compiles, in cuda/versions.py the table of the versions and
// their launches.
#pragma once

#include <cuda_fp16.h>

struct Sizes {  // as in geometry.py; a stride or padding is (rows, columns)
  int N, C, H, W, G, H_out, W_out, K_h, K_w, s_h, s_w, d_h, d_w, p_h, p_w;
  int C_r;  // channels of the features that the kernel is generated from; 0 if it is an operand
};

// The window: constants if K is not 0.
template <int K> struct Window {
  int K_h, K_w, d_h, d_w;
  __device__ explicit Window(const Sizes& s)
      : K_h(K ? K : s.K_h), K_w(K ? K : s.K_w), d_h(K ? 1 : s.d_h), d_w(K ? 1 : s.d_w) {}
};

template <typename T> struct Sum { using type = T; };
template <> struct Sum<__half> { using type = float; };

constexpr int THREADS = 256;  // maximum in a block

// Blocks that must fit at once, which limits the registers of a thread; one if sums are doubles.
template <typename T, int N> constexpr int AT_ONCE = sizeof(typename Sum<T>::type) == 4 ? N : 1;

// ---------------------------------------------------------------------------------------------
// Shared by all but v1: a block of threads owns a tile of pixels of one group.
// ---------------------------------------------------------------------------------------------

// The dynamic shared memory of the block, aligned for the widest load.
template <typename T> __device__ inline T* shared_memory() {
  alignas(16) extern __shared__ double shared[];
  return reinterpret_cast<T*>(shared);
}

struct Tile {
  long long ng;  // n * G + g
  int row, column;  // of the tile's first pixel
};

// The tile of this block, when an image of H x W pixels is cut into tiles of tall x wide.
__device__ inline Tile tile_of_block(int H, int W, int tall, int wide) {
  const int down = (H + tall - 1) / tall, across = (W + wide - 1) / wide;
  const int block = blockIdx.x;
  return {block / across / down, block / across % down * tall, block % across * wide};
}
