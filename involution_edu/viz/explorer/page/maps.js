// Measures of a kernel, as in viz/measures.py, and the convolution with the mean of all kernels.

function normOf(kernel) {
  return sumOf(kernel.map(Math.abs));
}

function entropyOf(kernel) {
  const total = normOf(kernel);
  if (total === 0 || kernel.length === 1) return 0;
  const parts = kernel.map((entry) => Math.abs(entry) / total);
  const nats = -sumOf(parts.map((part) => (part > 0 ? part * Math.log(part) : 0)));
  return nats / Math.log(kernel.length);
}

// The long axis of |kernel| about its centroid: degrees from the horizontal, counted
// anticlockwise, and its strength: 0 for a round kernel, 1 for a line.
function orientationOf(kernel) {
  const total = normOf(kernel);
  let [row, column, rows, columns, both] = [0, 0, 0, 0, 0];
  kernel.forEach((entry, k) => {
    const [u, v] = at(k, K_w);
    row += (Math.abs(entry) * u) / (total || 1);
    column += (Math.abs(entry) * v) / (total || 1);
  });
  kernel.forEach((entry, k) => {
    const [u, v] = at(k, K_w);
    const [down, right] = [u - row, v - column];
    rows += Math.abs(entry) * down * down;
    columns += Math.abs(entry) * right * right;
    both -= Math.abs(entry) * down * right; // rows are counted downwards
  });
  const strength = rows + columns ? Math.hypot(columns - rows, 2 * both) / (rows + columns) : 0;
  return { degrees: (Math.atan2(2 * both, columns - rows) * 90) / Math.PI, strength };
}

const MAPS = [
  {
    name: "kernel_sum",
    title: "Sum",
    meaning: "Output of a uniform area of ones: 1 keeps its brightness, 0 removes it.",
    of: sumOf,
    middle: 1, // white
    ends: (values) => {
      const limit = roundedLimit(values.map((value) => value - 1));
      return [1 - limit, 1 + limit].map((end) => Number(end.toPrecision(3)));
    },
  },
  {
    name: "l1_norm",
    title: "L1 norm",
    meaning: "Σ |kernel|: the strength of the kernel, whatever its signs.",
    of: normOf,
    ends: (values) => [0, roundedLimit(values)],
  },
  {
    name: "entropy",
    title: "Entropy",
    meaning: "Of |kernel|: 0 if a single tap is not zero, 1 if all taps have the same size.",
    of: entropyOf,
    ends: (values) => [Math.min(0.99, roundedLow(values)), 1],
  },
  {
    name: "orientation",
    title: "Orientation",
    meaning: "Direction of the large entries. A long dash is a kernel like a line (strength 1).",
    of: orientationOf,
  },
];

// The 99th percentile in size, two digits: the few numbers beyond it get the colour of the end.
function roundedLimit(values) {
  const sizes = values.map(Math.abs).sort((a, b) => a - b);
  return Math.max(0.01, Number(sizes[Math.floor((sizes.length - 1) * 0.99)].toPrecision(2)));
}

// The first percentile of what is not zero, two digits.
function roundedLow(values) {
  const sorted = values.filter((value) => value !== 0).sort((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length * 0.01)] ?? 0).toPrecision(2));
}

// One value for each output pixel, (H_out, W_out).
function mapOf(run, g, of) {
  return Array.from({ length: H_out * W_out }, (_, n) => of(run.kernel(...at(n, W_out), g)));
}

function meanKernel(run, g) {
  const mean = new Float64Array(K2);
  for (let n = 0; n < H_out * W_out; n++) {
    const kernel = run.kernel(...at(n, W_out), g);
    for (let k = 0; k < K2; k++) mean[k] += kernel[k] / (H_out * W_out);
  }
  return mean;
}

// The output (C, H_out, W_out) with the mean kernel of each channel's group at every pixel.
function convolved(run) {
  const means = Array.from({ length: G }, (_, g) => meanKernel(run, g));
  return Float64Array.from({ length: C * H_out * W_out }, (_, n) => {
    const [c, pixel] = at(n, H_out * W_out);
    const values = windowAt(run.x, c, ...at(pixel, W_out));
    return sumOf(multiplied(means[Math.floor(c / C_g)], values));
  });
}
