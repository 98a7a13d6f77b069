// The page explained in a minute: a sentence or two for each panel.

const tour = { stop: -1, first: null }; // -1: not under way

const TOUR = [
  ["input", () => `Take one pixel: row ${middle()[0]}, column ${middle()[1]}. ${itsNumbers()}`],
  [
    "made",
    () =>
      (body.length ? "Convolutions describe its surroundings by a few features. " : "") +
      `Two small layers turn these into ${G * K2} numbers. Their weights are the same at every ` +
      `pixel, and they see ${body.length ? "the features of this pixel" : "this pixel"} alone.`,
  ],
  [
    "sum",
    () =>
      `Now look around it: the ${K_h} × ${K_w} window of the input with the pixel in the middle.`,
  ],
  [
    "kernel",
    () =>
      `${madeOf()}, written in ${wordsFor(K_h, "row")}. It was generated for this pixel: ` +
      "that is involution.",
  ],
  ["sum", () => "Multiply the two, tap by tap, and add up the products: one number."],
  ["output", () => "That number is one pixel of the output."],
  [
    "kernel",
    () =>
      `Another pixel, row ${middle()[0]}, column ${middle()[1]}: other numbers, another kernel. ` +
      "A convolution would use the same one everywhere.",
  ],
  ["input", () => "Your turn: move over the input. Then paint a pixel, or open a picture of yours."],
];

function itsNumbers() {
  const numbers = data.colour
    ? "To the layer it is three numbers: how red, how green, how blue."
    : `It is ${wordsFor(C, "number")}, one for each channel.`;
  return s_h * s_w > 1 ? `${numbers} At a stride, they are the mean over its cell.` : numbers;
}

function madeOf() {
  if (G === 1) return `The kernel, shared by ${wordsFor(C, "channel")}, is these ${K2} numbers`;
  return `The kernel of ${wordsFor(C_g, "channel")}, a group, is ${K2} of these numbers`;
}

function visit(stop) {
  document.querySelector(".toured")?.classList.remove("toured");
  if (tour.stop < 0) tour.first = state.at;
  const under = stop >= 0 && stop < TOUR.length;
  tour.stop = under ? stop : -1;
  $("tour").hidden = !under;
  if (!under) return $("explain").focus();
  const another = stop === TOUR.length - 2 && state.other;
  change({ at: another ? state.other : tour.first, pinned: true, ...NO_TAP });
  const [name, words] = TOUR[stop];
  if (TABS.includes(name)) change({ tab: name });
  const panel = document.querySelector(TABS.includes(name) ? "#below" : `.panel.${name}`);
  $("tour").classList.toggle("high", panel.id === "below");
  panel.classList.add("toured");
  panel.scrollIntoView({ block: "nearest" });
  say("tour-text", words());
  say("tour-count", `${stop + 1} of ${TOUR.length}`);
  say("tour-next", stop === TOUR.length - 1 ? "Done" : "Next");
  $("tour-back").disabled = stop === 0;
  return $("tour-next").focus();
}

function makeTour() {
  $("explain").addEventListener("click", () => visit(0));
  $("tour-next").addEventListener("click", () => visit(tour.stop + 1));
  $("tour-back").addEventListener("click", () => visit(tour.stop - 1));
  $("tour-close").addEventListener("click", () => visit(-1));
}
