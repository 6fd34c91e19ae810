// Keeps the page true while it is open: who you are, and every few seconds the state. The page is complete without it.
"use strict";

const EVERY_MS = 5000;
const WORDS = { up: "Up", down: "Down", unknown: "Checking" };

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);
const show = (element, yes) => element.toggleAttribute("hidden", !yes);

let member = false;

async function get(address) {
  const answer = await fetch(address, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    signal: AbortSignal.timeout(EVERY_MS),
  });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(`${address} answers ${answer.status}`);
  return answer.json();
}

// --- who ------------------------------------------------------------------------------------------------

async function who() {
  let you = null;
  try {
    you = await get("/auth/whoami");
  } catch {
    return; // nobody can tell just now: leave the page as it is
  }
  member = Boolean(you);
  all(".guests").forEach((element) => show(element, !member));
  all(".members").forEach((element) => show(element, member));
  all(".admins").forEach((element) => show(element, member && you.admin));
  one("[data-user]").textContent = member ? you.user : "";
  if (!member) models(undefined);
}

// --- state ----------------------------------------------------------------------------------------------

async function state() {
  if (member) {
    try {
      const known = await get("/portal/state.json");
      if (known) return draw(known);
      await who(); // the session has ended
    } catch {
      // The door-keeper is away, and with it the details; the one word below is for anyone.
    }
    if (member) {
      all("[data-service]").forEach((element) => service(element, "unknown", ""));
      models(null);
    }
  }
  try {
    const { overall, summary } = await get("/portal/overall.json");
    headline(overall, summary);
  } catch {
    headline("unknown", "The front page itself does not answer");
  }
}

function draw(known) {
  headline(known.overall, known.summary);
  all("[data-service]").forEach((element) => {
    const { status, reason, since } = known.services[element.dataset.service];
    service(element, status, reason ? `Since ${clock(since)}: ${reason}.` : "");
  });
  models(known.models);
  show(one("[data-total]"), known.answered !== null);
  one("[data-count]").textContent = number(known.answered);
  text(one("[data-example]"), known.example);
  text(one("[data-make-key]"), known.make_key);
}

function headline(status, words) {
  const element = one("[data-overall]");
  element.dataset.status = status;
  text(one("[data-word]", element), words);
}

function service(element, status, reason) {
  element.dataset.status = status;
  text(one("[data-word]", element), WORDS[status]);
  text(one("[data-reason]", element), reason);
}

// A list; null where serving does not tell; undefined for those who may not know.
function models(list) {
  show(one("[data-models-unknown]"), list === null);
  show(one("[data-models-none]"), list?.length === 0);
  show(one("[data-total]"), false);
  const place = one("[data-models]");
  show(place, Boolean(list?.length));
  const rows = (list || []).map(row);
  // Rows are replaced only when they differ, so that a selection or the focus in them lasts.
  if (rows.map((each) => each.outerHTML).join() !== [...place.children].map((each) => each.outerHTML).join()) {
    place.replaceChildren(...rows);
  }
}

function row(model) {
  const item = one("#model").content.firstElementChild.cloneNode(true);
  one("[data-name]", item).textContent = model.name;
  one("[data-name]", item).href = `/serving/models/${encodeURIComponent(model.name)}`;
  one("[data-registry]", item).href = `/mlflow/#/models/${encodeURIComponent(model.name)}`;
  one("[data-version]", item).textContent = model.version;
  one("[data-runtime]", item).textContent = model.runtime || "–";
  one("[data-answered]", item).textContent = number(model.answered);
  if (model.since) {
    const time = document.createElement("time");
    time.dateTime = model.since;
    time.textContent = clock(model.since);
    one("[data-since]", item).replaceChildren(time);
  }
  const note = one("[data-note]", item);
  show(note, Boolean(model.note));
  note.textContent = model.note || "";
  return item;
}

function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function number(value) {
  return value === null ? "–" : String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// In the reader's own time zone; the day only where it is not today.
function clock(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const hour = time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (time.toDateString() === new Date().toDateString()) return `today, ${hour}`;
  return `${time.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${hour}`;
}

// --- copying --------------------------------------------------------------------------------------------

const copy = one("[data-copy]");
if (navigator.clipboard) {
  show(copy, true);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(one("[data-example]").textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
}

// --- round and round ------------------------------------------------------------------------------------

let next;
async function round() {
  clearTimeout(next);
  if (document.hidden) return;
  await state();
  clearTimeout(next);
  next = setTimeout(round, EVERY_MS);
}

async function begin() {
  if (document.hidden) return;
  await who();
  await round();
}

document.addEventListener("visibilitychange", begin);
begin();
