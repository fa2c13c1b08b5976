// The terminal's session over one WebSocket, and files that are put to its server. What is said to people stands in the page
// or comes from the gateway, in their language; the gateway decides everything.
"use strict";
(() => {
  const INPUT = 0;
  const SIZE = 1;
  const TAKEN = 2;
  const INPUT_BYTES_MAX = 16 * 1024;
  const CLOSE_NORMAL = 1000;

  const parts = (place) => ({
    status: place.querySelector("[role=status]"),
    problem: place.querySelector("[role=alert]"),
    say: (name) => place.querySelector(`[data-say=${name}]`)?.textContent || "",
    tell(words) {
      this.status.textContent = words;
      this.problem.textContent = "";
    },
    complain(words) {
      this.status.textContent = "";
      this.problem.textContent = words;
    },
  });

  const terminal = (place) => {
    const page = parts(place);
    const screen = place.querySelector("[data-screen]");
    const open = place.querySelector("[data-do=open]");
    const close = place.querySelector("[data-do=close]");
    const encoder = new TextEncoder();
    let shown = null;
    let socket = null;
    let told = false;
    let agreed = false;

    const send = (kind, bytes) => {
      if (!socket || socket.readyState !== WebSocket.OPEN) return;
      const message = new Uint8Array(bytes.length + 1);
      message[0] = kind;
      message.set(bytes, 1);
      socket.send(message);
    };
    const type = (bytes) => {
      for (let at = 0; at < bytes.length; at += INPUT_BYTES_MAX) send(INPUT, bytes.subarray(at, at + INPUT_BYTES_MAX));
    };
    const resize = ({ cols, rows }) => send(SIZE, new Uint8Array([cols >> 8, cols & 255, rows >> 8, rows & 255]));
    const taken = (count) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, count);
      send(TAKEN, bytes);
    };

    // As many columns and rows as there is room for.
    const fit = () => {
      const grid = screen.querySelector(".xterm-screen");
      if (!grid || !shown) return;
      const cell = { width: grid.clientWidth / shown.cols, height: grid.clientHeight / shown.rows };
      if (!(cell.width > 0 && cell.height > 0)) return;
      const room = getComputedStyle(screen);
      const width = screen.clientWidth - parseFloat(room.paddingLeft) - parseFloat(room.paddingRight) - 16;
      const height = screen.clientHeight - parseFloat(room.paddingTop) - parseFloat(room.paddingBottom);
      const bound = (count, least, most) => Math.max(least, Math.min(most, Math.floor(count)));
      shown.resize(bound(width / cell.width, 20, 500), bound(height / cell.height, 5, 200));
    };

    const build = () => {
      screen.hidden = false;
      screen.replaceChildren();
      shown = new Terminal({
        cols: 80,
        rows: 24,
        scrollback: 2000,
        fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
        fontSize: 15,
        minimumContrastRatio: 4.5,
        screenReaderMode: true,
        allowProposedApi: false,
        linkHandler: { activate: () => {}, hover: () => {}, leave: () => {} },
        theme: { background: "#0b1114", foreground: "#e7eff1", cursor: "#e7eff1" },
      });
      // Links lead nowhere, and nothing is put on the clipboard: the server is not to be trusted with this browser.
      for (const number of [8, 52]) shown.parser.registerOscHandler(number, () => true);
      shown.attachCustomKeyEventHandler((event) => {
        if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
        if (event.key === "F6") {
          (close.hidden ? open : close).focus();
          return false;
        }
        if (event.key.toLowerCase() === "c" && shown.hasSelection()) {
          navigator.clipboard?.writeText(shown.getSelection());
          event.preventDefault();
          return false;
        }
        // The browser pastes.
        return event.key.toLowerCase() !== "v";
      });
      shown.open(screen);
      shown.textarea?.setAttribute("aria-label", page.say("input"));
      shown.onData((text) => type(encoder.encode(text)));
      shown.onBinary((text) => type(Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 255)));
      shown.onResize(resize);
      fit();
    };

    const ended = (words) => {
      place.dataset.state = "ended";
      close.hidden = true;
      open.hidden = false;
      open.disabled = false;
      page.complain(words);
      if (shown) shown.options.disableStdin = true;
      open.focus();
    };

    // The page itself is judged as the session is: it says why there is none.
    const refused = async () => {
      try {
        const answer = await fetch(location.pathname, { cache: "no-store", headers: { Accept: "application/json" } });
        if (answer.ok) return ended(page.say("cut"));
        const said = await answer.json();
        ended([said.title, said.detail, said.remedy].filter(Boolean).join(" "));
      } catch {
        ended(page.say("cut"));
      }
    };

    const hear = (message) => {
      if (typeof message.data === "string") {
        const said = JSON.parse(message.data);
        if (said.state === "open") {
          place.dataset.state = "open";
          page.tell(page.say("opened"));
          shown.focus();
        } else if (said.state === "ended") {
          told = true;
          place.dataset.code = said.code;
          ended([said.what, said.do].filter(Boolean).join(" "));
        }
        return;
      }
      const bytes = new Uint8Array(message.data);
      shown.write(bytes, () => taken(bytes.length));
    };

    open.addEventListener("click", () => {
      open.disabled = true;
      told = false;
      agreed = false;
      place.dataset.state = "opening";
      delete place.dataset.code;
      page.tell(page.say("opening"));
      if (shown) shown.dispose();
      build();
      const address = new URL(place.dataset.terminal, location.href);
      address.protocol = "wss:";
      address.search = `?columns=${shown.cols}&rows=${shown.rows}`;
      socket = new WebSocket(address);
      socket.binaryType = "arraybuffer";
      socket.addEventListener("open", () => {
        agreed = true;
        open.hidden = true;
        close.hidden = false;
      });
      socket.addEventListener("message", hear);
      socket.addEventListener("close", () => {
        if (told) return;
        if (agreed) ended(page.say("cut"));
        else refused();
      });
    });
    close.addEventListener("click", () => socket?.close(CLOSE_NORMAL));
    new ResizeObserver(fit).observe(screen);
  };

  const put = (place) => {
    const page = parts(place);
    const button = place.querySelector("[data-do=put]");
    const field = place.querySelector("input[type=file]");
    button.addEventListener("click", async () => {
      const [file] = field.files;
      if (!file) return page.complain(page.say("none"));
      button.disabled = true;
      page.tell(page.say("putting"));
      try {
        const answer = await fetch(`${place.dataset.put}/${encodeURIComponent(file.name)}`, {
          method: "POST",
          headers: { "Content-Type": "application/octet-stream", Accept: "application/json" },
          credentials: "same-origin",
          cache: "no-store",
          redirect: "error",
          body: file,
        });
        const said = await answer.json();
        if (answer.ok) page.tell(said.says);
        else page.complain([said.what || said.detail, said.do || said.remedy].filter(Boolean).join(" "));
      } catch {
        page.complain(page.say("cut"));
      }
      button.disabled = false;
    });
  };

  for (const place of document.querySelectorAll("[data-terminal]")) terminal(place);
  for (const place of document.querySelectorAll("[data-put]")) put(place);
})();
