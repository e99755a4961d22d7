// The captions page of livecap. Options are in the address (docs/serve.md), the token is behind its #.
"use strict";

const DEFAULTS = {
  size: "48", lines: "4", at: "bottom", align: "left", color: "#ffffff", background: "#000000",
  clear: false, partial: true, speakers: true, fade: "0",
};
const HINTS = {
  loading: "Loading the model…", paused: "Paused", muted: "Muted", finishing: "Finishing…", ended: "The session is over.",
  failed: "The session failed.", "nobody speaks": "Nobody speaks", "not understood": "Not understood",
  "microphone silent": "The microphone is silent", "microphone away": "The microphone is away",
};
const KEPT = 60;
const root = document.documentElement;
const lines = document.getElementById("lines");
const hint = document.getElementById("hint");
const menu = document.getElementById("menu");
const open = document.getElementById("open");

const options = { ...DEFAULTS };
for (const [name, value] of new URLSearchParams(location.search)) {
  if (!(name in DEFAULTS)) continue;
  if (typeof DEFAULTS[name] === "boolean") options[name] = value !== "0" && value !== "false";
  else if (valid(name, value)) options[name] = value;
}

function valid(name, value) {
  if (name === "color" || name === "background") return /^#[0-9a-fA-F]{6}$/.test(value);
  if (name === "at") return ["bottom", "middle", "top"].includes(value);
  if (name === "align") return ["left", "center"].includes(value);
  const field = menu.elements[name];
  return value.trim() !== "" && Number(value) >= Number(field.min) && Number(value) <= Number(field.max);
}

function apply() {
  root.style.setProperty("--size", `${options.size}px`);
  root.style.setProperty("--lines", options.lines);
  root.style.setProperty("--color", options.color);
  root.style.setProperty("--background", options.background);
  root.className = [options.at, options.align].join(" ");
  root.classList.toggle("clear", options.clear);
  root.classList.toggle("no-partial", !options.partial);
  root.classList.toggle("no-speakers", !options.speakers);
  wakeText();
}

for (const field of menu.elements) {
  if (field.type === "checkbox") field.checked = options[field.name];
  else field.value = options[field.name];
}
menu.addEventListener("input", (event) => {
  const field = event.target;
  const value = field.type === "checkbox" ? field.checked : field.value;
  if (field.type !== "checkbox" && !valid(field.name, value)) return;
  options[field.name] = value;
  const chosen = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (options[name] !== usual) chosen.set(name, options[name] === true ? "1" : options[name] === false ? "0" : options[name]);
  }
  const query = chosen.toString();
  history.replaceState(null, "", location.pathname + (query ? `?${query}` : "") + location.hash);
  apply();
});
menu.addEventListener("submit", (event) => event.preventDefault());
function showMenu(shown) {
  menu.hidden = !shown;
  open.setAttribute("aria-expanded", String(shown));
}
open.addEventListener("click", () => showMenu(menu.hidden));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") showMenu(false); });
let asleep;
document.addEventListener("mousemove", () => {
  open.classList.add("awake");
  clearTimeout(asleep);
  asleep = setTimeout(() => open.classList.remove("awake"), 3000);
});

let fading;
function wakeText() {
  root.classList.remove("faded");
  clearTimeout(fading);
  if (Number(options.fade) > 0) fading = setTimeout(() => root.classList.add("faded"), Number(options.fade) * 1000);
}

const shown = new Map(); // id of an utterance to its paragraph, oldest first
let session = "";

function show(line) {
  let paragraph = shown.get(line.id);
  if (!line.stable && !line.partial) {
    if (paragraph) paragraph.remove();
    shown.delete(line.id);
    return;
  }
  if (!paragraph) {
    paragraph = document.createElement("p");
    paragraph.dir = "auto";
    for (const kind of ["speaker", "stable", "partial"]) {
      const span = document.createElement("span");
      span.className = kind;
      if (kind === "speaker") span.dir = "auto"; // so that the name does not decide the direction of the text
      paragraph.append(span);
    }
    shown.set(line.id, paragraph);
    lines.append(paragraph);
    for (const [id, old] of shown) {
      if (shown.size <= KEPT) break;
      old.remove();
      shown.delete(id);
    }
  }
  const [speaker, stable, partial] = paragraph.children;
  speaker.textContent = line.speaker && `${line.speaker}: `; // it may be known, or change, after the text
  speaker.className = line.speaker ? `speaker s${line.color}` : "speaker";
  if (stable.textContent === line.stable && partial.textContent === line.partial) return;
  stable.textContent = line.stable;
  partial.textContent = line.partial;
  wakeText();
}

let tries = 0;
let over = false;
function token() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch { // a link that was cut off; the server says that it is wrong
    return location.hash.slice(1);
  }
}
function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/captions/messages`);
  socket.addEventListener("open", () => socket.send(JSON.stringify({ token: token() })));
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    tries = 0;
    if (message.type === "hello") {
      if (message.session !== session) { // another session numbers its utterances from 0, too
        shown.clear();
        lines.replaceChildren();
      }
      session = message.session;
      over = false;
      hint.textContent = "";
    } else if (message.type === "line") show(message);
    else if (message.type === "status") {
      over = message.state === "ended" || message.state === "failed";
      hint.textContent = HINTS[message.hint] || HINTS[message.state] || "";
    }
  });
  socket.addEventListener("close", (event) => {
    if (event.code === 4401) {
      hint.textContent = "This link no longer opens the captions. Ask for a new one.";
      return;
    }
    if (!over) hint.textContent = "Not connected. Trying again…";
    tries += 1;
    setTimeout(connect, Math.min(10000, 500 * 2 ** Math.min(tries, 5)));
  });
}

apply();
window.addEventListener("hashchange", () => location.reload());
connect();
