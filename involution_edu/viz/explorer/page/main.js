// Put the page together.

function makeBrush() {
  const colour = { type: "color", value: "#c0602a" };
  const limit = data.limits.x;
  const amount = { type: "range", min: -limit, max: limit, step: limit / 100, value: limit };
  Object.assign($("brush"), data.colour ? colour : amount);
}

async function copy() {
  const text = $("numpy").textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("copied", "Copied.");
  } catch {
    // Not allowed in an embedded page: select it for the copy key.
    getSelection().selectAllChildren($("numpy"));
    say("copied", "Selected: press Ctrl+C or ⌘C.");
  }
}

function showCheck() {
  const { outputs, error, ok } = selfTest();
  const off = `${error.toExponential(1)} of the largest output`;
  $("checked").dataset.ok = String(ok);
  const right = `Checked: this page recomputed all ${outputs} outputs; they differ from NumPy's by ${off}.`;
  const wrong = `WRONG: this page's outputs differ from NumPy's by ${off}. Do not trust it.`;
  say("checked", ok ? right : wrong);
}

function start() {
  say("about", data.about);
  makeChannels();
  $("views").hidden = !data.colour;
  const views = Object.entries({ photo: "photo", channel: "one channel" });
  choices("views", views, (view) => change({ view }));
  makeBrush();
  makeMaps();
  makeTour();
  const { x, kernel, product, y } = data.limits;
  const scales = { input: x, window: x, kernel, products: product, output: y };
  for (const [id, limit] of Object.entries(scales)) scaleOf($(`s-${id}`), -limit, limit);

  watch($("input"), H, W, outputOf);
  const maps = MAPS.map(({ name }) => `map-${name}`);
  for (const id of ["output", "convolution", "involution", ...maps]) {
    watch($(id), H_out, W_out, (pixel) => pixel);
  }
  for (const id of ["window", "kernel", "products"]) watchGrid($(id));
  $("input").addEventListener("keydown", onKeys);

  const on = (id, act) => $(id).addEventListener("click", act);
  on("back", () => step(-1));
  on("forth", () => step(1));
  on("play", () => setPlaying(!timer));
  on("pin", () => change({ pinned: !state.pinned }));
  on("keep", () => change({ other: state.at }));
  on("swap", () => state.other && change({ at: state.other, other: state.at, pinned: true }));
  on("paint-own", () => paintAt(middle()));
  on("paint-neighbour", () => paintAt(neighbour()));
  on("paint-mode", () => change({ painting: !state.painting }));
  on("paint-undo", unpaint);
  on("copy", copy);
  $("scrub").addEventListener("input", () => goTo(Number($("scrub").value)));
  $("speed").addEventListener("change", () => timer && setPlaying(true));
  $("walk").addEventListener("change", () => change({ walk: $("walk").value, ...NO_TAP }));
  addEventListener("resize", () => {
    rooms.clear();
    change({});
  });
  addEventListener("hashchange", readAddress);
  readAddress();
  showCheck();
}

start();
window.explorer = { selfTest, state, change, run, painted, mapOf, MAPS, convolved };
