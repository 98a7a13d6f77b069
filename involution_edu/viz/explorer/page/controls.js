// Mouse, touch and keyboard.

// The pixel of a canvas's picture under the mouse.
function pixelUnder(event, rows, columns) {
  const box = event.currentTarget.getBoundingClientRect();
  const part = (position, from, size, count) =>
    clamp(Math.floor(((position - from) / size) * count), 0, count - 1);
  return [
    part(event.clientY, box.top, box.height, rows),
    part(event.clientX, box.left, box.width, columns),
  ];
}

function outputOf([h, w]) {
  return [Math.min(Math.floor(h / s_h), H_out - 1), Math.min(Math.floor(w / s_w), W_out - 1)];
}

// Let a picture, of the rows and columns that `size` gives, choose the pixel that is looked at.
function watch(canvas, size, toOutput) {
  const chosen = (event) => toOutput(pixelUnder(event, ...size()));
  canvas.addEventListener("pointermove", (event) => {
    if (paints(event, canvas)) return;
    const follows = event.pointerType === "mouse" ? !state.pinned : event.buttons & 1;
    if (follows) change({ at: chosen(event) });
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (paints(event, canvas)) return;
    const pixel = chosen(event);
    if (event.shiftKey) change({ other: pixel });
    else if (event.pointerType !== "mouse") change({ at: pixel });
    else change({ at: pixel, pinned: !(state.pinned && String(pixel) === String(state.at)) });
  });
}

let brushed = [0, 0]; // the last pixel of the stroke; a fast mouse skips some between two events

function paints(event, canvas) {
  if (!state.painting || canvas !== $("input") || !(event.buttons & 1)) return false;
  const to = pixelUnder(event, H, W);
  const from = event.type === "pointerdown" ? to : brushed;
  const steps = Math.max(1, ...to.map((end, n) => Math.abs(end - from[n])));
  for (let k = steps - 1; k >= 0; k--)
    paintAt(to.map((end, n) => Math.round(end + ((from[n] - end) * k) / steps)));
  brushed = to;
  return true;
}

// The numbers that the brush gives input pixel (h, w): a colour, or a number for one channel.
function brush(h, w) {
  const { value } = $("brush");
  if (!data.colour) return xAt(h, w).map((old, c) => (c === state.c ? Number(value) : old));
  const { mean, std } = data.colour;
  return mean.map((m, rgb) => {
    const byte = parseInt(value.slice(1 + 2 * rgb, 3 + 2 * rgb), 16);
    return Number(((byte - m) / std[rgb]).toFixed(4));
  });
}

function move(down, right) {
  const [i, j] = state.at;
  change({ at: [clamp(i + down, 0, H_out - 1), clamp(j + right, 0, W_out - 1)], pinned: true });
}

function paintAt(pixel) {
  if (pixel) paint(...pixel, brush(...pixel));
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const KEYS = {
  Enter: () => change({ pinned: !state.pinned }),
  " ": () => setPlaying(!timer),
  p: () => paintAt(middle()),
  n: () => paintAt(neighbour()),
  b: () => change({ other: state.at }),
};

function onKeys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (ARROWS[event.key]) move(...ARROWS[event.key].map((step) => step * (event.shiftKey ? 5 : 1)));
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
}

// Stop all that goes on: playing, painting, and what is kept.
function stopAll() {
  setPlaying(false);
  change({ pinned: false, painting: false, ...NO_TAP });
}

// A grid of the window: hovering or arrow keys choose a tap.
function watchGrid(canvas) {
  canvas.tabIndex = 0;
  canvas.addEventListener("pointermove", (event) => {
    const [u, v] = pixelUnder(event, K_h, K_w);
    change({ tap: u * K_w + v, partial: false });
  });
  canvas.addEventListener("pointerleave", () => change(NO_TAP));
  canvas.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    if (state.tap === null) return change({ tap: 0, partial: false });
    const [u, v] = at(state.tap, K_w);
    const [below, beside] = [clamp(u + step[0], 0, K_h - 1), clamp(v + step[1], 0, K_w - 1)];
    return change({ tap: below * K_w + beside, partial: false });
  });
}

// The tabs: a click or the arrow keys choose one.
function watchTabs() {
  for (const tab of TABS) {
    $(`t-${tab}`).addEventListener("click", () => change({ tab }));
    $(`t-${tab}`).addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length];
      change({ tab: next });
      $(`t-${next}`).focus();
    });
  }
}

function drawTabs() {
  for (const tab of TABS) {
    const chosen = tab === state.tab;
    if ($(`t-${tab}`).ariaSelected === String(chosen)) continue;
    $(`p-${tab}`).hidden = !chosen;
    Object.assign($(`t-${tab}`), { ariaSelected: String(chosen), tabIndex: chosen ? 0 : -1 });
    rooms.clear();
  }
}

let timer = 0;

function setPlaying(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => step(1), state.walk === "pixels" ? 40 : 300) : 0; // milliseconds
  if (on && state.walk === "pixels") change({ pinned: true });
  press("play", on, on ? "Pause" : "Play");
}

// Show a button as pressed or not, with another text on it if there is one.
function press(id, on, text = $(id).textContent) {
  $(id).ariaPressed = String(on);
  say(id, text);
}

function lastStep() {
  return state.walk === "pixels" ? H_out * W_out - 1 : K2 - 1;
}

function position() {
  return state.walk === "pixels" ? state.at[0] * W_out + state.at[1] : (state.tap ?? -1);
}

function goTo(n) {
  if (state.walk === "pixels") change({ at: at(n, W_out), pinned: true });
  else change({ tap: n, partial: true, tab: "sum" });
}

function step(by) {
  const count = lastStep() + 1;
  goTo((Math.max(position() + by, -1) + count) % count);
}

function drawControls() {
  const [i, j] = state.at;
  const place = `row ${i}, column ${j}`;
  const ariaValueText = state.walk === "pixels" ? place : `product ${position() + 1} of ${K2}`;
  const value = Math.max(0, position());
  Object.assign($("scrub"), { max: lastStep(), value, ariaValueText });
  press("pin", state.pinned, state.pinned ? "pinned: click to release" : "pin this pixel");
  press("paint-mode", state.painting, `painting: ${state.painting ? "on" : "off"}`);
  $("paint-undo").disabled = painted.size === 0;
  $("brushes").hidden = !state.painting && painted.size === 0 && state.tab !== "paint";
  $("input").classList.toggle("painting", state.painting);
  $("density").value = state.density;
  $("split").value = Math.round(100 * state.split);
  drawTabs();
  for (const id of [`channels-${state.c}`, `views-${state.view}`]) if ($(id)) $(id).checked = true;
  const list = $("channels").querySelector("select");
  if (list) list.selectedIndex = state.c;
}

// Radio buttons for a choice among names.
function choices(id, names, chosen) {
  for (const [value, text] of names) {
    const radio = make("input", { type: "radio", name: id, id: `${id}-${value}` });
    radio.addEventListener("change", () => chosen(value));
    const label = make("label", { textContent: text, htmlFor: radio.id });
    $(id).append(radio, label);
  }
}

const MAX_BUTTONS = 12; // channels; more of them are chosen from a list

function makeChannels() {
  if (C <= MAX_BUTTONS) return choices("channels", data.channels.entries(), (c) => change({ c }));
  const list = make("select", { ariaLabel: "channel" });
  data.channels.forEach((name) => list.add(new Option(name)));
  list.addEventListener("change", () => change({ c: list.selectedIndex }));
  return $("channels").append(list);
}
