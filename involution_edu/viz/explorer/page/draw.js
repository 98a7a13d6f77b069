// Colours, pictures of many pixels, and cells with numbers in them.

const INK = "#1f2430";
const ACCENT = "#d0006f";

// Blue at -1, white at 0, orange at 1, as in every picture of the project.
function shadeOf(part) {
  const position = ((clamp(part, -1, 1) + 1) / 2) * (data.anchors.length - 1);
  const below = Math.min(Math.floor(position), data.anchors.length - 2);
  return data.anchors[below].map((from, n) =>
    Math.round(from + (position - below) * (data.anchors[below + 1][n] - from)),
  );
}

// Whether black is read better than white on it: its luminance, as WCAG 2 defines that, is above
// the 0.179 at which both have a contrast of 4.6.
function isPale(shade) {
  const [red, green, blue] = shade.map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}

const kept = new Map(); // name -> {stamp, picture}

function make(tagName, properties = {}) {
  return Object.assign(document.createElement(tagName), properties);
}

// Give a canvas one pixel for each of (rows, columns).
function fill(canvas, rows, columns, colourAt) {
  [canvas.width, canvas.height] = [columns, rows];
  const image = new ImageData(columns, rows);
  for (let n = 0; n < rows * columns; n++) image.data.set([...colourAt(n), 255], 4 * n);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// A picture of (rows, columns) pixels, drawn again only if its stamp changes.
function picture(name, stamp, rows, columns, colourAt) {
  if (kept.get(name)?.stamp === stamp) return kept.get(name).picture;
  const drawn = fill(make("canvas"), rows, columns, colourAt);
  kept.set(name, { stamp, picture: drawn });
  return drawn;
}

// A picture of channels (C, rows, columns): one of them, or all as the colours of a photo.
function channelPicture(name, channels, rows, columns, limit) {
  const { c, view } = state;
  const size = rows * columns;
  return picture(name, `${c} ${view} ${version}`, rows, columns, (n) => {
    if (view === "channel") return shadeOf(channels[c * size + n] / limit);
    return colourOf([0, 1, 2].map((rgb) => channels[rgb * size + n]));
  });
}

function outputPicture(name, y) {
  return channelPicture(name, y, H_out, W_out, data.limits.y);
}

// The colour in a photo of three numbers of x.
function colourOf(numbers) {
  const { mean, std } = data.colour;
  return mean.map((m, rgb) => clamp(Math.round(numbers[rgb] * std[rgb] + m), 0, 255));
}

const MAX_HEIGHT = 288; // of a picture, in CSS pixels

const rooms = new Map(); // element -> its width inside; measured once, for measuring is slow

function roomIn(element) {
  if (!rooms.has(element)) {
    const css = getComputedStyle(element);
    const edges = parseFloat(css.paddingLeft) + parseFloat(css.paddingRight);
    rooms.set(element, element.clientWidth - edges);
  }
  return rooms.get(element);
}

// Show a picture with square pixels as large as its column allows; return the pen for marks on
// it, in pixels of the picture.
function show(canvas, image, maxHeight = MAX_HEIGHT) {
  const fit = Math.min(roomIn(canvas.parentElement) / image.width, maxHeight / image.height);
  const scale = fit >= 4 ? Math.floor(fit) : fit;
  const pen = penFor(canvas, image.width * scale, image.height * scale);
  pen.imageSmoothingEnabled = false;
  pen.scale(scale, scale);
  pen.drawImage(image, 0, 0);
  return { pen, unit: 1 / scale };
}

// The pen of a canvas of so many CSS pixels, which it draws in.
function penFor(canvas, width, height) {
  const dense = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.round(width * dense), Math.round(height * dense)];
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d");
  pen.scale(canvas.width / width, canvas.height / height);
  return pen;
}

// A frame around rows x columns pixels, with a pale halo to be visible on any picture.
function frame({ pen, unit }, [top, left], [rows, columns] = [1, 1], dash = []) {
  const halo = ["#fcfbf8", 4, []];
  for (const [style, width, lines] of [halo, [ACCENT, 2, dash]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width * unit;
    pen.setLineDash(lines.map((length) => length * unit));
    pen.strokeRect(left - unit, top - unit, columns + 2 * unit, rows + 2 * unit);
  }
  pen.setLineDash([]);
}

function tag({ pen, unit }, [i, j], letter) {
  const [x, y] = [j + 0.5, i + 0.5];
  pen.fillStyle = ACCENT;
  pen.strokeStyle = "#fcfbf8";
  pen.lineWidth = 1.5 * unit;
  pen.beginPath();
  pen.arc(x, y, 9 * unit, 0, 2 * Math.PI);
  pen.fill();
  pen.stroke();
  pen.fillStyle = "#fff";
  pen.font = `bold ${12 * unit}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(letter, x, y + unit);
}

// A table of coloured cells. A table of the same shape is reused, which keeps the focus.
function cells(box, values, columns, limit, { size, label, outside, marked, after } = {}) {
  const rows = values.length / columns;
  const shape = `${rows} ${columns}`;
  let table = box.querySelector("table");
  if (table?.dataset.shape !== shape) {
    table = make("table");
    table.dataset.shape = shape;
    for (let k = 0; k < values.length; k++) {
      (k % columns ? table.rows[table.rows.length - 1] : table.insertRow()).insertCell();
    }
    box.replaceChildren(table);
  }
  const side = size ?? clamp(Math.floor((roomIn(box) - 2) / columns) - 1, 4, 46);
  const digits = side >= 36 ? 2 : 1;
  const readable = side >= 28;
  table.style.setProperty("--side", `${side}px`);
  table.ariaLabel = label ?? "";
  table.querySelectorAll("td").forEach((cell, k) => {
    const shade = shadeOf(values[k] / limit);
    cell.style.backgroundColor = `rgb(${shade})`;
    cell.style.color = isPale(shade) ? "#000" : "#fff";
    cell.textContent = readable ? number(values[k], digits) : "";
    cell.title = readable ? "" : number(values[k], 3);
    cell.classList.toggle("outside", Boolean(outside?.(k)));
    cell.classList.toggle("marked", k === marked);
    cell.classList.toggle("later", after !== undefined && k > after);
  });
  return table;
}

// The scale of colours from low to high; a signed one has its zero in the middle, marked.
function scaleOf(box, low, high) {
  const signed = low < 0;
  const parts = signed ? [-1, -0.5, 0, 0.5, 1] : [0, 0.5, 1];
  const bar = make("div", { className: signed ? "ramp signed" : "ramp" });
  bar.style.background = `linear-gradient(90deg, ${parts.map((p) => `rgb(${shadeOf(p)})`)})`;
  const words = make("div", { className: "ends" });
  const start = low === 0 ? "0" : `≤ ${String(low).replace("-", MINUS)}`;
  const ends = [start, ...(signed ? ["0"] : []), `≥ ${high}`];
  words.append(...ends.map((text) => make("span", { textContent: text })));
  box.replaceChildren(bar, words);
}
