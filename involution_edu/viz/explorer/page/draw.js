// Colours, pictures of many pixels, and grids of numbers, all on canvases.

const INK = "#1f2430";
const ACCENT = "#d0006f";
const PALE = "#fcfbf8";

// Black or white, whichever is read better on it: black if its luminance, as WCAG 2 defines that,
// is above the 0.179 at which both have a contrast of 4.6.
function inkOn(shade) {
  const [red, green, blue] = shade.map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

const LEVELS = 255; // shades between 0 and 1

// Blue at -1, white at 0, orange at 1, as in every picture of the project; made once, to draw fast.
const SHADES = Array.from({ length: 2 * LEVELS + 1 }, (_, n) => {
  const position = (n / LEVELS / 2) * (data.anchors.length - 1);
  const below = Math.min(Math.floor(position), data.anchors.length - 2);
  const rgb = data.anchors[below].map((from, k) =>
    Math.round(from + (position - below) * (data.anchors[below + 1][k] - from)),
  );
  return { rgb, css: `rgb(${rgb})`, ink: inkOn(rgb) };
});

function shadeOf(part) {
  return SHADES[Math.round((clamp(part, -1, 1) + 1) * LEVELS)];
}

function make(tagName, properties = {}) {
  return Object.assign(document.createElement(tagName), properties);
}

// A picture of (rows, columns) pixels; `colourAt` gives red, green, blue and, if it is needed, alpha.
function painting(rows, columns, colourAt) {
  const canvas = make("canvas", { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  image.data.fill(255);
  for (let n = 0; n < rows * columns; n++) image.data.set(colourAt(n), 4 * n);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const kept = new Map(); // name -> {stamp, picture}

// A picture that is drawn again only if its stamp changes.
function picture(name, stamp, draw) {
  if (kept.get(name)?.stamp !== stamp) kept.set(name, { stamp, picture: draw() });
  return kept.get(name).picture;
}

// A picture of channels (C, rows, columns): one of them, or all as the colours of a photo.
function channelPicture(name, channels, rows, columns, limit) {
  const { c, view } = state;
  const size = rows * columns;
  const colourAt = (n) =>
    view === "channel"
      ? shadeOf(channels[c * size + n] / limit).rgb
      : colourOf([0, 1, 2].map((rgb) => channels[rgb * size + n]));
  return picture(name, `${c} ${view} ${version}`, () => painting(rows, columns, colourAt));
}

function outputPicture(name, y) {
  return channelPicture(name, y, H_out, W_out, data.limits.y);
}

// The colour in a photo of three numbers of x.
function colourOf(numbers) {
  const { mean, std } = data.colour;
  return mean.map((m, rgb) => clamp(Math.round(numbers[rgb] * std[rgb] + m), 0, 255));
}

const rooms = new Map(); // element -> its width inside; measured once, for measuring is slow

function roomIn(element) {
  if (!rooms.has(element)) {
    const css = getComputedStyle(element);
    const edges = parseFloat(css.paddingLeft) + parseFloat(css.paddingRight);
    rooms.set(element, element.clientWidth - edges);
  }
  return rooms.get(element);
}

const isPhone = () => innerWidth <= 740;

// Height of the pictures in the upper row, in CSS pixels: what the rest of the screen leaves.
function pictureHeight(canvas) {
  if (!isPhone()) return clamp(0.6 * innerHeight - 128, 150, 640);
  return canvas.id === "input" ? 0.54 * innerHeight : 0.24 * innerHeight;
}

// Show a picture with square pixels as large as its column and `maxHeight` allow; return the pen
// for marks on it, in pixels of the picture.
function show(canvas, image, maxHeight = pictureHeight(canvas)) {
  const fit = Math.min(roomIn(canvas.parentElement) / image.width, maxHeight / image.height);
  const scale = fit >= 8 ? Math.floor(fit) : fit;
  const pen = penFor(canvas, image.width * scale, image.height * scale);
  pen.imageSmoothingEnabled = false;
  pen.scale(scale, scale);
  pen.drawImage(image, 0, 0);
  return { pen, unit: 1 / scale };
}

// The pen of a cleared canvas of so many CSS pixels, which it draws in.
function penFor(canvas, width, height) {
  const dense = window.devicePixelRatio || 1;
  const pen = canvas.getContext("2d");
  const [across, down] = [Math.round(width * dense), Math.round(height * dense)];
  if (canvas.width !== across || canvas.height !== down) {
    [canvas.width, canvas.height] = [across, down];
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  }
  pen.setTransform(across / width, 0, 0, down / height, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

// A frame around rows x columns pixels, with a pale halo to be visible on any picture.
function frame({ pen, unit }, [top, left], [rows, columns] = [1, 1], dash = []) {
  const halo = [PALE, 4, []];
  for (const [style, width, lines] of [halo, [ACCENT, 2, dash]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width * unit;
    pen.setLineDash(lines.map((length) => length * unit));
    pen.strokeRect(left - unit, top - unit, columns + 2 * unit, rows + 2 * unit);
  }
  pen.setLineDash([]);
}

function dot({ pen, unit }, [h, w]) {
  pen.fillStyle = ACCENT;
  pen.fillRect(w + 0.5 - unit, h + 0.5 - unit, 2 * unit, 2 * unit);
}

// A letter in a disk on pixel (i, j), moved inside the picture where it would be cut off.
function tag({ pen, unit }, [i, j], letter, [rows, columns]) {
  const radius = 9 * unit;
  const inside = (position, size) => clamp(position + 0.5, radius + unit, size - radius - unit);
  const [x, y] = [inside(j, columns), inside(i, rows)];
  pen.fillStyle = ACCENT;
  pen.strokeStyle = PALE;
  pen.lineWidth = 1.5 * unit;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
  pen.stroke();
  pen.fillStyle = "#fff";
  pen.font = `bold ${12 * unit}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(letter, x, y + unit);
}

// A word in a corner of a picture.
function label({ pen, unit }, [i, j], words, textAlign) {
  Object.assign(pen, { font: `${12 * unit}px system-ui, sans-serif`, textAlign, textBaseline: "top" });
  const wide = pen.measureText(words).width + 10 * unit;
  pen.fillStyle = "rgba(20, 23, 29, 0.75)";
  pen.fillRect(textAlign === "left" ? j : j - wide, i, wide, 19 * unit);
  pen.fillStyle = PALE;
  pen.fillText(words, textAlign === "left" ? j + 5 * unit : j - 5 * unit, i + 4 * unit);
}

const MIN_WRITTEN = 30; // CSS pixels of a cell with its number in it
const MAX_CELL = 64;

// A grid of coloured cells, in rows of so many, with their numbers if there is room; `limit` has
// the darkest colour.
function grid(canvas, values, columns, limit, { side, outside, marked = null, after } = {}) {
  const rows = Math.ceil(values.length / columns);
  const pen = penFor(canvas, columns * side, rows * side);
  canvas.classList.add("grid");
  pen.font = `${clamp(0.32 * side, 10, 15)}px system-ui, -apple-system, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const line = side >= 8 ? 1 : 0; // between the cells
  values.forEach((value, k) => {
    const [top, left] = at(k, columns).map((n) => n * side);
    const shade = shadeOf(value / limit);
    pen.globalAlpha = after !== undefined && k > after ? 0.25 : 1;
    pen.fillStyle = shade.css;
    pen.fillRect(left, top, side - line, side - line);
    if (outside?.(k)) strike(pen, left, top, side - line);
    if (side < MIN_WRITTEN) return;
    pen.fillStyle = shade.ink;
    if (Number(number(value)) === 0) pen.globalAlpha *= 0.4; // the numbers that count stand out
    pen.fillText(number(value), left + side / 2, top + side / 2 + 0.5);
  });
  pen.globalAlpha = 1;
  if (marked !== null) {
    const [row, column] = at(marked, columns);
    pen.strokeStyle = ACCENT;
    pen.lineWidth = 3;
    pen.strokeRect(column * side + 1, row * side + 1, side - 3, side - 3);
  }
}

function strike(pen, left, top, side) {
  pen.strokeStyle = "#1f243055";
  pen.beginPath();
  pen.moveTo(left, top + side);
  pen.lineTo(left + side, top);
  pen.stroke();
}

// The scale of colours from low to high; one with numbers on both sides of `middle` has it marked.
function scaleOf(box, low, high, middle = 0) {
  const signed = low < middle;
  const parts = signed ? [-1, -0.5, 0, 0.5, 1] : [0, 0.5, 1];
  const bar = make("div", { className: signed ? "ramp signed" : "ramp" });
  bar.style.background = `linear-gradient(90deg, ${parts.map((p) => shadeOf(p).css)})`;
  const words = make("div", { className: "ends" });
  const written = (value) => String(value).replace("-", MINUS);
  const start = low === 0 && !signed ? "0" : `≤ ${written(low)}`;
  const ends = [start, ...(signed ? [written(middle)] : []), `≥ ${written(high)}`];
  words.append(...ends.map((text) => make("span", { textContent: text })));
  box.replaceChildren(bar, words);
}
