// The six panels, and the sum below them.

const $ = (id) => document.getElementById(id);

function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function nameOf(c) {
  return data.channels[c];
}

function wordsFor(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

function render() {
  const [i, j] = state.at;
  const values = windowAt(run.x, state.c, i, j);
  const kernel = run.kernel(i, j, group());
  const seen = { i, j, kernel, values, products: multiplied(kernel, values) };
  drawPictures(seen);
  drawGenerator(seen);
  drawGrids(seen);
  drawSum(seen);
  drawControls();
  drawPaintCard(seen);
  drawPins();
  say("numpy", numpyOf(...state.at, state.c));
  drawSlowCards();
}

function drawPictures({ i, j }) {
  const [h, w] = middle();
  const onInput = show($("input"), channelPicture("input", run.x, H, W, data.limits.x));
  const extent = [d_h * (K_h - 1) + 1, d_w * (K_w - 1) + 1];
  frame(onInput, tapAt(i, j, 0, 0), extent, [4, 3]);
  if (Math.max(d_h, d_w) > 1) {
    for (let k = 0; k < K2; k++) dot(onInput, tapAt(i, j, ...at(k, K_w)));
  }
  const { top, bottom, left, right } = cellOf(i, j);
  frame(onInput, [top, left], [bottom - top, right - left]);
  if (state.tap !== null) frame(onInput, tapAt(i, j, ...at(state.tap, K_w)));
  const onOutput = show($("output"), outputPicture("output", run.y));
  frame(onOutput, [i, j]);
  if (state.other) {
    const [a, b] = state.other;
    tag(onInput, [a * s_h, b * s_w], "B");
    tag(onOutput, state.other, "B");
  }
  say("c-input", `Row ${h}, column ${w}, and its ${K_h} × ${K_w} window.`);
  const each = state.view === "photo" ? "Three sums are" : "Each sum is";
  say("c-output", `${each} one pixel.`);
  $("s-input").hidden = $("s-output").hidden = state.view === "photo";
}

function dot({ pen, unit }, [h, w]) {
  pen.fillStyle = ACCENT;
  pen.fillRect(w + 0.5 - unit, h + 0.5 - unit, 2 * unit, 2 * unit);
}

const MAX_WRITTEN = 8; // numbers of the pixel that are written out; more are only coloured

function drawGenerator({ i, j, kernel }) {
  const stages = stagesAt(run.x, i, j);
  const few = Math.max(C, hidden) <= MAX_WRITTEN;
  const part = G === 1 ? wordsFor(K2, "number") : `${K2} for group ${group()}`;
  const rows = [
    [`its ${wordsFor(C, "number")}`, stages.features],
    ["↓", `reduce: 1 × 1 convolution, ${C} → ${hidden}`],
    ["conv", stages.conv],
    ["batch norm", stages.bn],
    ["ReLU", stages.relu],
    ["↓", `span: 1 × 1 convolution, ${hidden} → ${G * K2}`],
    [part, kernel],
  ].filter(([, values]) => values);
  const box = $("generator");
  if (box.children.length !== rows.length) {
    box.replaceChildren(...rows.map(() => make("div")));
    for (const row of box.children) row.append(make("span"), make("div"));
  }
  rows.forEach(([label, values], n) => {
    const [word, body] = box.children[n].children;
    const step = typeof values === "string";
    box.children[n].className = step ? "step" : "numbers";
    word.textContent = label;
    if (n === 0 && data.colour) {
      const swatch = make("span", { className: "swatch" });
      swatch.style.backgroundColor = `rgb(${colourOf(stages.features)})`;
      word.append(swatch);
    }
    if (step) {
      body.textContent = values;
      return;
    }
    const isKernel = n === rows.length - 1;
    const [least, most] = few && !isKernel ? [30, 46] : [5, 20];
    const size = clamp(Math.floor((roomIn(body) - 1) / values.length) - 1, least, most);
    const columns = Math.min(values.length, Math.floor((roomIn(body) - 1) / (size + 1)));
    const limit = isKernel ? data.limits.kernel : data.limits.x;
    strip(body, values, columns, limit, size, isKernel ? state.tap : undefined);
  });
  const own = s_h * s_w > 1 ? `the mean of its ${s_h} × ${s_w} cell` : "its own numbers";
  say("c-generator", `Computed from ${own} alone.`);
}

// A row of cells that breaks into several rows if it must; the last may be shorter.
function strip(box, values, columns, limit, size, marked) {
  const rows = Math.ceil(values.length / columns);
  const filled = Float64Array.from({ length: rows * columns }, (_, n) => values[n] ?? 0);
  const table = cells(box, filled, columns, limit, { size, marked: marked ?? undefined });
  const all = table.querySelectorAll("td");
  all.forEach((cell, n) => cell.classList.toggle("none", n >= values.length));
}

function drawGrids({ i, j, kernel, values, products }) {
  const outside = (k) => !isInside(...tapAt(i, j, ...at(k, K_w)));
  const marked = state.tap;
  const after = state.partial ? state.tap : undefined;
  cells($("kernel"), kernel, K_w, data.limits.kernel, { label: "Kernel", marked });
  cells($("window"), values, K_w, data.limits.x, { label: "Window", marked, outside });
  cells($("products"), products, K_w, data.limits.product, { label: "Products", marked, after });
  const g = group();
  const members = `channels ${nameOf(g * C_g)} to ${nameOf((g + 1) * C_g - 1)}`;
  const whose = C_g === 1 ? `channel ${nameOf(g)}` : G === 1 ? `all ${C} channels` : members;
  say("c-kernel", `${wordsFor(K2, "number")} in ${wordsFor(K_h, "row")}, for ${whose}.`);
  const hatched = values.some((_, k) => outside(k)) ? "; hatched: outside the picture, 0" : "";
  say("c-window", `Channel ${nameOf(state.c)}${hatched}.`);
  say("c-products", "kernel × window, tap by tap.");
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
    const kernel = run.kernel(i, j, g);
    const canvas = button.querySelector("canvas");
    fill(canvas, K_h, K_w, (k) => shadeOf(kernel[k] / data.limits.kernel));
    button.ariaPressed = String(g === group());
  });
}

