"use strict";

// Everything that is shown of a track follows one position in it, in seconds: that of its sound, or,
// where there is none, the one that was last chosen.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const audio = at("audio");
const timeline = at("timeline");
const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const bodyRows = [...at("tracks").tBodies[0].rows];

let track = null;
let position = 0;
let followers = []; // functions that show a position

function make(name, attributes = {}, ...children) {
  const isDrawn = /^(svg|g|path|line|rect|circle|polyline|text|title)$/.test(name);
  const element = isDrawn
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function formatTime(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function formatRating(rating) {
  const rounded = Math.round(rating * 100) / 100;
  return (rounded < 0 ? "−" : "+") + Math.abs(rounded).toFixed(2);
}

const colourOf = (target) => (["arousal", "valence"].includes(target) ? target : "other");
const clip = (rating) => Math.max(-1, Math.min(1, rating));

// A curve holds times in tenths of a second, means and spreads in hundredths.
function readCurve([times, means, spreads, whole]) {
  return {
    times: times.map((time) => time / 10),
    means: means.map((mean) => mean / 100),
    spreads: spreads.map((spread) => spread / 100),
    whole: whole.map((part) => part / 100),
  };
}

// Straight between the middles of windows, level before the first and after the last.
function interpolate(times, values, time) {
  if (time <= times[0]) return values[0];
  let low = 0;
  let high = times.length - 1;
  if (time >= times[high]) return values[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  const share = (time - times[low]) / (times[high] - times[low]);
  return values[low] + share * (values[high] - values[low]);
}

function findWord(valence, arousal) {
  if (Math.hypot(valence, arousal) < data.neutralRadius) return data.neutral;
  const eighth = Math.round((Math.atan2(arousal, valence) / (2 * Math.PI)) * data.words.length);
  return data.words[(eighth + data.words.length) % data.words.length];
}

function drawPanel(className, label, ...drawn) {
  const canvas = make("div", { class: "canvas" }, ...drawn);
  at("panels").append(make("div", { class: `panel ${className}`, "aria-hidden": "true" }, label, canvas));
  return canvas;
}

function drawWave(peaks) {
  if (!peaks) return;
  const bars = peaks.map((peak, k) => {
    const half = Math.max(peak, 1);
    return `M${k + 0.15} ${-half}h.7v${2 * half}h-.7z`;
  });
  const box = { viewBox: `0 -100 ${peaks.length} 200`, preserveAspectRatio: "none" };
  const draw = (more) => make("svg", { ...box, ...more }, make("path", { d: bars.join("") }));
  const played = draw({ class: "played" });
  drawPanel("wave", make("div", { class: "label" }), draw({}), played);
  followers.push((time) => {
    played.style.clipPath = `inset(0 ${100 - (100 * time) / track.duration}% 0 0)`;
  });
}

function drawCurve(target, curve) {
  const { times, means, spreads } = curve;
  const classes = data.classes[target];
  const output = make("output");
  const label = make("div", { class: "label" },
    make("span", { class: "top" }, classes.at(-1)),
    make("span", { class: "middle" }, make("strong", {}, target), output),
    make("span", { class: "bottom" }, classes[0]));
  const everywhere = [0, ...times, track.duration];
  const places = (offset, sign) => everywhere.map((time) => {
    const mean = interpolate(times, means, time);
    const spread = interpolate(times, spreads, time);
    return `${time} ${-clip(mean + sign * spread * offset)}`;
  });
  const low = places(1, -1).reverse();
  const dot = make("div", { class: "dot" });
  drawPanel(colourOf(target), label,
    make("svg", { viewBox: `0 -1 ${track.duration} 2`, preserveAspectRatio: "none" },
      make("rect", { class: "frame", x: 0, y: -1, width: track.duration, height: 2 }),
      make("line", { class: "zero", x2: track.duration }),
      make("path", { class: "band", d: `M${[...places(1, 1), ...low].join("L")}Z` }),
      make("path", { class: "curve", d: `M${places(0, 1).join("L")}` })),
    dot);
  followers.push((time) => {
    const mean = interpolate(times, means, time);
    output.textContent = formatRating(mean);
    dot.style.left = `${(100 * time) / track.duration}%`;
    dot.style.top = `${50 - 50 * mean}%`;
  });
}

function drawAxis() {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
  const step = steps.find((seconds) => track.duration / seconds <= 6) ?? track.duration;
  const labels = [];
  for (let time = 0; time <= track.duration; time += step) {
    const place = (100 * time) / track.duration;
    const label = make("span", place > 97 ? { class: "last" } : {}, formatTime(time));
    label.style.left = `${place}%`;
    labels.push(label);
  }
  at("axis").replaceChildren(...labels);
}

function drawPlane() {
  const { valence, arousal } = track.curves;
  at("plane").hidden = !(valence && arousal);
  document.querySelector(".views").classList.toggle("alone", at("plane").hidden);
  if (at("plane").hidden) return;
  const x = (time) => 100 * interpolate(valence.times, valence.means, time);
  const y = (time) => -100 * interpolate(arousal.times, arousal.means, time);
  const times = [...new Set([...valence.times, ...arousal.times])].sort((a, b) => a - b);
  const points = times.map((time) => `${x(time)} ${y(time)}`);
  const text = (left, top, content, anchor, className = "") =>
    make("text", { x: left, y: top, "text-anchor": anchor, class: className }, content);
  const upright = text(0, 0, `arousal: ${data.classes.arousal.at(-1)} →`, "middle", "axis-name arousal");
  upright.setAttribute("transform", "translate(-107 0) rotate(-90)");
  const past = make("polyline", { class: "path past" });
  const now = make("circle", { class: "now", r: 5 });
  const others = data.tracks.map((other, k) => {
    const [placeX, placeY] = [other.curves.valence[3][0], -other.curves.arousal[3][0]];
    const circle = make("circle", { class: "track", cx: placeX, cy: placeY, r: 2.2 },
      make("title", {}, other.name));
    circle.addEventListener("click", () => showTrack(k));
    return circle;
  });
  const picture = at("plane").querySelector("svg");
  picture.setAttribute("aria-label", `The path of ${track.name} through the valence-arousal plane`);
  picture.replaceChildren(
    make("rect", { class: "square", x: -100, y: -100, width: 200, height: 200, rx: 3 }),
    make("line", { class: "cross", x1: -100, x2: 100 }),
    make("line", { class: "cross", y1: -100, y2: 100 }),
    ...data.quadrants.map(([name, cornerX, cornerY]) => text(
      94 * cornerX, cornerY > 0 ? -89 : 95, `${name} ${findWord(cornerX, cornerY)}`,
      cornerX > 0 ? "end" : "start")),
    text(0, 112, `valence: ${data.classes.valence.at(-1)} →`, "middle", "axis-name valence"),
    upright,
    ...(others.length > 1 ? others : []),
    make("polyline", { class: "path", points: points.join(" ") }),
    past,
    make("circle", { class: "whole", cx: 100 * valence.whole[0], cy: -100 * arousal.whole[0], r: 4 }),
    now);
  at("legend").textContent = others.length > 1
    ? "Ring: whole track. Dots: the others."
    : "Ring: whole track.";
  followers.push((time) => {
    const [left, top] = [x(time), y(time)];
    const nPast = times.filter((earlier) => earlier <= time).length;
    past.setAttribute("points", [...points.slice(0, nPast), ...(nPast ? [`${left} ${top}`] : [])].join(" "));
    now.setAttribute("cx", left);
    now.setAttribute("cy", top);
    at("here").textContent = `${formatTime(time)} ${findWord(left / 100, -top / 100)}`;
  });
}

function describe() {
  const sentences = Object.entries(track.curves).map(([target, { means, whole }]) => {
    const classes = data.classes[target];
    const range = means.length > 1
      ? `, over time between ${formatRating(Math.min(...means))} and ${formatRating(Math.max(...means))}`
      : "";
    return `Predicted ${target}, from ${classes[0]} (−1) to ${classes.at(-1)} (+1): ` +
      `${formatRating(whole[0])} ± ${whole[1].toFixed(2)} for the whole track${range}.`;
  });
  at("summary").textContent = sentences.join(" ");
}

function listValues() {
  if (!at("values").open) return;
  const targets = Object.keys(track.curves);
  const head = make("tr", {}, make("th", { scope: "col" }, "Time"),
    ...targets.map((target) => make("th", { scope: "col" }, `${target} ± deviation`)));
  const times = [...new Set(targets.flatMap((target) => track.curves[target].times))];
  const lines = times.sort((a, b) => a - b).map((time) => make("tr", {},
    make("td", {}, formatTime(time)),
    ...targets.map((target) => {
      const curve = track.curves[target];
      const mean = interpolate(curve.times, curve.means, time);
      const spread = interpolate(curve.times, curve.spreads, time);
      return make("td", {}, `${formatRating(mean)} ± ${spread.toFixed(2)}`);
    })));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
  at("values").querySelector(".scroll").replaceChildren(table);
}

function follow(time) {
  position = Math.max(0, Math.min(track.duration, time));
  for (const show of followers) show(position);
  timeline.setAttribute("aria-valuenow", position.toFixed(1));
  const values = Object.entries(track.curves).map(([target, { times, means }]) =>
    `${target} ${formatRating(interpolate(times, means, position))}`);
  const text = [`${formatTime(position)} of ${formatTime(track.duration)}`, ...values].join(", ");
  timeline.setAttribute("aria-valuetext", text);
}

function seek(time) {
  follow(time);
  if (!audio.hidden) audio.currentTime = position;
}

function play() {
  audio.play().catch(() => {}); // what keeps it from playing is told by its event "error"
}

function togglePlay() {
  if (audio.hidden) return;
  if (audio.paused) play();
  else audio.pause();
}

function loadSound(source) {
  const wasPlaying = !audio.paused && !audio.ended;
  audio.pause();
  at("trouble").textContent = source ? "" : "There is no sound beside this page to play.";
  audio.hidden = !source;
  at("play-key").hidden = !source;
  if (!source) {
    audio.removeAttribute("src");
    audio.load();
    return;
  }
  audio.src = source;
  if (wasPlaying) play();
}

function showTrack(k) {
  const found = data.tracks[k];
  const curves = Object.entries(found.curves).map(([target, curve]) => [target, readCurve(curve)]);
  track = { name: found.name, duration: found.duration / 10, curves: Object.fromEntries(curves) };
  followers = [];
  at("name").textContent = found.name;
  at("verdict").textContent = found.verdict;
  at("warning").textContent = found.warning;
  at("panels").replaceChildren();
  const line = make("div");
  at("playhead").replaceChildren(line);
  followers.push((time) => { line.style.left = `${(100 * time) / track.duration}%`; });
  drawWave(found.wave);
  for (const [target, curve] of curves) drawCurve(target, curve);
  drawAxis();
  drawPlane();
  describe();
  listValues();
  timeline.setAttribute("aria-valuemax", track.duration);
  for (const row of bodyRows) {
    const isChosen = Number(row.dataset.track) === k;
    row.classList.toggle("chosen", isChosen);
    const button = row.querySelector("button");
    if (isChosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  follow(0);
  loadSound(data.sounds[k]);
}

function sortRows(head) {
  const column = head.cellIndex;
  const isText = head.classList.contains("text");
  const current = head.getAttribute("aria-sort");
  // Words from A, numbers from the highest, and at the second press the other way round.
  const ascending = current ? current === "descending" : isText;
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  const order = bodyRows.map((row) => {
    const cell = row.cells[column];
    return [isText ? cell.textContent : Number(cell.dataset.value), row];
  });
  const sign = ascending ? 1 : -1;
  order.sort(([a], [b]) => sign * (isText ? compare(a, b) : a - b));
  at("tracks").tBodies[0].append(...order.map(([, row]) => row));
  at("sorted").textContent = `Sorted by ${head.textContent}, ${head.getAttribute("aria-sort")}.`;
}

const KEYS = {
  ArrowLeft: () => position - 1,
  ArrowDown: () => position - 1,
  ArrowRight: () => position + 1,
  ArrowUp: () => position + 1,
  PageDown: () => position - 10,
  PageUp: () => position + 10,
  Home: () => 0,
  End: () => track.duration,
};
timeline.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key in KEYS) seek(KEYS[event.key]());
  else if (event.key === " " || event.key === "Enter") togglePlay();
  else return;
  event.preventDefault();
});

function seekTo(event) {
  const { left, width } = at("playhead").getBoundingClientRect();
  seek(((event.clientX - left) / width) * track.duration);
}
timeline.addEventListener("pointerdown", (event) => {
  timeline.setPointerCapture(event.pointerId);
  seekTo(event);
});
timeline.addEventListener("pointermove", (event) => {
  if (timeline.hasPointerCapture(event.pointerId)) seekTo(event);
});

function followSound() {
  if (audio.hidden) return;
  follow(audio.currentTime);
  if (!audio.paused && !stillness.matches) requestAnimationFrame(followSound);
}
audio.addEventListener("play", followSound);
audio.addEventListener("timeupdate", () => {
  if (!audio.hidden) follow(audio.currentTime);
});
audio.addEventListener("error", () => {
  at("trouble").textContent = "The sound cannot be played: it is not where it was " +
    "when this page was made, or the browser does not know its format.";
});

at("values").addEventListener("toggle", listValues);
at("tracks").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const head = button.closest("thead th");
  if (head) {
    sortRows(head);
    return;
  }
  showTrack(Number(button.closest("tr").dataset.track));
  at("name").scrollIntoView({ block: "nearest" });
  at("name").focus({ preventScroll: true });
});

at("shown").hidden = false;
showTrack(0);
