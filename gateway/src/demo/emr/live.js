// Shows the two feeds of vital signs, and says so when one ends.
"use strict";

const patient = new URLSearchParams(location.search).get("patient") || "00012345";

function show(place, text) {
  const v = JSON.parse(text);
  place.textContent = `${v.pulse} /min · SpO2 ${v.spo2} % · ${v.systolic}/${v.diastolic} · ${v.temperature} ℃`;
  place.classList.remove("bad");
}

function end(place) {
  place.textContent = place.dataset.ended;
  place.classList.add("bad");
}

const eventPlace = document.getElementById("events");
const events = new EventSource(`/events/vitals?patient=${encodeURIComponent(patient)}`);
events.addEventListener("vitals", (event) => show(eventPlace, event.data));
events.addEventListener("error", () => end(eventPlace));

const socketPlace = document.getElementById("socket");
const socket = new WebSocket(`wss://${location.host}/ws?vitals=${encodeURIComponent(patient)}`);
socket.addEventListener("message", (event) => show(socketPlace, event.data));
socket.addEventListener("close", () => end(socketPlace));