const BARS =
  "Each bar is one product: orange adds, blue takes away, and the last one ends at y. " +
  "Move over a cell, or play over the window, to see them one at a time.";
let speaking = 0;

function drawSum(seen) {
  const { i, j, products } = seen;
  const k = state.tap;
  const total = state.partial ? sumOf(products.slice(0, k + 1)) : sumOf(products);
  const line = state.partial
    ? `Σ after ${k + 1} of ${K2} products = ${number(total, 3)}`
    : `y[${nameOf(state.c)}, ${i}, ${j}] = Σ of ${wordsFor(K2, "product")} = ${number(total, 3)}`;
  say("equation", line);
  say("result", `Σ = ${number(total, 3)}`);
  const detail = k === null ? BARS : productWords(seen, k);
  say("detail", detail);
  clearTimeout(speaking);
  speaking = setTimeout(() => say("live", k === null ? line : `${detail} ${line}`), 500);
  drawWaterfall(products);
}

function productWords({ i, j, kernel, values, products }, k) {
  const [entry, value, product] = [kernel, values, products].map((all) => number(all[k], 3));
  const [u, v] = at(k, K_w);
  return `Row ${u}, column ${v} of the window: kernel ${entry} × x ${value} = ${product}. ${spanWords(i, j, k, kernel[k])}`;
}

function spanWords(i, j, k, entry) {
  if (hidden > 4) return "";
  const { reduced } = stagesAt(run.x, i, j);
  const o = group() * K2 + k;
  const weights = recorded.span_weight.subarray(o * hidden, (o + 1) * hidden);
  const product = (value, m) => `${number(weights[m], 3)} × ${number(value, 3)}`;
  const parts = Array.from(reduced, product);
  const sum = [...parts, number(recorded.span_bias[o], 3)].join(" + ");
  const signed = sum.replaceAll(`+ ${MINUS}`, `${MINUS} `);
  return `That entry of the kernel is ${signed} = ${number(entry, 3)}.`;
}

// Each product as a bar from the sum before it to the sum after it.
function drawWaterfall(products) {
  const canvas = $("waterfall");
  const [width, height] = [roomIn(canvas.parentElement), 84];
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
