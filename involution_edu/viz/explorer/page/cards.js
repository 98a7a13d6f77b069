// The cards below the panels: paint, two pixels, a convolution, maps of the kernels, NumPy.

function trio(names, kernels) {
  const limit = data.limits.kernel;
  names.forEach((name, n) => cells($(name), kernels[n], K_w, limit, { label: name.slice(2) }));
}

function minus(a, b) {
  return a.map((value, k) => value - b[k]);
}

// What paint has done to the pixel looked at, in numbers.
function drawPaintCard({ i, j, kernel }) {
  const before = spanOf(stagesAt(recorded.x, i, j).reduced, group());
  const changed = minus(kernel, before);
  trio(["k-before", "k-now", "k-change"], [before, kernel, changed]);
  $("paint-neighbour").disabled = neighbour() === null;
  $("paint-undo").disabled = painted.size === 0;
  const [was, is] = [recorded.y[(state.c * H_out + i) * W_out + j], run.output(state.c, i, j)];
  const moved = changed.filter((difference) => difference !== 0).length;
  const most = moved ? `, by up to ${number(largestOf(changed), 3)}` : "";
  const own = `Its kernel: ${moved || "not one"} of ${wordsFor(K2, "number")} changed${most}.`;
  const same = Math.abs(is - was) <= data.tolerance * (largestOf(recorded.y) || 1);
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

const slow = { stamp: "", timer: 0 };

// What needs every kernel: at once when the page opens, a moment after the last stroke of paint.
function drawSlowCards() {
  const stamp = `${version} ${group()}`;
  if (slow.values === undefined) computeSlowCards(stamp);
  else if (slow.stamp !== stamp) {
    clearTimeout(slow.timer);
    slow.timer = setTimeout(() => {
      computeSlowCards(stamp);
      change({});
    }, 150);
  }
  drawConvolution();
  drawMaps();
}

function computeSlowCards(stamp) {
  slow.stamp = stamp;
  slow.mean = meanKernel(run, group());
  slow.convolved = convolved(run);
  slow.values = MAPS.map(({ of }) => mapOf(run, group(), of));
  slow.ends = MAPS.map(({ ends }, m) => ends?.(slow.values[m]));
  slow.strongest = roundedLimit(slow.values.at(-1).map(({ strength }) => strength));
  MAPS.forEach(({ name }, m) => slow.ends[m] && scaleOf($(`scale-${name}`), ...slow.ends[m]));
  slow.version = (slow.version ?? 0) + 1;
}

function drawConvolution() {
  const [i, j] = state.at;
  cells($("k-mean"), slow.mean, K_w, data.limits.kernel, { label: "mean" });
  const image = outputPicture(`convolved ${slow.version}`, slow.convolved);
  frame(show($("convolution"), image, 200), state.at);
  frame(show($("involution"), outputPicture("output", run.y), 200), state.at);
  const y = number(slow.convolved[(state.c * H_out + i) * W_out + j], 3);
  say(
    "conv-said",
    `At (${i}, ${j}), channel ${nameOf(state.c)}: convolution ${y}, involution ` +
      `${number(run.output(state.c, i, j), 3)}. The same window, another kernel.`,
  );
}

function makeMaps() {
  $("maps").replaceChildren(
    ...MAPS.map(({ name, title, meaning }) => {
      const figure = make("figure");
      figure.append(
        make("h4", { textContent: title }),
        make("canvas", { id: `map-${name}`, role: "img", ariaLabel: `${title}: ${meaning}` }),
        make("div", { id: `scale-${name}`, className: "scale" }),
        make("output", { id: `value-${name}` }),
        make("p", { textContent: meaning }),
      );
      return figure;
    }),
  );
}

function drawMaps() {
  const n = state.at[0] * W_out + state.at[1];
  MAPS.forEach(({ name }, m) => {
    const values = slow.values[m];
    const canvas = $(`map-${name}`);
    if (name === "orientation") {
      const image = outputPicture("output", run.y);
      drawDashes(show(canvas, image, 230), values);
      const { degrees, strength } = values[n];
      say(`value-${name}`, `here ${number(degrees, 0)}°, strength ${number(strength)}`);
      return;
    }
    const [low, high] = slow.ends[m];
    // A scale with negative numbers has its zero in the middle; one without begins with white.
    const part = (value) => (low < 0 ? value / high : (value - low) / (high - low));
    const shade = (k) => shadeOf(low < 0 ? part(values[k]) : Math.max(0, part(values[k])));
    const image = picture(`map ${name}`, slow.version, H_out, W_out, shade);
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
  const stages = stagesAt(run.x, i, j);
  const span = recorded.span_weight.slice(g * K2 * hidden, (g + 1) * K2 * hidden);
  const own = s_h * s_w > 1 ? "the mean of its cell of x" : "the pixel itself";
  const lines = [
    "import numpy as np",
    "",
    `# Output pixel (row ${i}, column ${j}) of channel ${c}, whose kernel is that of group ${g}.`,
    `features = np.array(${listed(stages.features)})  # ${own}`,
    `reduce_weight = np.array(${listed(recorded.reduce_weight, C)})`,
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
    `kernel = (span_weight @ reduced + span_bias).reshape(${K_h}, ${K_w})`,
    `window = np.array(${listed(windowAt(run.x, c, i, j), K_w)})  # of x, 0 outside`,
    "y = (kernel * window).sum()",
    `print(y)  # ${Number(run.output(c, i, j).toPrecision(6))}`,
  );
  return `${lines.join("\n")}\n`;
}
