// State of the page, kept in the address too, so that a link shows the same.

let run = null; // of the picture, paint included
let original = null; // its x, kernels and y before any paint
let own = null; // name of the reader's own picture, once one is chosen
const painted = new Map(); // "h,w,c" -> value
let version = 0; // counts what was drawn or chosen: older pictures must be drawn again

const TABS = ["sum", "made", "paint", "pins", "maps", "numpy"];
const MAX_DENSITY = 32; // kernels drawn across the longest side of the photo

const state = {
  at: data.start, // the output pixel looked at
  other: data.other, // pixel B
  c: data.channel,
  view: data.colour ? "photo" : "channel",
  tab: TABS[0],
  density: 0, // kernels drawn across the photo; 0: none
  split: 0.4, // share of the output, from the left, where the convolution is shown
  tap: null, // number u*K_w + v of a tap of the window
  partial: false, // whether the sum stops at that tap
  pinned: false,
  painting: false,
  walk: "pixels",
};

const NO_TAP = { tap: null, partial: false };

function group() {
  return Math.floor(state.c / C_g);
}

// The input pixel in the middle of the window.
function middle() {
  const [h, w] = tapAt(...state.at, (K_h - 1) / 2, (K_w - 1) / 2);
  return [clamp(h, 0, H - 1), clamp(w, 0, W - 1)];
}

// A pixel of the window outside the cell that the kernel is generated from, if there is one.
function neighbour() {
  const [h, w] = middle();
  const [down, right] = [d_h * Math.ceil(s_h / d_h), d_w * Math.ceil(s_w / d_w)];
  const inReach = (step, k, d) => step <= (d * (k - 1)) / 2;
  const beside = inReach(right, K_w, d_w) ? [[h, w + right], [h, w - right]] : [];
  const above = inReach(down, K_h, d_h) ? [[h + down, w], [h - down, w]] : [];
  return [...beside, ...above].find((pixel) => isInside(...pixel)) ?? null;
}

let busy = false; // while a picture of the reader's is computed
let scheduled = false;
let writing = 0;

function change(patch) {
  Object.assign(state, patch);
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 250); // browsers limit how often it may be written
  if (scheduled || busy) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    render();
  });
}

// Show the picture of a finished run.
function adopt(finished) {
  run = finished;
  original = { x: run.x.slice(), kernels: run.kernels.slice(), y: run.y.slice() };
  painted.clear();
  version += 1;
}

function paint(h, w, values) {
  values.forEach((value, c) => painted.set(`${h},${w},${c}`, value));
  run.paint(h, w, values);
  version += 1;
  change({});
}

function unpaint() {
  const pixels = new Set([...painted.keys()].map((key) => key.split(",").slice(0, 2).join()));
  painted.clear();
  for (const pixel of pixels) {
    const [h, w] = pixel.split(",").map(Number);
    run.paint(h, w, xAt(h, w, original.x));
  }
  version += 1;
  change({});
}

function xAt(h, w, x = run.x) {
  return Array.from({ length: C }, (_, c) => x[(c * H + h) * W + w]);
}

const MAX_ADDRESS = 4000; // letters; more paint than that is left out of the address

function writeAddress() {
  if (own) return; // a picture from the reader's disk is not in an address
  const { c, view, tab, density } = state;
  const parts = [`at=${state.at}`, `c=${c}`, `view=${view}`, `tab=${tab}`, `kernels=${density}`];
  parts.push(`split=${Math.round(100 * state.split)}`);
  if (state.other) parts.push(`b=${state.other}`);
  if (state.pinned) parts.push("pinned=1");
  if (state.tap !== null) parts.push(`tap=${state.tap}`, `partial=${Number(state.partial)}`);
  const strokes = [...painted].map(([key, value]) => `${key},${value}`).join(";");
  if (strokes && strokes.length < MAX_ADDRESS) parts.push(`paint=${strokes}`);
  try {
    history.replaceState(null, "", `#${parts.join("&")}`);
  } catch {
    // An embedded page, as in a notebook, has no address of its own.
  }
}

// Read the address, and skip what is not valid: anybody may have written it.
function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const whole = (text, below) => (/^\d+$/.test(text ?? "") && text < below ? Number(text) : null);
  const pixel = (text, rows, columns) => {
    const [i, j, ...rest] = (text ?? "").split(",");
    const read = [whole(i, rows), whole(j, columns)];
    return rest.length || read.includes(null) ? null : read;
  };
  for (const stroke of (said.get("paint") ?? "").split(";")) {
    const [h, w, c, value, ...rest] = stroke.split(",");
    const at = pixel(`${h},${w}`, H, W);
    const known = at && whole(c, C) !== null && value && Number.isFinite(Number(value));
    if (known && !rest.length) {
      const values = xAt(...at);
      values[Number(c)] = Number(value);
      painted.set(`${h},${w},${c}`, Number(value));
      run.paint(...at, values);
      version += 1;
    }
  }
  const tap = whole(said.get("tap"), K2);
  const split = whole(said.get("split"), 101);
  change({
    at: pixel(said.get("at"), H_out, W_out) ?? state.at,
    other: pixel(said.get("b"), H_out, W_out) ?? state.other,
    c: whole(said.get("c"), C) ?? state.c,
    view: data.colour && said.get("view") === "channel" ? "channel" : state.view,
    tab: TABS.includes(said.get("tab")) ? said.get("tab") : state.tab,
    density: whole(said.get("kernels"), MAX_DENSITY + 1) ?? state.density,
    split: split === null ? state.split : split / 100,
    pinned: said.get("pinned") === "1",
    tap,
    partial: tap !== null && said.get("partial") === "1",
  });
}
