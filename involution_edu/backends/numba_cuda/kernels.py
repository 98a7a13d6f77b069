"""The CUDA kernels of rung 4, in Python: the code of one thread of the GPU.

A GPU runs one function in thousands of threads at once. A thread asks for its own number and works
on its own part of the result, so that no two threads ever write the same number. Threads come in
*blocks* of at most 256 here. The threads of a block share a small, fast memory and can wait
for each other at a barrier, ``cuda.syncthreads``; those of different blocks cannot.

Reading the GPU's large memory takes the time, not the arithmetic: a version is better
when it reads less. The folder ``cuda`` has the same versions in CUDA C++.

The arguments of the outer functions are compiled in as constants: the type T that is stored, the
type S that is summed in, and the sizes of arrays that a thread holds in registers, which need
loops that the compiler can unroll.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import cuda

from ...arguments import Pair
from ...arrays import Array

MAX_TAPS = 49  # sums of dkernel in a thread's registers; more would not fit
CudaKernel = Any  # of Numba's; launched as cuda_kernel[blocks, threads, stream, bytes](...)


# v1: one thread for each result, straight from the equation.


@cache
def forward_direct(S: Any) -> CudaKernel:
    """Return the CUDA kernel in which a thread computes one y[n, c, i, j]."""

    @cuda.jit
    def forward(
        x: Array, kernel: Array, y: Array, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        N, C, H_out, W_out = y.shape
        thread = cuda.grid(1)  # 0, 1, 2, ... over all blocks
        n, c = thread // (W_out * H_out * C), thread // (W_out * H_out) % C
        i, j = thread // W_out % H_out, thread % W_out
        if n >= N:
            return  # the last block has more threads than there are results left
        g = c // (C // kernel.shape[1])
        total = S(0)
        for u in range(kernel.shape[2]):
            for v in range(kernel.shape[3]):
                h = i * stride[0] + u * dilation[0] - padding[0]
                w = j * stride[1] + v * dilation[1] - padding[1]
                value = S(0)  # outside the image
                if 0 <= h < x.shape[2] and 0 <= w < x.shape[3]:
                    value = S(x[n, c, h, w])
                total += S(kernel[n, g, u, v, i, j]) * value
        y[n, c, i, j] = total

    return forward


@cache
def backward_input_direct(S: Any) -> CudaKernel:
    """Return the CUDA kernel in which a thread gathers one dx[n, c, h, w] from all that read it."""

    @cuda.jit
    def backward_input(
        dy: Array, kernel: Array, dx: Array, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        N, C, H, W = dx.shape
        thread = cuda.grid(1)
        n, c = thread // (W * H * C), thread // (W * H) % C
        h, w = thread // W % H, thread % W
        if n >= N:
            return
        g = c // (C // kernel.shape[1])
        total = S(0)
        for u in range(kernel.shape[2]):
            i = output_at(h + padding[0] - u * dilation[0], stride[0], dy.shape[2])
            for v in range(kernel.shape[3]):
                j = output_at(w + padding[1] - v * dilation[1], stride[1], dy.shape[3])
                if i >= 0 and j >= 0:
                    total += S(kernel[n, g, u, v, i, j]) * S(dy[n, c, i, j])
        dx[n, c, h, w] = total

    return backward_input


@cache
def backward_kernel_direct(S: Any) -> CudaKernel:
    """Return the CUDA kernel in which a thread computes one dkernel[n, g, u, v, i, j]."""

    @cuda.jit
    def backward_kernel(
        dy: Array, x: Array, dkernel: Array, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        N, G, K_h, K_w, H_out, W_out = dkernel.shape
        thread = cuda.grid(1)
        i, j = thread // W_out % H_out, thread % W_out
        tap = thread // (W_out * H_out)  # of all windows
        u, v = tap // K_w % K_h, tap % K_w
        n, g = tap // (K_w * K_h * G), tap // (K_w * K_h) % G
        if n >= N:
            return
        C_g = x.shape[1] // G
        h = i * stride[0] + u * dilation[0] - padding[0]
        w = j * stride[1] + v * dilation[1] - padding[1]
        inside = 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
        total = S(0)
        for c in range(g * C_g, (g + 1) * C_g):
            value = S(0)
            if inside:
                value = S(x[n, c, h, w])
            total += S(dy[n, c, i, j]) * value
        dkernel[n, g, u, v, i, j] = total

    return backward_kernel


@cuda.jit(device=True)  # called by threads, not launched
def output_at(top: int, stride: int, outputs: int) -> int:
    """Return the output row (or column) whose window starts at padded row ``top``, else -1."""
    i = top // stride
    return i if 0 <= i < outputs and i * stride == top else -1


# v2 and v3: a block of threads owns a tile of pixels of one group, one thread each. The pixels they
# read are in the block's shared memory, CHANNELS channels at a time: 1 in v2, several in v3,
# where a thread keeps their sums in registers and so reads an entry of the kernel once for all.


@cuda.jit(device=True)
def tile_of_block(G: int, H: int, W: int) -> tuple[int, int, int, int]:
    """Return n, g and the tile's first row and column, for an image of H x W pixels."""
    tall, wide = cuda.blockDim.y, cuda.blockDim.x
    down, across = (H + tall - 1) // tall, (W + wide - 1) // wide
    tile = cuda.blockIdx.x  # columns vary fastest, then rows, groups, images
    image = tile // (across * down)
    return image // G, image % G, tile // across % down * tall, tile % across * wide


