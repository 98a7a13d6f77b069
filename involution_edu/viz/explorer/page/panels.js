// The three panels on top, and the sum of the products below them.

const $ = (id) => document.getElementById(id);

function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function nameOf(c) {
  return data.channels[c];
}

// As an index in NumPy: all channels are the colours of a photo.
function shownChannel() {
  return state.view === "photo" ? ":" : nameOf(state.c);
}

function wordsFor(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

function render() {
  const [i, j] = state.at;
  const values = windowAt(run.x, state.c, i, j);
  const kernel = run.kernel(i, j, group());
  const seen = { i, j, kernel, values, products: multiplied(kernel, values) };
  refreshSlow();
  drawControls();
  drawInput(seen);
  drawKernel(seen);
  drawOutput(seen);
  DRAW[state.tab](seen);
  speakSoon(seen);
}

function drawInput({ i, j }) {
  const canvas = $("input");
  const cell = cellOf(i, j);
  if (data.source) drawSource(cell);
  const onInput = show(canvas, channelPicture("input", run.x, H, W, data.limits.x));
  if (state.density) drawField(onInput);
  const extent = [d_h * (K_h - 1) + 1, d_w * (K_w - 1) + 1];
  frame(onInput, tapAt(i, j, 0, 0), extent, [4, 3]);
  if (Math.max(d_h, d_w) > 1) {
    for (let k = 0; k < K2; k++) dot(onInput, tapAt(i, j, ...at(k, K_w)));
  }
  frame(onInput, [cell.top, cell.left], [cell.bottom - cell.top, cell.right - cell.left]);
  if (state.tap !== null) frame(onInput, tapAt(i, j, ...at(state.tap, K_w)));
  if (state.other) tag(onInput, [state.other[0] * s_h, state.other[1] * s_w], "B", [H, W]);
  say("c-input", `x[${shownChannel()}, ${middle().join(", ")}]`);
}

// The picture given to the network, with the part that the pixel stands for.
function drawSource({ top, bottom, left, right }) {
  const { rows, columns } = data.source;
  const source = picture("source", "", () => {
    const rgb = bytesOf(data.source.bytes);
    return painting(rows, columns, (n) => rgb.subarray(3 * n, 3 * n + 3));
  });
  const [tall, wide] = [rows / H, columns / W];
  const size = [(bottom - top) * tall, (right - left) * wide];
  frame(show($("source"), source, (110 * rows) / Math.max(rows, columns)), [top * tall, left * wide], size);
}

// |kernel| of pixels on a regular grid over the photo, all with the same brightness for a number.
function drawField({ pen, unit }) {
  const across = state.density / Math.max(H, W);
  const [rows, columns] = [H, W].map((size) => Math.max(1, Math.round(size * across)));
  const field = picture("field", `${version} ${group()} ${state.density} ${rows}`, () => {
    const shares = new Float64Array(rows * columns * K2);
    for (let n = 0; n < rows * columns; n++) {
      const [r, c] = at(n, columns);
      const [i, j] = [((r + 0.5) / rows) * H_out, ((c + 0.5) / columns) * W_out].map(Math.floor);
      const kernel = run.kernel(i, j, group());
      shares.set(kernel.map((entry) => Math.min(1, Math.abs(entry) / data.limits.kernel)), n * K2);
    }
    return painting(rows * (K_h + 2), columns * (K_w + 2), (n) => {
      const [row, column] = at(n, columns * (K_w + 2));
      const [[r, u], [c, v]] = [at(row, K_h + 2), at(column, K_w + 2)];
      const beside = u === 0 || v === 0 || u > K_h || v > K_w; // space between the kernels
      const share = beside ? 0 : shares[(r * columns + c) * K2 + (u - 1) * K_w + v - 1];
      return [255, 244, 214, 255 * share];
    });
  });
  pen.fillStyle = "rgba(8, 10, 16, 0.55)";
  pen.fillRect(0, 0, W, H);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(field, 0, 0, W, H);
  pen.imageSmoothingEnabled = false;
}

function drawKernel({ i, j, kernel }) {
  const most = largestOf(kernel) || 1;
  const canvas = $("kernel");
  const room = Math.min(roomIn(canvas.parentElement) / K_w, pictureHeight(canvas) / K_h);
  const side = clamp(Math.floor(room), 4, 2 * MAX_CELL);
  grid(canvas, kernel, K_w, most, { side, marked: state.tap });
  const g = group();
  const members = `channels ${nameOf(g * C_g)} to ${nameOf((g + 1) * C_g - 1)}`;
  const whose = C_g === 1 ? `channel ${nameOf(g)}` : G === 1 ? `all ${C} channels` : members;
  say("c-kernel", `${K_h} × ${K_w}, for ${whose}`);
  say("most", `darkest: ${kernel.some((k) => k < 0) ? "±" : ""}${number(most)}`);
  const swatch = (id, colour) => {
    $(id).style.backgroundColor = `rgb(${colour})`;
  };
  const colourAt = (numbers, limit) =>
    state.view === "photo" ? colourOf(numbers) : shadeOf(numbers[state.c] / limit).rgb;
  swatch("from", colourAt(xAt(...middle()), data.limits.x));
  const outputs = data.channels.map((_, c) => run.output(c, i, j));
  swatch("to", colourAt(outputs, data.limits.y));
  drawGroups({ i, j });
}

// One small kernel for each group, to choose from.
function drawGroups({ i, j }) {
  const box = $("groups");
  box.hidden = G === 1;
  if (G === 1) return;
  while (box.children.length < G) {
    const g = box.children.length;
    const button = make("button", { type: "button", ariaLabel: `group ${g}` });
    button.append(`${g}`, make("canvas"));
    button.addEventListener("click", () => change({ c: g * C_g + (state.c % C_g) }));
    box.append(button);
  }
  [...box.children].forEach((button, g) => {
    grid(button.querySelector("canvas"), run.kernel(i, j, g), K_w, data.limits.kernel, {
      side: Math.max(1, Math.floor(22 / Math.max(K_h, K_w))),
    });
    button.ariaPressed = String(g === group());
  });
}

// The output; left of the divider that of a convolution.
function drawOutput({ i, j }) {
  const canvas = $("output");
  const drawn = show(canvas, outputPicture("output", run.y));
  const { pen, unit } = drawn;
  const edge = state.split * W_out;
  if (edge) {
    const image = outputPicture(`convolved ${slow.version}`, slow.convolved);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, edge, H_out);
    pen.clip();
    pen.drawImage(image, 0, 0);
    pen.restore();
    pen.fillStyle = PALE;
    pen.fillRect(edge - unit, 0, 2 * unit, H_out);
    label(drawn, [0, 0], "convolution", "left");
    const low = W_out < 180 * unit ? H_out - 19 * unit : 0; // no room for both in a row
    label(drawn, [low, W_out], "involution", "right");
  }
  frame(drawn, [i, j]);
  if (state.other) tag(drawn, state.other, "B", [H_out, W_out]);
  Object.assign($("split").style, { width: `calc(${canvas.style.width} + 44px)` });
  const [y, mean] = [run.y, slow.convolved].map((all) => all[(state.c * H_out + i) * W_out + j]);
  say("c-output", `y[${shownChannel()}, ${i}, ${j}]`);
  say("conv-said", `convolution with this mean kernel: ${number(mean)}; involution: ${number(y)}`);
  grid($("k-mean"), slow.mean, K_w, largestOf(slow.mean) || 1, {
    side: Math.max(2, Math.floor(36 / Math.max(K_h, K_w))),
  });
}

