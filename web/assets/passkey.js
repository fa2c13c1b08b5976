// Passkeys on our own pages: asks the browser for a key or a proof, and takes the answer to the server.
// What is said to people stands in the page, in their language; the server decides everything.
"use strict";
(() => {
  const RENEW_MS = 4 * 60 * 1000;

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) => {
    const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte));
    return btoa(letters.join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const listed = (keys) => (keys || []).map((key) => ({ ...key, id: bytes(key.id) }));

  const forCreation = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: listed(options.excludeCredentials),
  });
  const forRequest = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: listed(options.allowCredentials),
  });
  const written = (key) => {
    const response = { clientDataJSON: text(key.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (key.response[name]) response[name] = text(key.response[name]);
    }
    if (key.response.getTransports) response.transports = key.response.getTransports();
    return {
      id: key.id,
      rawId: text(key.rawId),
      type: key.type,
      response,
      clientExtensionResults: key.getClientExtensionResults(),
    };
  };

  class Refused extends Error {}

  const post = async (address, body) => {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      body: JSON.stringify(body),
    });
    const said = await answer.json();
    if (answer.ok) return said;
    throw new Refused([said.title, said.detail, said.remedy, said.help_code && `[${said.help_code}]`].filter(Boolean).join(" "));
  };

  // A code that came in the address's fragment never reaches a server's log; it leaves the address bar at once.
  const field = document.querySelector("[data-fragment]");
  if (field && location.hash.length > 1) {
    field.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname + location.search);
  }
  const onward = document.querySelector("form[data-send]");
  if (onward) onward.submit();

  const place = document.querySelector("[data-passkey]");
  if (!place) return;
  const task = place.dataset.passkey;
  const button = place.querySelector("[data-do]");
  const status = place.querySelector("[role=status]");
  const problem = place.querySelector("[role=alert]");
  const say = (name) => place.querySelector(`[data-say=${name}]`)?.textContent || "";
  const context = () => {
    const facts = {};
    for (const name of ["h", "again", "pending"]) if (place.dataset[name]) facts[name] = place.dataset[name];
    return facts;
  };
  let waiting = null;
  // Somebody clicked, or took the offer: nothing else must come between.
  let busy = false;

  const tell = (words) => {
    status.textContent = words;
    problem.textContent = "";
  };
  const complain = (words) => {
    status.textContent = "";
    problem.textContent = words;
    button.disabled = false;
    busy = false;
    place.removeAttribute("aria-busy");
    button.focus();
  };
  const why = (error) => {
    if (error instanceof Refused) return error.message;
    if (error.name === "NotAllowedError" || error.name === "AbortError") return say("cancelled");
    if (error.name === "InvalidStateError") return say("known");
    if (error.name === "TypeError" || error.name === "SyntaxError") return say("offline");
    return say("failed");
  };

  const go = async (answer) => {
    if (answer.ask) return askNewcomer(answer.say);
    tell(say("done"));
    const last = answer.land ? await post("/land", answer.land) : answer;
    location.replace(last.to);
  };

  const prove = async (purpose, conditional) => {
    const begun = await post("/passkey/begin", { for: purpose, ...context() });
    if (begun.to) return begun;
    if (conditional && busy) throw new DOMException("somebody clicked", "AbortError");
    const abort = new AbortController();
    waiting = abort;
    const request = { publicKey: forRequest(begun.options.publicKey), signal: abort.signal };
    if (conditional) request.mediation = "conditional";
    const key = await navigator.credentials.get(request);
    if (conditional) {
      // The key may have answered in the very moment of a click: one of the two goes on, or the second sign-in would
      // end the session of the first while the page is on its way there.
      if (busy) throw new DOMException("somebody clicked", "AbortError");
      busy = true;
      button.disabled = true;
      tell(say("working"));
    }
    return post("/passkey/finish", { for: purpose, ...context(), ceremony: begun.ceremony, credential: written(key) });
  };

  // Whoever the code does not name (the first administrator) says who they are.
  const newcomer = () => {
    const fields = place.querySelectorAll("[data-newcomer] input");
    const asked = fields.length > 0 && !fields[0].closest("[data-newcomer]").hidden;
    return asked ? Object.fromEntries(Array.from(fields, (field) => [field.name, field.value])) : {};
  };
  const askNewcomer = (words) => {
    for (const part of place.querySelectorAll("[data-newcomer]")) part.hidden = false;
    complain(words);
    place.querySelector("[data-newcomer] input")?.focus();
  };

  const enrol = async () => {
    const code = place.querySelector("[name=code]")?.value;
    const begun = await post("/enrol/begin", { ...context(), ...(code ? { code, ...newcomer() } : {}) });
    if (begun.ask || begun.to) return begun;
    if (begun.whose) tell(begun.whose);
    const key = await navigator.credentials.create({ publicKey: forCreation(begun.options.publicKey) });
    tell(say("working"));
    const name = place.querySelector("[name=name]")?.value || "";
    return post("/enrol/finish", { ...context(), ceremony: begun.ceremony, credential: written(key), name });
  };

  const act = async () => {
    if (busy) return;
    if (waiting) waiting.abort();
    waiting = null;
    busy = true;
    button.disabled = true;
    place.setAttribute("aria-busy", "true");
    tell(say("touch"));
    try {
      await go(task === "enrol" ? await enrol() : await prove(task, false));
    } catch (error) {
      complain(why(error));
      if (!(error instanceof Refused) || task === "sign-in" || task === "switch") offer();
    }
  };

  // Keys that this browser knows are offered in the name field, without a click (conditional mediation). A ceremony
  // lasts five minutes, so the offer is renewed while somebody looks at the page.
  let renewal = 0;
  const offer = async () => {
    const nameField = place.querySelector("[autocomplete~=webauthn]");
    const can = window.PublicKeyCredential?.isConditionalMediationAvailable;
    if (!nameField || !can || document.hidden || !(await can.call(PublicKeyCredential))) return;
    if (waiting) waiting.abort();
    clearTimeout(renewal);
    renewal = setTimeout(offer, RENEW_MS);
    try {
      await go(await prove(task, true));
    } catch (error) {
      if (error.name !== "AbortError" && error.name !== "NotAllowedError") complain(why(error));
    }
  };

  if (!window.PublicKeyCredential || !navigator.credentials) {
    button.disabled = true;
    problem.textContent = say("unsupported");
    return;
  }
  if (place.tagName === "FORM") {
    place.addEventListener("submit", (event) => {
      event.preventDefault();
      act();
    });
  } else {
    button.addEventListener("click", act);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !button.disabled) offer();
  });
  offer();
})();
