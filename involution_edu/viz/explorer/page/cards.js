// The tabs below: the steps that make a kernel, paint, two pixels, maps of the kernels, NumPy.

const DRAW = {
  sum: (seen) => drawSum(seen),
  made: (seen) => drawSteps(seen),
  paint: (seen) => drawPaint(seen),
  pins: () => drawPins(),
  maps: () => drawMaps(),
  numpy: () => say("numpy", numpyOf(...state.at, state.c)),
};

const MAX_WRITTEN = 8; // numbers of a pixel in one row, written out; more are only coloured

// The numbers of a pixel and what is done to them, from the features to the kernel.
function drawSteps({ i, j, kernel }) {
  const stages = stagesAt(run.features, i, j);
  const softmax = data.softmax ? ", softmax" : "";
  const steps = [
    [body.length ? `its ${F} features` : `its ${wordsFor(F, "number")}`, stages.features],
    "reduce: 1 × 1",
    [`conv: ${hidden}`, stages.conv],
    ["batch norm", stages.bn],
    ["ReLU", stages.relu],
    `span: 1 × 1${softmax}`,
    [G === 1 ? `${K2} numbers: the kernel` : `${K2} for group ${group()}`, kernel],
  ].filter((step) => typeof step === "string" || step[1]);
  const box = $("steps");
  if (!box.children.length) {
    for (const step of steps) {
      if (typeof step === "string") box.append(make("p", { textContent: `${step} →` }));
      else {
        const figure = make("figure");
        figure.append(make("canvas", { role: "img", ariaLabel: step[0] }), make("figcaption"));
        box.append(figure);
      }
    }
  }
  steps.forEach((step, n) => {
    if (typeof step === "string") return;
    const [words, values] = step;
    const isKernel = n === steps.length - 1;
    const columns = isKernel ? K_w : Math.min(values.length, MAX_WRITTEN);
    const few = !isKernel && values.length <= MAX_WRITTEN;
    const side = few ? 30 : Math.max(4, Math.floor(100 / Math.max(columns, values.length / columns)));
    const [canvas, caption] = box.children[n].children;
    grid(canvas, values, columns, largestOf(values) || 1, { side, marked: isKernel ? state.tap : null });
    if (caption.textContent !== words) caption.textContent = words;
  });
  const [rows, columns] = reach.map((pixels) => 2 * pixels + 1);
  const own = s_h * s_w > 1 ? `the mean of its ${s_h} × ${s_w} cell` : "its own numbers";
  const where = body.length
    ? `${wordsFor(body.length, "convolution")} made the features from ${rows} × ${columns} pixels ` +
      "of the photo. From there on, the kernel is generated from its own features alone."
    : `The kernel is generated from ${own} alone.`;
  say("c-made", `${where} The weights are the same at every pixel; the numbers are not.`);
}

// Three kernels in the same colours, which are darkest at the largest of their numbers.
function trio(names, kernels) {
  const limit = Math.max(...kernels.map(largestOf)) || 1;
  const side = clamp(Math.floor(130 / Math.max(K_h, K_w)), 4, 30);
  names.forEach((name, n) => grid($(name), kernels[n], K_w, limit, { side }));
}

function minus(a, b) {
  return a.map((value, k) => value - b[k]);
}

// What paint has done to the pixel looked at, in numbers.
function drawPaint({ i, j, kernel }) {
  const start = ((i * W_out + j) * G + group()) * K2;
  const before = original.kernels.subarray(start, start + K2);
  const changed = minus(kernel, before);
  trio(["k-before", "k-now", "k-change"], [before, kernel, changed]);
  const rule = body.length
    ? "A kernel is generated from its own pixel's features. The convolutions before see a " +
      "neighbourhood: paint in it changes the features, and with them the kernel; further away, not."
    : "A kernel is generated from its own pixel alone. Paint its neighbour: not one number of the " +
      "kernel changes, though the output does, because the neighbour is in the window.";
  say("c-paint", rule);
  $("paint-neighbour").disabled = neighbour() === null;
  const [was, is] = [original.y[(state.c * H_out + i) * W_out + j], run.output(state.c, i, j)];
  const moved = changed.filter((difference) => difference !== 0).length;
  const most = moved ? `, by up to ${number(largestOf(changed), 3)}` : "";
  const own = `Its kernel: ${moved || "not one"} of ${wordsFor(K2, "number")} changed${most}.`;
  const same = Math.abs(is - was) <= data.tolerance * (largestOf(original.y) || 1);
  const output = `Its output ${same ? "is still" : `went from ${number(was, 3)} to`} ${number(is, 3)}.`;
  const done = painted.size ? `${own} ${output}` : "Nothing is painted yet.";
  say("paint-said", `Pixel (${i}, ${j}). ${done}`);
}

