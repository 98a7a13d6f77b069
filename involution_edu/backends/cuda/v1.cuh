#pragma once

#include "common.cuh"

// ---------------------------------------------------------------------------------------------
// v1: one thread for each result, straight from the equation.
//
// forward:         K*K of x, K*K of kernel: 392 bytes for the 98 FLOP of one y (K = 7, float32)
// backward_input:  K*K of dy, K*K of kernel for one dx
// backward_kernel: C_g of dy, C_g of x for one dkernel
// ---------------------------------------------------------------------------------------------

// The index of this thread among all threads: 64 bits, for there may be more than 2^31 results.
__device__ inline long long thread_index() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
forward_v1(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  using A = typename Sum<T>::type;
  const Window<K> k(s);
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long o = thread_index();
  const long long nc = o / pixels;  // n * C + c
  const int i = static_cast<int>(o % pixels / s.W_out), j = static_cast<int>(o % s.W_out);
  if (nc >= static_cast<long long>(s.N) * s.C) return;
  const long long ng = nc / (s.C / s.G);  // n * G + g

  A sum = 0;
  for (int u = 0; u < k.K_h; ++u) {
    for (int v = 0; v < k.K_w; ++v) {
      const int h = i * s.s_h + u * k.d_h - s.p_h, w = j * s.s_w + v * k.d_w - s.p_w;
      const bool image = 0 <= h && h < s.H && 0 <= w && w < s.W;
      const A value = image ? static_cast<A>(x[(nc * s.H + h) * s.W + w]) : A(0);
      sum += static_cast<A>(kernel[((ng * k.K_h + u) * k.K_w + v) * pixels + o % pixels]) * value;
    }
  }
  y[o] = static_cast<T>(sum);
}

// The output row (or column) whose window starts at padded row `top`, else -1.
__device__ inline int output_at(int top, int stride, int outputs) {
  return top >= 0 && top % stride == 0 && top / stride < outputs ? top / stride : -1;
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_input_v1(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  using A = typename Sum<T>::type;
  const Window<K> k(s);
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long o = thread_index();
  const long long nc = o / s.W / s.H;
  const int h = static_cast<int>(o / s.W % s.H), w = static_cast<int>(o % s.W);
  if (nc >= static_cast<long long>(s.N) * s.C) return;
  const long long ng = nc / (s.C / s.G);

  A sum = 0;
  for (int u = 0; u < k.K_h; ++u) {
    const int i = output_at(h + s.p_h - u * k.d_h, s.s_h, s.H_out);
    for (int v = 0; v < k.K_w; ++v) {
      const int j = output_at(w + s.p_w - v * k.d_w, s.s_w, s.W_out);
      if (i >= 0 && j >= 0) {
        const long long ij = static_cast<long long>(i) * s.W_out + j;
        sum += static_cast<A>(kernel[((ng * k.K_h + u) * k.K_w + v) * pixels + ij]) *
               static_cast<A>(dy[nc * pixels + ij]);
      }
    }
  }
  dx[o] = static_cast<T>(sum);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_kernel_v1(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  using A = typename Sum<T>::type;
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long o = thread_index();
  const int i = static_cast<int>(o % pixels / s.W_out), j = static_cast<int>(o % s.W_out);
  const int v = static_cast<int>(o / pixels % k.K_w);
  const int u = static_cast<int>(o / pixels / k.K_w % k.K_h);
  const long long ng = o / pixels / k.K_w / k.K_h;
  if (ng >= static_cast<long long>(s.N) * s.G) return;
  const int h = i * s.s_h + u * k.d_h - s.p_h, w = j * s.s_w + v * k.d_w - s.p_w;
  const bool image = 0 <= h && h < s.H && 0 <= w && w < s.W;

  A sum = 0;
  for (int r = 0; r < C_g; ++r) {
    const long long nc = ng * C_g + r;
    const A value = image ? static_cast<A>(x[(nc * s.H + h) * s.W + w]) : A(0);
    sum += static_cast<A>(dy[nc * pixels + o % pixels]) * value;
  }
  dkernel[o] = static_cast<T>(sum);
}
