// The recorded numbers, read from the page, in the letters of the equation:
// y[c, i, j] = sum over u, v of kernel[g, u, v, i, j] * x[c, i*s + u*d - p, j*s + v*d - p].

const data = JSON.parse(document.getElementById("data").textContent);
const { C, G } = data.geometry;
let { H, W, H_out, W_out } = data.geometry; // of the picture, which the reader may change
const [K_h, K_w] = data.geometry.window;
const [s_h, s_w] = data.geometry.stride;
const [d_h, d_w] = data.geometry.dilation;
const [p_h, p_w] = data.geometry.padding;
const C_g = C / G;
const K2 = K_h * K_w;

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Numbers are stored as float32, the lowest byte first, and computed with as float64.
function floatsOf(text) {
  return Float64Array.from(new Float32Array(bytesOf(text).buffer));
}

const recorded = Object.fromEntries(
  Object.entries(data.arrays).map(([name, text]) => [name, floatsOf(text)]),
);
const F = data.features; // channels that reduce reads: C, if no convolutions come before it
const hidden = recorded.reduce_weight.length / F; // C // r

const MINUS = "−";

function number(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? MINUS : "") + text;
}

// Row and column of number n in a table of so many columns.
function at(n, columns) {
  return [Math.floor(n / columns), n % columns];
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function sumOf(values) {
  return values.reduce((total, value) => total + value, 0);
}

function largestOf(values) {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