function drawPins() {
  const [a, b] = [state.at, state.other ?? state.at];
  const [kernelA, kernelB] = [a, b].map((pixel) => run.kernel(...pixel, group()));
  const difference = minus(kernelA, kernelB);
  trio(["k-a", "k-b", "k-difference"], [kernelA, kernelB, difference]);
  say("n-a", `A: (${a.join(", ")})`);
  say("n-b", `B: (${b.join(", ")})`);
  const [y, other] = [a, b].map((pixel) => number(run.output(state.c, ...pixel), 3));
  const dot = (one, other) => sumOf(multiplied(one, other));
  const lengths = Math.sqrt(dot(kernelA, kernelA) * dot(kernelB, kernelB));
  const alike = lengths ? dot(kernelA, kernelB) / lengths : 0;
  say(
    "pins-said",
    `The kernels differ by up to ${number(largestOf(difference), 3)}; their cosine is ` +
      `${number(alike)} (1: the same shape, 0: nothing in common). ` +
      `Output: ${y} at A, ${other} at B.`,
  );
}

const slow = { stamp: "", timer: 0, version: 0 };

// What needs every kernel: at once for a new picture, a moment after the last stroke of paint.
function refreshSlow() {
  const stamp = `${version} ${group()}`;
  if (slow.of !== original) computeSlow(stamp);
  else if (slow.stamp !== stamp) {
    clearTimeout(slow.timer);
    slow.timer = setTimeout(() => {
      computeSlow(stamp);
      change({});
    }, 150);
  }
}

function computeSlow(stamp) {
  Object.assign(slow, { stamp, of: original, version: slow.version + 1, values: null });
  slow.mean = meanKernel(run, group());
  slow.convolved = convolved(run);
}

function computeMaps() {
  slow.values = SHOWN.map(({ of }) => mapOf(run, group(), of));
  slow.ends = SHOWN.map(({ ends }, m) => ends?.(slow.values[m]));
  slow.strongest = roundedLimit(slow.values.at(-1).map(({ strength }) => strength));
  SHOWN.forEach(({ name, middle }, m) => {
    if (slow.ends[m]) scaleOf($(`scale-${name}`), ...slow.ends[m], middle);
  });
}

// The sum of what a softmax gives is 1 everywhere, and so is its L1 norm: not worth a map.
const SHOWN = MAPS.filter(({ name }) => !data.softmax || !["kernel_sum", "l1_norm"].includes(name));

function makeMaps() {
  $("maps").replaceChildren(
    ...SHOWN.map(({ name, title, meaning }) => {
      const figure = make("figure");
      figure.append(
        make("h3", { textContent: title }),
        make("canvas", { id: `map-${name}`, role: "img", ariaLabel: `${title}: ${meaning}` }),
        make("div", { id: `scale-${name}`, className: "scale" }),
        make("output", { id: `value-${name}` }),
        make("p", { textContent: meaning, className: "caption" }),
      );
      return figure;
    }),
  );
}

