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

function showCheck({ outputs, error, ok }) {
  const off = `${error.toExponential(1)} of the largest output`;
  $("checked").dataset.ok = String(ok);
  const right = `Checked: this page recomputed all ${outputs} outputs; they differ from NumPy's by ${off}.`;
  const wrong = `WRONG: this page's outputs differ from NumPy's by ${off}. Do not trust it.`;
  say("checked", ok ? right : wrong);
}

function start() {
  const recomputed = new Run(Float64Array.from(recorded.x));
  for (const _ of recomputed.steps());
  adopt(recomputed);
  const verdict = selfTest(run);
  say("about", data.about);
  $("about").title = data.about;
  // In the documentation, this page is beside its first page.
  $("docs").hidden = !/^https?:.*\/explorer\.html$/.test(location.origin + location.pathname);
  makeChannels();
  $("views").hidden = $("choose-label").hidden = !data.colour;
  $("source").hidden = !data.source;
  const views = Object.entries({ photo: "colours", channel: "one channel" });
  choices("views", views, (view) => change({ view }));
  makeBrush();
  makeMaps();
  makeTour();

  watch($("input"), () => [H, W], outputOf);
  const maps = SHOWN.map(({ name }) => `map-${name}`);
  for (const id of ["output", ...maps]) watch($(id), () => [H_out, W_out], (pixel) => pixel);
  for (const id of ["window", "kernel", "factor", "products"]) watchGrid($(id));
  watchTabs();
  $("input").addEventListener("keydown", onKeys);
  addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    stopAll();
    if (tour.stop >= 0) visit(-1);
  });

  const on = (id, act, event = "click") => $(id).addEventListener(event, act);
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
  on("choose", () => choose($("choose").files[0]), "change");
  on("density", () => change({ density: Number($("density").value) }), "input");
  on("split", () => change({ split: Number($("split").value) / 100 }), "input");
  on("scrub", () => goTo(Number($("scrub").value)), "input");
  on("walk", () => change({ walk: $("walk").value, ...NO_TAP }), "change");
  on("walk", () => setPlaying(false), "change");
  addEventListener("resize", () => {
    rooms.clear();
    change({});
  });
  addEventListener("hashchange", readAddress);
  readAddress();
  showCheck(verdict);
  return verdict;
}

const verdict = start();
window.explorer = {
  ...{ state, change, render, painted, mapOf, MAPS, convolved, shadeOf, kept },
  selfTest: () => verdict,
  get run() {
    return run;
  },
};
