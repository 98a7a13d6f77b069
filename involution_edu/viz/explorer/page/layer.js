// The layer, one output pixel at a time. `x` is (C, H, W), flat.

// The rows and columns of x from which output pixel (i, j) generates its kernel: one pixel at stride 1.
function cellOf(i, j) {
  const [bottom, right] = [Math.min(H, (i + 1) * s_h), Math.min(W, (j + 1) * s_w)];
  return { top: i * s_h, bottom, left: j * s_w, right };
}

function featuresAt(x, i, j) {
  const { top, bottom, left, right } = cellOf(i, j);
  const count = (bottom - top) * (right - left);
  return Float64Array.from({ length: C }, (_, c) => {
    let total = 0;
    for (let h = top; h < bottom; h++) {
      for (let w = left; w < right; w++) total += x[(c * H + h) * W + w];
    }
    return total / count;
  });
}

// Every number from the pixel to the reduced features, by the names of the layer's stages.
function stagesAt(x, i, j) {
  const features = featuresAt(x, i, j);
  const stages = { features, conv: new Float64Array(hidden) };
  let last = stages.conv;
  for (let m = 0; m < hidden; m++) {
    for (let c = 0; c < C; c++) last[m] += recorded.reduce_weight[m * C + c] * features[c];
  }
  if (data.stages.includes("bn")) {
    const { mean, std, scale, shift } = recorded;
    last = stages.bn = last.map((value, m) => ((value - mean[m]) / std[m]) * scale[m] + shift[m]);
  }
  if (data.stages.includes("relu")) last = stages.relu = last.map((value) => Math.max(value, 0));
  return { ...stages, reduced: last };
}

// The kernel of group g from the reduced features; number u*K_w + v is tap (u, v).
function spanOf(reduced, g) {
  const kernel = new Float64Array(K2);
  for (let k = 0; k < K2; k++) {
    const o = g * K2 + k;
    kernel[k] = recorded.span_bias[o];
    for (let m = 0; m < hidden; m++) kernel[k] += recorded.span_weight[o * hidden + m] * reduced[m];
  }
  return kernel;
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

// All kernels (H_out, W_out, G, K2) and outputs (C, H_out, W_out) of an x; paint updates them.
class Run {
  constructor(x) {
    this.x = x;
    this.kernels = new Float64Array(H_out * W_out * G * K2);
    this.y = new Float64Array(C * H_out * W_out);
    for (let n = 0; n < H_out * W_out; n++) this.generate(...at(n, W_out));
    for (let n = 0; n < H_out * W_out; n++) this.apply(...at(n, W_out));
  }

  generate(i, j) {
    const { reduced } = stagesAt(this.x, i, j);
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

  // Give input pixel (h, w) new numbers; recompute the one kernel and the few outputs that change.
  paint(h, w, values) {
    values.forEach((value, c) => {
      this.x[(c * H + h) * W + w] = value;
    });
    const [i, j] = [Math.floor(h / s_h), Math.floor(w / s_w)];
    if (i < H_out && j < W_out) this.generate(i, j);
    for (let n = 0; n < H_out * W_out; n++) {
      const [a, b] = at(n, W_out);
      const [top, left] = tapAt(a, b, 0, 0);
      const [bottom, right] = tapAt(a, b, K_h - 1, K_w - 1);
      const seen = h >= top && h <= bottom && w >= left && w <= right;
      if (seen || (a === i && b === j)) this.apply(a, b);
    }
  }
}

// Recompute every output from the recorded input and compare it with the one recorded by NumPy.
function selfTest() {
  const { y } = new Run(Float64Array.from(recorded.x));
  const error = largestOf(y.map((value, n) => value - recorded.y[n]));
  const scale = largestOf(recorded.y) || 1;
  return { outputs: y.length, error: error / scale, ok: error / scale <= data.tolerance };
}