function drawMaps() {
  if (slow.values === null) computeMaps();
  const n = state.at[0] * W_out + state.at[1];
  SHOWN.forEach(({ name, middle }, m) => {
    const values = slow.values[m];
    const canvas = $(`map-${name}`);
    if (name === "orientation") {
      drawDashes(show(canvas, outputPicture("output", run.y), 230), values);
      const { degrees, strength } = values[n];
      say(`value-${name}`, `here ${number(degrees, 0)}°, strength ${number(strength)}`);
      return;
    }
    const [low, high] = slow.ends[m];
    // White is the middle of a scale that has one, and the low end of another.
    const [white, least] = middle === undefined ? [low, 0] : [middle, -1];
    const shade = (k) => shadeOf(Math.max(least, (values[k] - white) / (high - white || 1))).rgb;
    const image = picture(`map ${name}`, slow.version, () => painting(H_out, W_out, shade));
    frame(show(canvas, image, 230), state.at);
    say(`value-${name}`, `here ${number(values[n])}`);
  });
}

// A dash for each kernel, in its direction; the longer, the more the kernel is like a line.
function drawDashes({ pen, unit }, values) {
  pen.fillStyle = "rgba(252, 251, 248, 0.82)";
  pen.fillRect(0, 0, W_out, H_out);
  const apart = Math.max(1, Math.ceil(8 * unit));
  pen.strokeStyle = INK;
  pen.lineWidth = 1.4 * unit;
  pen.beginPath();
  for (let i = Math.floor(apart / 2); i < H_out; i += apart) {
    for (let j = Math.floor(apart / 2); j < W_out; j += apart) {
      const { degrees, strength } = values[i * W_out + j];
      const angle = (degrees * Math.PI) / 180;
      const half = (Math.min(1, strength / slow.strongest) * apart) / 2;
      const [right, up] = [half * Math.cos(angle), half * Math.sin(angle)];
      pen.moveTo(j + 0.5 - right, i + 0.5 + up);
      pen.lineTo(j + 0.5 + right, i + 0.5 - up);
    }
  }
  pen.stroke();
  frame({ pen, unit }, state.at);
}

// Nine digits are enough to give every float32 back.
function listed(values, columns) {
  const texts = Array.from(values, (value) => String(Number(value.toPrecision(9))));
  if (columns === undefined) return `[${texts.join(", ")}]`;
  const rows = [];
  for (let k = 0; k < texts.length; k += columns)
    rows.push(`    [${texts.slice(k, k + columns).join(", ")}],`);
  return `[\n${rows.join("\n")}\n]`;
}

function numpyOf(i, j, c) {
  const g = Math.floor(c / C_g);
  const stages = stagesAt(run.features, i, j);
  const span = recorded.span_weight.slice(g * K2 * hidden, (g + 1) * K2 * hidden);
  const pixel = body.length ? "of the pixel, made by the convolutions" : "the pixel itself";
  const own = s_h * s_w > 1 ? "the mean of its cell of x" : pixel;
  const lines = [
    "import numpy as np",
    "",
    `# Output pixel (row ${i}, column ${j}) of channel ${c}, whose kernel is that of group ${g}.`,
    `features = np.array(${listed(stages.features)})  # ${own}`,
    `reduce_weight = np.array(${listed(recorded.reduce_weight, F)})`,
    "reduced = reduce_weight @ features",
  ];
  if (stages.bn) {
    const { mean, std, scale, shift } = recorded;
    lines.push(
      `mean, std = np.array(${listed(mean)}), np.array(${listed(std)})`,
      `scale, shift = np.array(${listed(scale)}), np.array(${listed(shift)})`,
      "reduced = (reduced - mean) / std * scale + shift",
    );
  }
  if (stages.relu) lines.push("reduced = np.maximum(reduced, 0)");
  lines.push(
    `span_weight = np.array(${listed(span, hidden)})`,
    `span_bias = np.array(${listed(recorded.span_bias.slice(g * K2, (g + 1) * K2))})`,
    "kernel = span_weight @ reduced + span_bias",
    ...(data.softmax ? ["kernel = np.exp(kernel - kernel.max())", "kernel /= kernel.sum()"] : []),
    `kernel = kernel.reshape(${K_h}, ${K_w})`,
    `window = np.array(${listed(windowAt(run.x, c, i, j), K_w)})  # of x, 0 outside`,
    "y = (kernel * window).sum()",
    `print(y)  # ${Number(run.output(c, i, j).toPrecision(6))}`,
  );
  return `${lines.join("\n")}\n`;
}
