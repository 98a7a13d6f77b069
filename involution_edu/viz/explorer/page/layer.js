// The layer, one output pixel at a time, and the convolutions before it. `x` is (C, H, W), flat.

// Convolutions, each followed by ReLU, from x to the features; none if reduce reads x itself.
const body = data.body.map((layer, n) => ({
  ...layer, // channels, window, dilation
  weight: recorded[`body${n}_weight`], // (channels, channels before, K_h, K_w)
  bias: recorded[`body${n}_bias`],
  reach: layer.window.map((size, axis) => (layer.dilation[axis] * (size - 1)) / 2),
}));
const reach = [0, 1].map((axis) => sumOf(body.map((layer) => layer.reach[axis])));

// Part of the input, rows top..bottom and columns left..right, and the same with so much around it.
function grown({ top, bottom, left, right }, [rows, columns]) {
  return {
    top: Math.max(0, top - rows),
    bottom: Math.min(H, bottom + rows),
    left: Math.max(0, left - columns),
    right: Math.min(W, right + columns),
  };
}

// Compute a part of the output (channels, H, W) of a convolution; zeros are around its input.
function convolve({ channels, window, dilation, weight, bias, reach }, input, output, part) {
  const { top, bottom, left, right } = part;
  const taps = window[0] * window[1];
  const before = weight.length / channels / taps;
  for (let o = 0; o < channels; o++) {
    for (let h = top; h < bottom; h++) {
      const row = (o * H + h) * W;
      output.fill(bias[o], row + left, row + right);
      for (let c = 0; c < before; c++) {
        for (let k = 0; k < taps; k++) {
          const [u, v] = [Math.floor(k / window[1]), k % window[1]];
          const down = h + u * dilation[0] - reach[0];
          if (down < 0 || down >= H) continue;
          const beside = v * dilation[1] - reach[1];
          const from = (c * H + down) * W + beside;
          const factor = weight[(o * before + c) * taps + k];
          const end = Math.min(right, W - beside);
          for (let w = Math.max(left, -beside); w < end; w++) output[row + w] += factor * input[from + w];
        }
      }
      for (let n = row + left; n < row + right; n++) output[n] = Math.max(0, output[n]);
    }
  }
}

// The rows and columns from which output pixel (i, j) generates its kernel: one pixel at stride 1.
function cellOf(i, j) {
  const [bottom, right] = [Math.min(H, (i + 1) * s_h), Math.min(W, (j + 1) * s_w)];
  return { top: i * s_h, bottom, left: j * s_w, right };
}

function pooledAt(features, i, j) {
  const { top, bottom, left, right } = cellOf(i, j);
  const count = (bottom - top) * (right - left);
  return Float64Array.from({ length: F }, (_, f) => {
    let total = 0;
    for (let h = top; h < bottom; h++) {
      for (let w = left; w < right; w++) total += features[(f * H + h) * W + w];
    }
    return total / count;
  });
}

// Every number from the features (F, H, W) to the reduced ones, by the names of the layer's stages.
function stagesAt(features, i, j) {
  const pooled = pooledAt(features, i, j);
  const stages = { features: pooled, conv: new Float64Array(hidden) };
  let last = stages.conv;
  for (let m = 0; m < hidden; m++) {
    for (let f = 0; f < F; f++) last[m] += recorded.reduce_weight[m * F + f] * pooled[f];
  }
  if (data.stages.includes("bn")) {
    const { mean, std, scale, shift } = recorded;
    last = stages.bn = last.map((value, m) => ((value - mean[m]) / std[m]) * scale[m] + shift[m]);
  }
  if (data.stages.includes("relu")) last = stages.relu = last.map((value) => Math.max(value, 0));
  return { ...stages, reduced: last };
}

// Positive numbers that sum to 1, the larger the larger each was.
function softmax(values) {
  const most = Math.max(...values);
  const parts = values.map((value) => Math.exp(value - most));
  const total = sumOf(parts);
  return parts.map((part) => part / total);
}

// The kernel of group g from the reduced features; number u*K_w + v is tap (u, v).
function spanOf(reduced, g) {
  const kernel = new Float64Array(K2);
  for (let k = 0; k < K2; k++) {
    const o = g * K2 + k;
    kernel[k] = recorded.span_bias[o];
    for (let m = 0; m < hidden; m++) kernel[k] += recorded.span_weight[o * hidden + m] * reduced[m];
  }
  return data.softmax ? softmax(kernel) : kernel;
}

