// Everything that is shown of a track follows one position in it, in seconds: that of its sound, or,
// where there is none, the one that was last chosen.

function follow(time) {
  position = Math.max(0, Math.min(track.duration, time));
  for (const show of followers) show(position);
  timeline.setAttribute("aria-valuenow", position.toFixed(1));
  const values = Object.entries(track.curves).map(([target, curve]) =>
    `${target} ${formatAt(target, curve, position)}`);
  const text = [`${formatTime(position)} of ${formatTime(track.duration)}`, ...values].join(", ");
  timeline.setAttribute("aria-valuetext", text);
}

function seek(time) {
  follow(time);
  if (!audio.hidden) audio.currentTime = position;
  noteAddress();
}

// The address names the track and the position, so that a reload or a link leads back to them.
let pending = 0;
function noteAddress() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const address = new URLSearchParams({ track: track.name, t: position.toFixed(1) });
    history.replaceState(null, "", `#${address}`);
  }, 200);
}

function openAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  const k = data.tracks.findIndex(({ name }) => name === address.get("track"));
  showTrack(Math.max(0, k), k < 0 ? 0 : Number(address.get("t")) || 0);
}

function play() {
  audio.play().catch(() => {}); // its event "error" says what keeps it from playing
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

let shownIndex = 0;
function showTrack(k, time = 0) {
  const found = data.tracks[k];
  shownIndex = k;
  const curves = Object.entries(found.curves)
    .map(([target, curve]) => [target, readCurve(target, curve)]);
  track = {
    name: found.name,
    duration: found.duration / 10 || 1, // lyrics have no length, but what is drawn needs one
    curves: Object.fromEntries(curves),
    hasTime: found.windows || found.wave !== null,
  };
  followers = [];
  at("name").textContent = found.name;
  at("verdict").textContent = found.verdict;
  at("warning").textContent = found.warning;
  at("panels").replaceChildren();
  const line = make("div");
  at("playhead").replaceChildren(line);
  followers.push((time) => { line.style.left = `${(100 * time) / track.duration}%`; });
  drawWave(found.wave);
  for (const [target, curve] of curves) {
    const draw = isUnordered(target) ? drawShares : drawCurve;
    (found.windows ? draw : drawWhole)(target, curve);
  }
  drawAxis();
  drawPlane();
  describe();
  explain(found.whys);
  listValues();
  timeline.setAttribute("aria-valuemax", track.duration);
  for (const row of bodyRows) {
    const isChosen = Number(row.dataset.track) === k;
    row.classList.toggle("chosen", isChosen);
    const button = row.querySelector("button");
    if (isChosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  loadSound(data.sounds[k]);
  follow(time);
  if (time && !audio.hidden) audio.currentTime = time;
}

// Tracks in the order of the list as it is sorted and filtered.
function step(by) {
  const shown = [...at("tracks").tBodies[0].rows].filter((row) => !row.hidden);
  const here = shown.findIndex((row) => Number(row.dataset.track) === shownIndex);
  const row = shown.at((here + by) % shown.length);
  if (row) chooseTrack(Number(row.dataset.track));
}

function chooseTrack(k) {
  showTrack(k);
  noteAddress();
}

at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("filter").addEventListener("input", () => {
  const wanted = at("filter").value.toLowerCase();
  for (const row of bodyRows) {
    row.hidden = !row.querySelector("button").textContent.toLowerCase().includes(wanted);
  }
  const n = bodyRows.filter((row) => !row.hidden).length;
  at("sorted").textContent = `${n} of ${bodyRows.length} tracks.`;
});

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
    const text = (cell.querySelector("button") ?? cell).textContent;
    return [isText ? text : Number(cell.dataset.value), row];
  });
  const sign = ascending ? 1 : -1;
  order.sort(([a], [b]) => sign * (isText ? compare(a, b) : a - b));
  at("tracks").tBodies[0].append(...order.map(([, row]) => row));
  const name = head.querySelector("button").textContent;
  at("sorted").textContent = `Sorted by ${name}, ${head.getAttribute("aria-sort")}.`;
}

const KEYS = {
  ArrowLeft: () => position - 1,
  ArrowDown: () => position - 1,
  ArrowRight: () => position + 1,
  ArrowUp: () => position + 1,
  PageDown: () => position + 10,
  PageUp: () => position - 10,
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
    "when this page was written, or the browser does not know its format.";
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
  chooseTrack(Number(button.closest("tr").dataset.track));
  at("name").scrollIntoView({ block: "nearest" });
  at("name").focus({ preventScroll: true });
});

audio.addEventListener("pause", noteAddress);

at("shown").hidden = false;
at("list").hidden = at("steps").hidden = data.tracks.length === 1;
at("filtering").hidden = data.tracks.length === 1;
window.addEventListener("hashchange", openAddress);
openAddress();