@cuda.jit(device=True)
def load(
    tile: Array, images: Array, n: int, c: int, count: int,
    h0: int, w0: int, rows: int, columns: int,
) -> None:  # fmt: skip
    """Copy ``count`` channels, rows x columns pixels from (h0, w0) on; zeros outside the image."""
    # Neighbouring threads copy neighbouring columns, which are fetched together.
    thread = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    for t in range(thread, count * rows * columns, cuda.blockDim.y * cuda.blockDim.x):
        h, w = h0 + t // columns % rows, w0 + t % columns
        if 0 <= h < images.shape[2] and 0 <= w < images.shape[3]:
            tile[t] = images[n, c + t // (columns * rows), h, w]
        else:
            tile[t] = 0


@cuda.jit(device=True)
def lesser(a: int, b: int) -> int:
    """Return the smaller of two numbers; not every release of Numba compiles ``min``."""
    return a if a < b else b  # noqa: FURB136


@cache
def forward_tiled(T: Any, S: Any, CHANNELS: int) -> CudaKernel:
    """Return the CUDA kernel in which a thread computes y of one pixel, for all channels of a group."""

    @cuda.jit
    def forward(
        x: Array, kernel: Array, y: Array, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        tile = cuda.shared.array(0, T)  # as large as the launch says
        sums = cuda.local.array(CHANNELS, S)
        G, K_h, K_w = kernel.shape[1], kernel.shape[2], kernel.shape[3]
        H_out, W_out, C_g = y.shape[2], y.shape[3], x.shape[1] // G
        n, g, top, left = tile_of_block(G, H_out, W_out)
        i, j = top + cuda.threadIdx.y, left + cuda.threadIdx.x
        h0, w0 = top * stride[0] - padding[0], left * stride[1] - padding[1]
        rows = (cuda.blockDim.y - 1) * stride[0] + (K_h - 1) * dilation[0] + 1
        columns = (cuda.blockDim.x - 1) * stride[1] + (K_w - 1) * dilation[1] + 1

        for c0 in range(g * C_g, (g + 1) * C_g, CHANNELS):
            count = lesser(CHANNELS, (g + 1) * C_g - c0)
            load(tile, x, n, c0, count, h0, w0, rows, columns)
            cuda.syncthreads()  # the tile is whole
            if i < H_out and j < W_out:
                for r in range(CHANNELS):
                    sums[r] = 0
                for u in range(K_h):
                    row = (cuda.threadIdx.y * stride[0] + u * dilation[0]) * columns
                    for v in range(K_w):
                        entry = S(kernel[n, g, u, v, i, j])
                        at = row + cuda.threadIdx.x * stride[1] + v * dilation[1]
                        for r in range(CHANNELS):
                            if r < count:
                                sums[r] += entry * S(tile[at + r * rows * columns])
                for r in range(CHANNELS):
                    if r < count:
                        y[n, c0 + r, i, j] = sums[r]
            cuda.syncthreads()  # all have read it: the next channels may take its place

    return forward


@cache
def backward_input_tiled(T: Any, S: Any, CHANNELS: int) -> CudaKernel:
    """Return the CUDA kernel in which a thread gathers dx of one pixel, for all channels of a group."""
    # The tile holds dy. Which outputs read row h follows from h = i*s + u*d - p, solved for i.

    @cuda.jit
    def backward_input(
        dy: Array, kernel: Array, dx: Array, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        tile = cuda.shared.array(0, T)
        sums = cuda.local.array(CHANNELS, S)
        G, K_h, K_w = kernel.shape[1], kernel.shape[2], kernel.shape[3]
        H, W, H_out, W_out = dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3]
        C_g = dx.shape[1] // G
        n, g, top, left = tile_of_block(G, H, W)
        h, w = top + cuda.threadIdx.y, left + cuda.threadIdx.x
        reach_h, reach_w = (K_h - 1) * dilation[0], (K_w - 1) * dilation[1]
        i0 = -((reach_h - top - padding[0]) // stride[0])  # the first output that reads the tile
        j0 = -((reach_w - left - padding[1]) // stride[1])
        rows = (cuda.blockDim.y - 1 + reach_h) // stride[0] + 1
        columns = (cuda.blockDim.x - 1 + reach_w) // stride[1] + 1

        for c0 in range(g * C_g, (g + 1) * C_g, CHANNELS):
            count = lesser(CHANNELS, (g + 1) * C_g - c0)
            load(tile, dy, n, c0, count, i0, j0, rows, columns)
            cuda.syncthreads()
            if h < H and w < W:
                for r in range(CHANNELS):
                    sums[r] = 0
                for u in range(K_h):
                    i = output_at(h + padding[0] - u * dilation[0], stride[0], H_out)
                    for v in range(K_w):
                        j = output_at(w + padding[1] - v * dilation[1], stride[1], W_out)
                        if i >= 0 and j >= 0:
                            entry = S(kernel[n, g, u, v, i, j])
                            at = (i - i0) * columns + j - j0
                            for r in range(CHANNELS):
                                if r < count:
                                    sums[r] += entry * S(tile[at + r * rows * columns])
                for r in range(CHANNELS):
                    if r < count:
                        dx[n, c0 + r, h, w] = sums[r]
            cuda.syncthreads()

    return backward_input


@cache
def backward_kernel_tiled(T: Any, S: Any, CHANNELS: int, K_h: int, K_w: int) -> CudaKernel:
    """Return the CUDA kernel in which a thread computes dkernel of one pixel and group."""
    # It holds TAPS taps of the window in registers, adds up all channels, and then takes the next
    # TAPS: a row of the window in v2, in v3 the whole window. The tile holds x.
    TAPS = min(MAX_TAPS, K_w if CHANNELS == 1 else K_h * K_w)

    @cuda.jit
    def backward_kernel(
        dy: Array, x: Array, dkernel: Array, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        tile = cuda.shared.array(0, T)
        sums = cuda.local.array(TAPS, S)
        G, H_out, W_out = dkernel.shape[1], dy.shape[2], dy.shape[3]
        C_g, taps = x.shape[1] // G, K_h * K_w
        n, g, top, left = tile_of_block(G, H_out, W_out)
        i, j = top + cuda.threadIdx.y, left + cuda.threadIdx.x
        mine = i < H_out and j < W_out
        h0, w0 = top * stride[0] - padding[0], left * stride[1] - padding[1]
        rows = (cuda.blockDim.y - 1) * stride[0] + (K_h - 1) * dilation[0] + 1
        columns = (cuda.blockDim.x - 1) * stride[1] + (K_w - 1) * dilation[1] + 1

        for first in range(0, taps, TAPS):
            for t in range(TAPS):
                sums[t] = 0
            for c0 in range(g * C_g, (g + 1) * C_g, CHANNELS):
                count = lesser(CHANNELS, (g + 1) * C_g - c0)
                load(tile, x, n, c0, count, h0, w0, rows, columns)
                cuda.syncthreads()
                if mine:
                    for r in range(count):
                        gradient = S(dy[n, c0 + r, i, j])
                        row = r * rows + cuda.threadIdx.y * stride[0]
                        at = row * columns + cuda.threadIdx.x * stride[1]
                        for t in range(TAPS):
                            tap = lesser(first + t, taps - 1)  # beyond it, none is written
                            u, v = tap // K_w, tap % K_w
                            value = S(tile[at + u * dilation[0] * columns + v * dilation[1]])
                            sums[t] += gradient * value
                cuda.syncthreads()
            for t in range(TAPS):
                tap = first + t
                if mine and tap < taps:
                    dkernel[n, g, tap // K_w, tap % K_w, i, j] = sums[t]

    return backward_kernel


def cuda_kernel_of(task: str, channels: int | None, T: Any, S: Any, window: Pair) -> CudaKernel:
    """Return the CUDA kernel of a task, with a tile of ``channels`` channels or without a tile."""
    direct, tiled = {
        "forward": (forward_direct, forward_tiled),
        "backward_input": (backward_input_direct, backward_input_tiled),
        "backward_kernel": (backward_kernel_direct, backward_kernel_tiled),
    }[task]
    taps = window if task == "backward_kernel" else ()
    return direct(S) if channels is None else tiled(T, S, channels, *taps)
