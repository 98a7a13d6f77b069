"""Windows of an image, and the mistakes that all loops over windows share."""

from __future__ import annotations

import numpy as np

from ..arrays import Array

Rows = tuple[tuple[str, str], ...]  # of a table of mistakes


def windows(x: Array, K: int) -> Array:
    """Return all windows (..., K, K, H, W) of images (..., H, W), with zeros outside."""
    p, (H, W) = K // 2, x.shape[-2:]
    padded = np.pad(x, (*[(0, 0)] * (x.ndim - 2), (p, p), (p, p)))
    taps = [padded[..., u : u + H, v : v + W] for u in range(K) for v in range(K)]
    return np.stack(taps, -3).reshape(*x.shape[:-2], K, K, H, W)


TEST = "0 <= h < H and 0 <= w < W"
READ = "i + u - p, j + v - p"
EDGES: Rows = (
    (f"{TEST} => (h := h % H, w := w % W)", "beyond the edge you read the other side of the image; there are zeros."),
    (f"{TEST} => -H <= h < H and -W <= w < W", "an index below 0 counts from the end in Python, without an error; outside there are zeros."),
    (f"{TEST} => (h := min(max(h, 0), H - 1), w := min(max(w, 0), W - 1))", "you read the pixels at the edge again; outside the image there are zeros."),
    (f"{TEST} => (h := H - 1 - abs(H - 1 - abs(h) % (2 * H - 2)), w := W - 1 - abs(W - 1 - abs(w) % (2 * W - 2)))",
     "you read a reflection of the image (mode 'reflect'); outside there are zeros."),
    (f"{TEST} => 0 <= h < H - 1 and 0 <= w < W - 1", "the test for the edge leaves out the last row and column: h < H, not h < H - 1."),
    (f"{TEST} => 0 < h < H and 0 < w < W", "the test for the edge leaves out row and column 0: 0 <= h, not 0 < h."),
    (f"{TEST} => p <= i < H - p and p <= j < W - p", "you left out the pixels whose windows extend beyond the image; outside there are zeros."),
)  # fmt: skip
STARTS: Rows = (
    (f"{READ} => i + u, j + v", "your window starts at the pixel; it must be centred there: h = i + u - p."),
    (f"{READ} => i + u - 1, j + v - 1", "p is 1 only for K = 3; it is (K - 1) / 2."),
    (f"{READ} => i + u - K + 1, j + v - K + 1", "your window ends at the pixel; it must be centred there: h = i + u - p, p = (K - 1) / 2."),
    (f"{READ} => i + u - p - 1, j + v - p - 1", "p is (K - 1) / 2, which is K // 2."),
    (f"{READ} => i, j", "you read x[i, j] for every tap; tap (u, v) reads x[i + u - p, j + v - p]."),
)  # fmt: skip
GROUPS: Rows = (
    ("c // C_g => c % G", "you used group c % G; a group has adjacent channels, so it is c // C_g."),
    ("c // C_g => c % C_g % G", "you used c % C_g; that is the channel's number in its group, which is c // C_g."),
    ("c // C_g => min(c // G, G - 1)", "you used group c // G; divide by the channels in a group, C_g = C / G."),
    ("c // C_g => c", "kernel has G groups, not C channels: index it with c // C_g."),
    ("c // C_g => 0", "you used the first group's kernel for all groups."),
)  # fmt: skip
CHANNELS: Rows = tuple(
    (f"c in range(C) => g, c in [(g, {c}) for g in range(G) for m in range(C_g)] ; c // C_g => g",
     "channel m of group g is g*C_g + m: a group before it has C_g channels.")
    for c in ("g * G + m", "g + m")
)  # fmt: skip
TURNS: Rows = (
    ("u, v, i, j] => K - 1 - u, K - 1 - v, i, j]", "you turned the kernel by half a turn; tap (0, 0) is above and left of the pixel."),
    ("u, v, i, j] => v, u, i, j]", "you swapped u and v: u counts rows, v counts columns."),
)  # fmt: skip
SUMS: Rows = (
    ("+= => =", "= replaces what was there, so that only the last tap inside is left; add with +=."),
    (f"{TEST} => u == v == K - 1 and {TEST}", "= replaces what was there, so that only the last tap is left; add with +=."),
    ("u in range(K) => u in range(K - 1) ; v in range(K) => v in range(K - 1)", "the loops end one tap early: u and v run over range(K)."),
    ("u in range(K) => u in range(1, K) ; v in range(K) => v in range(1, K)", "the loops start one tap late: u and v run over range(K), from 0."),
    ("v in range(K) => v in [u]", "u and v run together along the diagonal; they need a loop each."),
    (f"{TEST} => (h, w) != (i, j) and {TEST}", "the centre tap is left out: the pixel itself counts, too."),
)  # fmt: skip
KERNELS: Rows = (
    ("v, i, j] => v].mean()", "you used the mean kernel for all pixels; index it with [..., i, j]."),
    ("v, i, j] => v, 0, 0]", "you used the kernel of pixel (0, 0) for all; index it with [..., i, j]."),
    ("v, i, j] => v, h, w]", "you took the kernel of the pixel that is read, (h, w); it is that of the output, (i, j)."),
)  # fmt: skip
