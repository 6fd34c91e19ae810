// The form that tries the model, and the buttons that copy. The page is complete without it.
"use strict";

const one = (selector, within = document) => within.querySelector(selector);
const form = one("[data-try]");

// --- trying it ------------------------------------------------------------------------------------------

const NUMBERS = ["double", "float", "long", "integer"];

// A field that is left empty is a missing value: the server says whether the model takes one.
function value(input) {
  if (input.type === "checkbox") return input.checked;
  if (NUMBERS.includes(input.dataset.kind)) return input.value === "" ? null : Number(input.value);
  return input.value;
}

function body() {
  if (form.dataset.columns !== "yes") return one("[data-body]", form).value;
  const row = {};
  form.querySelectorAll("[data-column]").forEach((input) => {
    const given = value(input);
    if (given !== null) row[input.dataset.column] = given;
  });
  return JSON.stringify({ inputs: [row] });
}

async function predict() {
  const status = one("[data-status]", form);
  const answer = one("[data-answer]", form);
  const button = one("button", form);
  button.disabled = true;
  status.textContent = "Asking…";
  const began = performance.now();
  try {
    const response = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: body(),
    });
    const text = await response.text();
    const took = Math.max(1, Math.round(performance.now() - began));
    status.textContent = response.ok
      ? `Answered in ${took} ms, the way here and back included.`
      : `Refused with ${response.status}.`;
    show(answer, text, response.ok);
  } catch {
    status.textContent = "The server was not reached. Try again.";
    answer.hidden = true;
  } finally {
    button.disabled = false;
  }
}

function show(answer, text, good) {
  let said = text;
  try {
    const parsed = JSON.parse(text);
    said = parsed.error ? parsed.error.message : JSON.stringify(parsed, null, 2);
  } catch {
    // Not JSON: a gateway's own words.
  }
  answer.hidden = false;
  answer.dataset.good = good ? "yes" : "no";
  one("code", answer).textContent = said;
}

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    predict();
  });
}

// --- copying --------------------------------------------------------------------------------------------

if (navigator.clipboard) {
  document.querySelectorAll("[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  });
}

// --- pictures: where they are wider than the screen, the newest part is shown ------------------------------

document.querySelectorAll("[data-newest]").forEach((element) => (element.scrollLeft = element.scrollWidth));