// The pixel (h, w) of x under tap (u, v) of the window.
function tapAt(i, j, u, v) {
  return [i * s_h + u * d_h - p_h, j * s_w + v * d_w - p_w];
}

function isInside(h, w) {
  return h >= 0 && h < H && w >= 0 && w < W;
}

function windowAt(x, c, i, j) {
  return Float64Array.from({ length: K2 }, (_, k) => {
    const [h, w] = tapAt(i, j, ...at(k, K_w));
    return isInside(h, w) ? x[(c * H + h) * W + w] : 0;
  });
}

function multiplied(kernel, values) {
  return kernel.map((entry, k) => entry * values[k]);
}

const BAND = 8; // rows of a convolution computed at a time

// All features, kernels (H_out, W_out, G, K2) and outputs (C, H_out, W_out) of an x.
class Run {
  constructor(x) {
    this.x = x;
    this.maps = [x, ...body.map(({ channels }) => new Float64Array(channels * H * W))];
    this.features = this.maps.at(-1);
    this.kernels = new Float64Array(H_out * W_out * G * K2);
    this.y = new Float64Array(C * H_out * W_out);
  }

  // Compute all of it in short steps; gives the share that is done after each.
  *steps() {
    const bands = Math.ceil(H / BAND);
    const total = body.length * bands + 2 * H_out;
    let done = 0;
    for (let n = 0; n < body.length * bands; n++) {
      const [layer, band] = at(n, bands);
      const rows = { top: band * BAND, bottom: Math.min(H, (band + 1) * BAND), left: 0, right: W };
      convolve(body[layer], this.maps[layer], this.maps[layer + 1], rows);
      yield ++done / total;
    }
    for (const act of ["generate", "apply"]) {
      for (let i = 0; i < H_out; i++) {
        for (let j = 0; j < W_out; j++) this[act](i, j);
        yield ++done / total;
      }
    }
  }

  generate(i, j) {
    const { reduced } = stagesAt(this.features, i, j);
    for (let g = 0; g < G; g++) {
      this.kernels.set(spanOf(reduced, g), ((i * W_out + j) * G + g) * K2);
    }
  }

  apply(i, j) {
    for (let c = 0; c < C; c++) {
      const kernel = this.kernel(i, j, Math.floor(c / C_g));
      const products = multiplied(kernel, windowAt(this.x, c, i, j));
      this.y[(c * H_out + i) * W_out + j] = sumOf(products);
    }
  }

  kernel(i, j, g) {
    const start = ((i * W_out + j) * G + g) * K2;
    return this.kernels.subarray(start, start + K2);
  }

  output(c, i, j) {
    return this.y[(c * H_out + i) * W_out + j];
  }

  // Give input pixel (h, w) new numbers; recompute the features, kernels and outputs that change.
  paint(h, w, values) {
    values.forEach((value, c) => {
      this.x[(c * H + h) * W + w] = value;
    });
    let part = { top: h, bottom: h + 1, left: w, right: w + 1 };
    body.forEach((layer, n) => {
      part = grown(part, layer.reach);
      convolve(layer, this.maps[n], this.maps[n + 1], part);
    });
    for (let n = 0; n < H_out * W_out; n++) {
      const [i, j] = at(n, W_out);
      const cell = cellOf(i, j);
      const meets = cell.top < part.bottom && cell.bottom > part.top;
      const own = meets && cell.left < part.right && cell.right > part.left;
      const [top, left] = tapAt(i, j, 0, 0);
      const [bottom, right] = tapAt(i, j, K_h - 1, K_w - 1);
      if (own) this.generate(i, j);
      if (own || (h >= top && h <= bottom && w >= left && w <= right)) this.apply(i, j);
    }
  }
}

// Compare every output recomputed from the recorded input with the one recorded by NumPy.
function selfTest({ y }) {
  const error = largestOf(y.map((value, n) => value - recorded.y[n]));
  const scale = largestOf(recorded.y) || 1;
  return { outputs: y.length, error: error / scale, ok: error / scale <= data.tolerance };
}