const SUM_HEIGHT = [120, 240]; // of a grid in the sum, in CSS pixels: on a low and on a high screen

function drawSum(seen) {
  const { i, j, kernel, values, products } = seen;
  const outside = (k) => !isInside(...tapAt(i, j, ...at(k, K_w)));
  const marked = state.tap;
  const after = state.partial ? state.tap : undefined;
  const high = clamp(SUM_HEIGHT[0] + (innerHeight - 608) * 0.4, ...SUM_HEIGHT);
  const wide = (isPhone() ? roomIn($("equals")) - 50 : roomIn($("p-sum")) - 390) / 3;
  const side = clamp(Math.floor(Math.min(wide / K_w, high / K_h)), 4, MAX_CELL);
  grid($("window"), values, K_w, data.limits.x, { side, marked, outside });
  grid($("factor"), kernel, K_w, largestOf(kernel) || 1, { side, marked });
  grid($("products"), products, K_w, largestOf(products) || 1, { side, marked, after });
  const some = values.some((_, k) => outside(k));
  say("c-window", some ? "struck out: outside, 0" : `window of x, ${nameOf(state.c)}`);
  const k = state.tap;
  say("equation", equation(seen));
  say("detail", k === null ? BARS : productWords(seen, k));
  drawWaterfall(products);
}

