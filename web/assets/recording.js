// Plays the recording of a terminal. The server followed the terminal: what comes here is rows of text with colours, and
// is only ever put into the page as text.
"use strict";
(() => {
  const player = document.querySelector("[data-player]");
  if (!player) return;
  const screen = player.querySelector("[data-screen]");
  const way = (name) => player.querySelector(`[data-do="${name}"]`);
  const list = document.querySelector("[data-commands]");
  const shown = player.querySelector("[data-at]");
  const trouble = player.querySelector("[role=alert]");
  const source = player.dataset.player;
  const isLive = "live" in player.dataset;
  // How many pictures wait at least, and how long a pause lasts where pauses are skipped.
  const AHEAD = 60;
  const PAUSE_MS = 1500;
  const STEP_MS = 10000;
  // How long is waited after something could not be loaded.
  const AGAIN_MS = 3000;
  const SPEEDS = Array.from(way("speed").options, (option) => option.value);
  // Colours that stand out from the ground of the screen.
  const NAMED = [
    "#7d8590", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#e6e8eb",
    "#9aa4af", "#ffa198", "#7ee787", "#f2cc60", "#a5d6ff", "#e2c5ff", "#8ddbe0", "#ffffff",
  ];

  let length = Number(player.dataset.length) || 0;
  let at = 0;
  let next = 0;
  let waiting = [];
  let rows = [];
  let cursor = null;
  let isPlaying = false;
  let isOver = false;
  let isAll = false;
  let loading = null;
  let turn = 0;
  let ticked = null;
  let heldUntil = 0;

  const colour = (value, isGround) => {
    if (typeof value === "string") return value;
    if (isGround && value === 0) return "#000000";
    if (value < 16) return NAMED[value];
    if (value > 231) return `rgb(${Array(3).fill(8 + (value - 232) * 10).join(",")})`;
    const step = (part) => (part ? 55 + part * 40 : 0);
    const cube = value - 16;
    return `rgb(${step(Math.floor(cube / 36))},${step(Math.floor(cube / 6) % 6)},${step(cube % 6)})`;
  };

  const piece = ([text, ink, ground, look]) => {
    const span = document.createElement("span");
    span.textContent = text;
    const [front, back] = look & 16 ? [ground ?? "#14171c", ink ?? "#e6e8eb"] : [ink, ground];
    if (front !== null) span.style.color = colour(front);
    if (back !== null) span.style.backgroundColor = colour(back, true);
    [[1, "bold"], [2, "dim"], [4, "italic"], [8, "under"]].forEach(([bit, name]) => {
      if (look & bit) span.classList.add(name);
    });
    return span;
  };

  const draw = (number) => {
    const row = rows[number];
    if (!row) return;
    const spans = row.runs.map(piece);
    if (cursor && cursor[0] === number) spans.push(...underCursor(row.runs, cursor[1], spans));
    row.line.replaceChildren(...spans);
  };

  // The letter under the cursor, marked; where nothing stands, a blank at the end. Wide letters are counted as two.
  const underCursor = (runs, column, spans) => {
    let place = 0;
    for (const span of spans) {
      const letters = Array.from(span.textContent);
      for (let index = 0; index < letters.length; index += 1) {
        if (place >= column) {
          const [before, after] = [letters.slice(0, index).join(""), letters.slice(index + 1).join("")];
          const mark = document.createElement("span");
          mark.className = "cursor";
          mark.textContent = letters[index];
          span.replaceChildren(before, mark, after);
          return [];
        }
        place += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(letters[index]) ? 2 : 1;
      }
    }
    const mark = document.createElement("span");
    mark.className = "cursor";
    mark.textContent = " ";
    return [" ".repeat(Math.max(0, column - place)), mark];
  };

  const show = (frame) => {
    if (frame.size) {
      rows = Array.from({ length: frame.size[1] }, () => ({ line: document.createElement("div"), runs: [] }));
      screen.replaceChildren(...rows.map((row) => row.line));
    }
    const changed = new Set(frame.rows.map(([number]) => number));
    frame.rows.forEach(([number, runs]) => {
      if (rows[number]) rows[number].runs = runs;
    });
    if (cursor) changed.add(cursor[0]);
    cursor = frame.cursor;
    if (cursor) changed.add(cursor[0]);
    changed.forEach(draw);
    frame.commands.forEach((text) => listed(frame.at, text));
  };

  // What is entered while one looks on is listed too.
  const listed = (when, text) => {
    if (!isLive || !list) return;
    const last = list.lastElementChild?.querySelector("button");
    if (last && Number(last.dataset.to) >= when) return;
    document.querySelector("[data-nothing]")?.remove();
    const line = document.createElement("li");
    const button = document.createElement("button");
    const words = document.createElement("bdi");
    button.type = "button";
    button.className = "quiet";
    button.dataset.to = when;
    button.textContent = clock(when);
    button.setAttribute("aria-label", `${list.dataset.go}: ${clock(when)}`);
    words.textContent = text;
    line.append(button, " ", words);
    list.append(line);
  };

  const clock = (millis) => {
    const seconds = Math.floor(millis / 1000);
    const two = (value) => String(value).padStart(2, "0");
    const minutes = Math.floor(seconds / 60) % 60;
    const hours = Math.floor(seconds / 3600);
    return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  };

  const place = () => {
    length = Math.max(length, at);
    // Up to a whole step, so that its end can be reached.
    way("place").max = Math.ceil(length / 100) * 100;
    way("place").value = at;
    way("place").setAttribute("aria-valuetext", `${clock(at)} / ${clock(length)}`);
    shown.textContent = `${clock(at)} / ${clock(length)}`;
    list?.querySelectorAll("li").forEach((line) => {
      const following = line.nextElementSibling?.querySelector("button");
      const [from, to] = [line.querySelector("button"), following].map((one) => (one ? Number(one.dataset.to) : Infinity));
      line.classList.toggle("now", from <= at && at < to);
    });
  };

  const load = async (from, goesOn) => {
    const mine = turn;
    try {
      const answer = await fetch(`${source}?from=${Math.round(from)}${goesOn ? "&on=1" : ""}`, {
        headers: { Accept: "application/json" },
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const part = await answer.json();
      if (mine !== turn) return;
      trouble.textContent = "";
      waiting.push(...part.frames);
      next = part.next;
      isAll = part.all;
      isOver = part.over;
    } catch {
      if (mine !== turn) return;
      trouble.textContent = trouble.dataset.trouble;
      if (!isLive || isOver) {
        isAll = true;
        isOver = true;
        play(false);
      }
      // Whoever looks on is shown what goes on as soon as it can be had again.
      heldUntil = performance.now() + AGAIN_MS;
    } finally {
      if (mine === turn) loading = null;
    }
  };

  const follows = () => isLive && way("live")?.checked && !isOver;

  const wanted = () => {
    if (loading || waiting.length >= AHEAD || (isAll && isOver) || performance.now() < heldUntil) return;
    if (isAll && !isLive) return;
    loading = load(next, true);
  };

  const seek = async (to) => {
    turn += 1;
    [waiting, isAll, isOver] = [[], false, false];
    at = Math.max(0, Math.min(to, length));
    next = at;
    loading = load(at, false);
    await loading;
    if (waiting.length) show(waiting.shift());
    place();
  };

  const tick = (now) => {
    const passed = ticked === null ? 0 : now - ticked;
    ticked = now;
    if (isPlaying && !(loading && !waiting.length)) {
      at += passed * Number(way("speed").value);
      const first = waiting[0];
      if (first && way("idle").checked && first.at - at > PAUSE_MS) at = first.at - PAUSE_MS / 3;
      if (follows() && isAll) at = Math.max(at, waiting.at(-1)?.at ?? at);
    }
    const edge = follows() && isAll ? Infinity : at;
    if (isPlaying) {
      while (waiting.length && waiting[0].at <= edge) {
        const frame = waiting.shift();
        at = Math.max(at, frame.at);
        show(frame);
      }
      if (!waiting.length && isAll && (isOver || !isLive)) play(false);
      if (!waiting.length && isAll) at = Math.min(at, Math.max(next, 0));
      wanted();
      place();
    }
    window.requestAnimationFrame(tick);
  };

  const play = (on) => {
    isPlaying = on;
    const button = way("play");
    button.dataset.play ??= button.textContent;
    button.textContent = on ? button.dataset.pause : button.dataset.play;
  };

  const start = async () => {
    if (!isPlaying && isAll && !waiting.length && !follows()) await seek(0);
    play(!isPlaying);
  };

  const faster = (by) => {
    const speed = way("speed");
    speed.value = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(speed.value) + by))];
  };

  way("play").addEventListener("click", start);
  way("back").addEventListener("click", () => seek(at - STEP_MS));
  way("on").addEventListener("click", () => seek(at + STEP_MS));
  way("place").addEventListener("change", (event) => seek(Number(event.target.value)));
  way("live")?.addEventListener("change", () => {
    if (follows()) seek(length).then(() => play(true));
  });
  list?.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (way("live")) way("live").checked = false;
    seek(Number(button.dataset.to)).then(() => screen.focus());
  });
  const KEYS = {
    " ": start,
    ArrowLeft: () => seek(at - STEP_MS),
    ArrowRight: () => seek(at + STEP_MS),
    "+": () => faster(1),
    "-": () => faster(-1),
  };
  screen.addEventListener("keydown", (event) => {
    const deed = KEYS[event.key];
    if (!deed || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    deed();
  });

  player.querySelectorAll("[hidden]").forEach((part) => part.removeAttribute("hidden"));
  document.querySelectorAll("[data-commands] button").forEach((button) => button.removeAttribute("disabled"));
  seek(isLive ? length : 0).then(() => {
    player.dataset.ready = "";
    if (isLive) play(true);
  });
  window.requestAnimationFrame(tick);
})();
