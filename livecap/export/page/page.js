"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const paragraphs = [...document.querySelectorAll("main p")];

  // ---- search

  const field = $("search"), count = $("count");
  let hits = [], chosen = -1;
  const plain = (text) => text.toLowerCase();

  function search() {
    const wanted = plain(field.value.trim());
    const ranges = [];
    hits = [];
    for (const p of paragraphs) {
      const found = wanted ? rangesOf(p.querySelector(".text"), wanted) : [];
      p.classList.toggle("hit", found.length > 0);
      p.classList.remove("chosen");
      if (found.length) hits.push(p);
      ranges.push(...found);
    }
    if (window.CSS && CSS.highlights) CSS.highlights.set("found", new Highlight(...ranges));
    document.body.classList.toggle("searching", wanted !== "");
    chosen = -1;
    count.textContent = wanted ? `${ranges.length} found` : "";
  }

  function rangesOf(element, wanted) {
    const nodes = [], walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    let text = "";
    while (walker.nextNode()) {
      nodes.push([text.length, walker.currentNode]);
      text += walker.currentNode.data;
    }
    const low = plain(text), ranges = [];
    if (low.length !== text.length) return low.includes(wanted) ? [wholeRange(element)] : [];
    const place = (at) => {
      let i = nodes.length - 1;
      while (nodes[i][0] > at) i--;
      return [nodes[i][1], at - nodes[i][0]];
    };
    for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, at + wanted.length)) {
      const range = document.createRange();
      range.setStart(...place(at));
      range.setEnd(...place(at + wanted.length));
      ranges.push(range);
    }
    return ranges;
  }

  function wholeRange(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    return range;
  }

  function choose(step) {
    if (!hits.length) return;
    if (chosen >= 0) hits[chosen].classList.remove("chosen");
    chosen = chosen < 0 ? (step > 0 ? 0 : hits.length - 1) : (chosen + step + hits.length) % hits.length;
    hits[chosen].classList.add("chosen");
    hits[chosen].scrollIntoView({ block: "center" });
    count.textContent = `line ${chosen + 1} of ${hits.length}`;
  }

  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") choose(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { field.value = ""; search(); field.blur(); }
  });

  // ---- sound; the first is the longest, so it tells the time, and the others may end before it

  const sounds = [...document.querySelectorAll("script.sound")].map((element) => {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
    element.textContent = "";
    return new Audio(URL.createObjectURL(new Blob([bytes], { type: element.dataset.type })));
  });
  const first = sounds[0], button = $("play"), wave = $("wave"), clock = $("clock");
  window.livecap = { sounds, seek, search };

  function seek(seconds) {
    for (const sound of sounds) sound.currentTime = seconds;
    if (!first.paused) play();
    draw();
    follow();
  }
  function play() {
    const at = first.ended ? 0 : first.currentTime;
    for (const sound of sounds) {
      sound.currentTime = at;
      if (!(at >= sound.duration)) sound.play();  // one that has ended would begin again
    }
  }
  function pause() { for (const sound of sounds) sound.pause(); }
  function toggle() { if (first.paused) play(); else pause(); }

  // ---- the word being played

  const words = [...document.querySelectorAll(".text > span")].sort((a, b) => a.dataset.s - b.dataset.s);
  const starts = words.map((word) => +word.dataset.s);
  let current = null, currentParagraph = null;

  function follow() {
    const now = first.currentTime * 1000;
    let low = 0, high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= now) low = middle + 1; else high = middle;
    }
    const word = words[low - 1] && now < +words[low - 1].dataset.e + 300 ? words[low - 1] : null;
    if (word === current) return;
    if (current) current.classList.remove("current");
    if (word) word.classList.add("current");
    current = word;
    const paragraph = word && word.closest("p");
    if (paragraph && paragraph !== currentParagraph) {
      if (currentParagraph) currentParagraph.classList.remove("current");
      paragraph.classList.add("current");
      currentParagraph = paragraph;
      const box = paragraph.getBoundingClientRect();
      if (!first.paused && (box.bottom > innerHeight || box.top < 0)) paragraph.scrollIntoView({ block: "center" });
    }
  }

  function spoken(seconds) {
    const two = (n) => String(Math.floor(n) % 60).padStart(2, "0");
    return seconds < 3600 ? `${Math.floor(seconds / 60)}:${two(seconds)}`
      : `${Math.floor(seconds / 3600)}:${two(seconds / 60)}:${two(seconds)}`;
  }

  const peaks = wave.dataset.peaks.split(",").map(Number), loudest = Math.max(...peaks, 1);

  function draw() {
    if (first.duration) clock.textContent = `${spoken(first.currentTime)} / ${spoken(first.duration)}`;
    const scale = devicePixelRatio || 1;
    const width = wave.width = wave.clientWidth * scale, height = wave.height = wave.clientHeight * scale;
    const pen = wave.getContext("2d"), step = width / peaks.length;
    const played = first.duration ? first.currentTime / first.duration : 0;
    pen.fillStyle = getComputedStyle(wave).color;
    peaks.forEach((peak, i) => {
      const tall = Math.max(1, peak / loudest * height);
      pen.globalAlpha = i / peaks.length < played ? 1 : 0.45;
      pen.fillRect(i * step, (height - tall) / 2, Math.max(1, step * 0.8), tall);
    });
  }

  if (first) {
    document.body.classList.add("sounding");
    $("player").hidden = false;
    button.addEventListener("click", toggle);
    const state = () => { button.textContent = first.paused ? "Play" : "Pause"; };
    for (const name of ["play", "pause", "ended"]) first.addEventListener(name, state);
    first.addEventListener("timeupdate", draw);
    first.addEventListener("loadedmetadata", draw);
    addEventListener("resize", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    wave.addEventListener("click", (event) => {
      if (first.duration) seek(event.offsetX / wave.clientWidth * first.duration);
    });
    document.querySelector("main").addEventListener("click", (event) => {
      const word = event.target.closest(".text > span"), time = event.target.closest(".time");
      const at = word ? word.dataset.s : time ? time.parentElement.dataset.s : null;
      if (at === null || String(getSelection())) return;
      if (time) event.preventDefault();
      seek(at / 1000);
      play();
    });
    const tick = () => { if (!first.paused) follow(); requestAnimationFrame(tick); };
    tick();
    draw();
  }

  addEventListener("keydown", (event) => {
    if (event.target === field || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); field.focus(); }
    if (event.key === "n") choose(1);
    if (event.key === "N") choose(-1);
    if (event.key === "ArrowLeft" && first) seek(Math.max(0, first.currentTime - 5));
    if (event.key === "ArrowRight" && first) seek(Math.min(first.duration, first.currentTime + 5));
    if (event.key === " " && first && event.target.tagName !== "BUTTON") { event.preventDefault(); toggle(); }
  });
})();
