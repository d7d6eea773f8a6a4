"use strict";

// The drawing of a track: curves, areas, the plane, and what they say in words. page.js, which stands
// behind this in the page, has the position, the sound and the list.

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

// A mean lies between -1 and 1: it is shown so, with its sign, or on the scale of the target's numbers.
function formatMean(target, mean) {
  const { range, decimals } = data.targets[target];
  const value = range ? (range[0] + range[1] + mean * (range[1] - range[0])) / 2 : mean;
  const digits = Math.abs(value).toFixed(range ? decimals : 2);
  const isZero = Number(digits) === 0;
  return (value < 0 && !isZero ? "−" : range ? "" : "+") + digits;
}

function formatShare(target, shares) {
  const likeliest = shares.indexOf(Math.max(...shares));
  return `${data.targets[target].classes[likeliest]} ${Math.round(100 * shares[likeliest])} %`;
}

const isUnordered = (target) => Boolean(data.targets[target].classes);
const colourOf = (target) =>
  (["arousal", "valence", "dominance"].includes(target) ? target : "other");
const clip = (rating) => Math.max(-1, Math.min(1, rating));

// Times are in tenths of a second, the rest in thousandths.
function readCurve(target, [times, ...rest]) {
  const scaled = (values) => values && values.map((value) => value / 1000);
  const found = { times: times.map((time) => time / 10) };
  if (isUnordered(target)) {
    const [shares, whole] = rest;
    return { ...found, shares: shares.map(scaled), whole: scaled(whole) };
  }
  const [means, spreads, whole] = rest.map(scaled);
  return { ...found, means, spreads, whole };
}

const sharesAt = (curve, time) =>
  curve.shares.map((values) => interpolate(curve.times, values, time));