const BARS =
  "Each bar is a product: orange adds, blue takes away. Move over a cell to see one." +
  (data.colour ? " Colours are standardised: (value − mean) / std." : "");

function equation({ i, j, products }) {
  const k = state.tap;
  if (state.partial) {
    const total = number(sumOf(products.slice(0, k + 1)), 3);
    return `Σ after ${k + 1} of ${K2} products = ${total}`;
  }
  const total = number(sumOf(products), 3);
  return `y[${nameOf(state.c)}, ${i}, ${j}] = Σ of ${wordsFor(K2, "product")} = ${total}`;
}

let speaking = 0;

// What a screen reader says, once the pixel stays the same for half a second.
function speakSoon(seen) {
  clearTimeout(speaking);
  const k = state.tap;
  speaking = setTimeout(() => {
    say("live", `${k === null ? "" : productWords(seen, k)} ${equation(seen)}`.trim());
  }, 500);
}

function productWords({ i, j, kernel, values, products }, k) {
  const [entry, value, product] = [kernel, values, products].map((all) => number(all[k], 3));
  const [u, v] = at(k, K_w);
  return `Row ${u}, column ${v} of the window: kernel ${entry} × x ${value} = ${product}. ${spanWords(i, j, k, kernel[k])}`;
}

function spanWords(i, j, k, entry) {
  if (hidden > 4) return "";
  const { reduced } = stagesAt(run.features, i, j);
  const o = group() * K2 + k;
  const weights = recorded.span_weight.subarray(o * hidden, (o + 1) * hidden);
  const product = (value, m) => `${number(weights[m], 3)} × ${number(value, 3)}`;
  const parts = Array.from(reduced, product);
  const sum = [...parts, number(recorded.span_bias[o], 3)].join(" + ");
  const signed = sum.replaceAll(`+ ${MINUS}`, `${MINUS} `);
  if (data.softmax) return `That entry of the kernel is the softmax of ${signed}: ${number(entry, 3)}.`;
  return `That entry of the kernel is ${signed} = ${number(entry, 3)}.`;
}

// Each product as a bar from the sum before it to the sum after it.
function drawWaterfall(products) {
  const canvas = $("waterfall");
  const [width, height] = [roomIn(canvas.parentElement), 64];
  const pen = penFor(canvas, width, height);
  const sums = [0];
  products.forEach((product) => sums.push(sums.at(-1) + product));
  const [low, high] = [Math.min(...sums), Math.max(...sums)];
  const tall = (value) => height - 8 - ((value - low) / (high - low || 1)) * (height - 16);
  const step = width / K2;
  pen.fillStyle = "#8a8f99";
  pen.fillRect(0, tall(0) - 0.5, width, 1);
  products.forEach((product, k) => {
    const [from, to] = [tall(sums[k]), tall(sums[k + 1])];
    pen.globalAlpha = state.partial && k > state.tap ? 0.15 : 1;
    pen.fillStyle = product < 0 ? "rgb(58,120,184)" : "rgb(217,124,36)";
    const [low, high] = [Math.min(from, to), Math.max(from, to)];
    pen.fillRect(k * step + 1, low - 0.5, Math.max(1, step - 2), high - low + 1);
    if (k === state.tap) {
      pen.strokeStyle = ACCENT;
      pen.lineWidth = 2;
      pen.strokeRect(k * step, low - 3, step, high - low + 6);
    }
  });
  pen.globalAlpha = 1;
}