function formatAt(target, curve, time) {
  if (isUnordered(target)) return formatShare(target, sharesAt(curve, time));
  return formatMean(target, interpolate(curve.times, curve.means, time));
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

function drawLabel(target, high, low) {
  const output = make("output");
  const label = make("div", { class: "label" },
    make("span", { class: "top" }, high),
    make("span", { class: "middle" }, make("strong", {}, target), output),
    make("span", { class: "bottom" }, low));
  return [label, output];
}

// The value at every middle of a window, and at both ends of the track.
function trace(curve, value) {
  return [0, ...curve.times, track.duration].map((time) => `${time} ${value(time)}`);
}

function drawCurve(target, curve) {
  const { times, means, spreads } = curve;
  const { low, high } = data.targets[target];
  const [label, output] = drawLabel(target, high, low);
  const edge = (sign) => trace(curve, (time) =>
    -clip(interpolate(times, means, time) + sign * (spreads ? interpolate(times, spreads, time) : 0)));
  const band = `M${[...edge(1), ...edge(-1).reverse()].join("L")}Z`;
  const dot = make("div", { class: "dot" });
  const [lowest, highest] = [Math.min(...means), Math.max(...means)];
  // A narrow curve has a shape, too, that the scale's own width hides.
  const own = trace(curve, (time) =>
    1 - 2 * (interpolate(times, means, time) - lowest) / (highest - lowest));
  drawPanel(colourOf(target), label,
    make("svg", { viewBox: `0 -1 ${track.duration} 2`, preserveAspectRatio: "none" },
      make("rect", { class: "frame", x: 0, y: -1, width: track.duration, height: 2 }),
      make("line", { class: "zero", x2: track.duration }),
      ...(spreads ? [make("path", { class: "band", d: band })] : []),
      ...(lowest < highest ? [make("path", { class: "own", d: `M${own.join("L")}` })] : []),
      make("path", { class: "curve", d: `M${edge(0).join("L")}` })),
    dot);
  followers.push((time) => {
    output.textContent = formatAt(target, curve, time);
    dot.style.left = `${(100 * time) / track.duration}%`;
    dot.style.top = `${50 - 50 * clip(interpolate(times, means, time))}%`;
  });
}

// Unordered classes: areas that stand on each other, the first class below.
function drawShares(target, curve) {
  const [label, output] = drawLabel(target, "100 %", "0 %");
  const upTo = (n) => trace(curve, (time) =>
    -sharesAt(curve, time).slice(0, n).reduce((sum, share) => sum + share, 0));
  const areas = curve.shares.map((_, k) => make("path", {
    class: `area share-${k % 7}`,
    d: `M${[...upTo(k + 1), ...upTo(k).reverse()].join("L")}Z`,
  }));
  const key = make("div", { class: "key" }, ...data.targets[target].classes.map(
    (name, k) => make("span", { class: `share-${k % 7}` }, name)));
  const canvas = drawPanel("other shares", label,
    make("svg", { viewBox: `0 -1 ${track.duration} 1`, preserveAspectRatio: "none" }, ...areas));
  canvas.after(key);
  followers.push((time) => { output.textContent = formatAt(target, curve, time); });
}

// Where only the whole track was predicted there is no curve: its mean on a line across.
function drawWhole(target, { whole }) {
  const { low, high } = data.targets[target];
  const [label, output] = drawLabel(target, "", "");
  output.textContent = isUnordered(target) ? formatShare(target, whole) : formatMean(target, whole[0]);
  if (isUnordered(target)) {
    drawPanel("other shares whole-track", label);
    return;
  }
  const [mean, spread] = [clip(whole[0]), whole[1] ?? 0];
  const [from, to] = [clip(mean - spread), clip(mean + spread)];
  const dot = make("div", { class: "dot" });
  dot.style.left = `${50 + 50 * mean}%`;
  drawPanel(`${colourOf(target)} whole-track`, label,
    make("svg", { viewBox: "-1 -1 2 2", preserveAspectRatio: "none" },
      make("line", { class: "zero", x1: -1, x2: 1 }),
      make("rect", { class: "band", x: from, y: -0.5, width: to - from, height: 1 })),
    dot, make("div", { class: "ends" }, make("span", {}, low), make("span", {}, high)));
}

function drawAxis() {
  const step = chooseStep(track.duration);
  const labels = [];
  at("axis").hidden = !track.hasTime;
  for (let time = 0; time <= track.duration; time += step) {
    const place = (100 * time) / track.duration;
    const label = make("span", place > 97 ? { class: "last" } : {}, formatTime(time));
    label.style.left = `${place}%`;
    labels.push(label);
  }
  at("axis").replaceChildren(...labels);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
const chooseStep = (seconds) => STEPS.find((step) => seconds / step <= 6) ?? seconds;

// Round times on the path; of those that would cover each other the first is shown.
function markTimes(times, x, y) {
  if (times.length < 2) return [];
  const [first, last] = [times[0], times.at(-1)];
  const step = chooseStep(last - first);
  const shown = [];
  for (let time = Math.ceil(first / step) * step; time <= last && step > 0; time += step) {
    const isFree = shown.every((other) =>
      Math.abs(x(other) - x(time)) > 18 || Math.abs(y(other) - y(time)) > 9);
    if (isFree) shown.push(time);
  }
  return shown.flatMap((time) => [
    make("circle", { class: "time", cx: x(time), cy: y(time), r: 1.6 }),
    make("text", { class: "time", x: x(time) + 3, y: y(time) - 3 }, formatTime(time)),
  ]);
}

function drawPlane() {
  const { valence, arousal } = track.curves;
  at("plane").hidden = !(valence?.means && arousal?.means);
  document.querySelector(".views").classList.toggle("alone", at("plane").hidden);
  if (at("plane").hidden) return;
  const x = (time) => 100 * interpolate(valence.times, valence.means, time);
  const y = (time) => -100 * interpolate(arousal.times, arousal.means, time);
  const times = [...new Set([...valence.times, ...arousal.times])].sort((a, b) => a - b);
  const points = times.map((time) => `${x(time)} ${y(time)}`);
  const text = (left, top, content, anchor, className = "") =>
    make("text", { x: left, y: top, "text-anchor": anchor, class: className }, content);
  const nameAxis = (target) => {
    const { range, low, high } = data.targets[target];
    return range ? `${target} ${low}..${high} →` : `${target}: ${high} →`;
  };
  const upright = text(0, 0, nameAxis("arousal"), "middle", "axis-name arousal");
  upright.setAttribute("transform", "translate(-107 0) rotate(-90)");
  const past = make("polyline", { class: "path past" });
  const now = make("circle", { class: "now", r: 5 });
  const others = data.tracks.map((other, k) => {
    const [left, top] = [other.curves.valence[3][0] / 10, -other.curves.arousal[3][0] / 10];
    const circle = make("circle", { class: "track", cx: left, cy: top, r: 2.2 },
      make("title", {}, other.name));
    circle.addEventListener("click", () => chooseTrack(k));
    return circle;
  });
  const picture = at("plane").querySelector("svg");
  picture.setAttribute("aria-label", `The path of ${track.name} through the valence-arousal plane`);
  picture.replaceChildren(
    make("rect", { class: "square", x: -100, y: -100, width: 200, height: 200, rx: 3 }),
    make("line", { class: "cross", x1: -100, x2: 100 }),
    make("line", { class: "cross", y1: -100, y2: 100 }),
    text(0, 112, nameAxis("valence"), "middle", "axis-name valence"),
    upright,
    ...(others.length > 1 ? others : []),
    ...data.quadrants.map(([name, cornerX, cornerY]) => text(
      94 * cornerX, cornerY > 0 ? -89 : 95, `${name} ${findWord(cornerX, cornerY)}`,
      cornerX > 0 ? "end" : "start", "corner")),
    make("polyline", { class: "path", points: points.join(" ") }),
    past,
    ...markTimes(times, x, y),
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
  const sentences = Object.entries(track.curves).map(([target, { means, spreads, whole }]) => {
    if (isUnordered(target)) {
      return `Predicted ${target}: ${formatShare(target, whole)} for the whole track.`;
    }
    const { low, high, range: isNumber } = data.targets[target];
    const ends = isNumber ? [low, high] : [`${low} (−1)`, `${high} (+1)`];
    const span = means.length > 1
      ? `, over time between ${formatMean(target, Math.min(...means))} and ` +
        `${formatMean(target, Math.max(...means))}`
      : "";
    const spread = spreads ? ` ± ${whole[1].toFixed(2)}` : "";
    return `Predicted ${target}, from ${ends[0]} to ${ends[1]}: ` +
      `${formatMean(target, whole[0])}${spread} for the whole track${span}.`;
  });
  at("summary").textContent = sentences.join(" ");
}

// What groups of features add: on the scale of means, or to the posterior of the likeliest class.
function formatPush(target, push) {
  const { range, decimals } = data.targets[target];
  const value = isUnordered(target) ? 100 * push : range ? (push * (range[1] - range[0])) / 2 : push;
  const digits = Math.abs(value).toFixed(isUnordered(target) ? 0 : range ? decimals : 2);
  return (value < 0 && Number(digits) ? "−" : "+") + digits + (isUnordered(target) ? " %" : "");
}

function explain(whys) {
  at("why").hidden = !Object.keys(whys).length;
  const LEAST = 0.005; // nothing smaller is seen among numbers of two decimals
  const all = Object.values(whys).flatMap(([, pushes]) => pushes.map(Math.abs));
  const widest = Math.max(100, ...all) / 1000; // so that bars of next to nothing are short
  const tables = Object.entries(whys).map(([target, [baseline, pushes]]) => {
    const { whole } = track.curves[target];
    const [from, to] = isUnordered(target)
      ? [`${Math.round(baseline / 10)} %`, formatShare(target, whole)]
      : [formatMean(target, baseline / 1000), formatMean(target, whole[0])];
    const rows = pushes
      .map((push, k) => [data.parts[target][k], push / 1000])
      .filter(([, push], k) => Math.abs(push) >= LEAST || k < pushes.length - 1)
      .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a))
      .map(([part, push]) => {
        const width = (50 * Math.abs(push)) / widest;
        return make("tr", {}, make("th", { scope: "row" }, part), make("td", {},
          make("svg", { class: "push", viewBox: "0 0 100 10", preserveAspectRatio: "none",
            "aria-hidden": "true" },
            make("rect", { x: push < 0 ? 50 - width : 50, width, height: 10 }),
            make("path", { d: "M50-2v14" })),
          formatPush(target, push)));
      });
    return make("table", { class: colourOf(target) },
      make("caption", {}, make("strong", {}, target), ` ${from} for the music learnt from, ${to} here`),
      make("tbody", {}, ...rows));
  });
  at("pushes").replaceChildren(...tables);
}

function listValues() {
  at("values").hidden = !Object.values(track.curves).some(({ times }) => times.length > 1);
  if (!at("values").open) return;
  const targets = Object.keys(track.curves);
  const head = make("tr", {}, make("th", { scope: "col" }, "Time"),
    ...targets.map((target) => make("th", { scope: "col" },
      track.curves[target].spreads ? `${target} ± deviation` : target)));
  const times = [...new Set(targets.flatMap((target) => track.curves[target].times))];
  const lines = times.sort((a, b) => a - b).map((time) => make("tr", {},
    make("td", {}, formatTime(time)),
    ...targets.map((target) => {
      const curve = track.curves[target];
      const spread = curve.spreads
        ? ` ± ${interpolate(curve.times, curve.spreads, time).toFixed(2)}`
        : "";
      return make("td", {}, formatAt(target, curve, time) + spread);
    })));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
  at("values").querySelector(".scroll").replaceChildren(table);
}
