// What the views have in common: templates, forms, errors beside their fields, messages.

import { hasPasskeys } from "./webauthn.js";

/** Return a copy of what is in a <template> of index.html. */
export const fromTemplate = (id) => document.getElementById(id).content.cloneNode(true);

/** Show an element, or hide it. */
export function show(element, isShown) {
  element.hidden = !isShown;
}

/** Show a message, which a screen reader reads out when it can. */
export function say(message) {
  document.getElementById("status").textContent = message;
}

/** Do action with those fields of a form that are filled in, each time it is submitted. */
export function onSubmit(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = [...new FormData(form)].filter(([, text]) => text !== "");
    run(form, () => action(Object.fromEntries(fields)));
  });
}

/** Do action each time a button is pressed. */
export function onClick(button, action) {
  button.addEventListener("click", () => run(button, action));
}

/** Do action, unless that goes on already; show an error in the form or section that started it. */
export async function run(element, action) {
  const place = element.closest("form, section, dialog, main, header");
  if ("busy" in place.dataset) return;
  place.dataset.busy = "";
  clearErrors(place);
  say("");
  try {
    await action();
  } catch (error) {
    showError(place, error);
  }
  delete place.dataset.busy;
  keepFocus(place);
}

/** Move the focus to a heading, if what had it is gone. */
function keepFocus(place) {
  const focused = document.activeElement;
  if (focused !== document.body && focused.checkVisibility()) return;
  const section = place.isConnected ? place.closest("section, dialog, main") : null;
  focusHeading(section ?? document.querySelector("main"));
}

/** Move the focus to the heading of a view or a section; return its text. */
function focusHeading(section) {
  const heading = section.querySelector("h1, h2");
  heading.tabIndex = -1;
  heading.focus();
  return heading.textContent;
}

/** Remove the errors of the time before. */
function clearErrors(place) {
  for (const shown of place.querySelectorAll(".errors, [role=alert]")) shown.remove();
  for (const field of place.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

/** Show each error beside its field; what concerns no field is an alert. */
function showError(place, error) {
  const errors = Object.entries(error.errors ?? {});
  const others = errors.filter(([name, reasons]) => !showBeside(place.elements?.[name], reasons));
  const sentences = others.map(([name, reasons]) => `${name}: ${[reasons].flat().join(" ")}`);
  if (sentences.length || !errors.length) {
    showAlert(place, [messageOf(error), ...sentences].join(" "));
  }
  place.querySelector("[aria-invalid]")?.focus();
}

/** Show sentences below a field; return whether there is such a field. */
function showBeside(field, sentences) {
  if (!field) return false;
  const list = document.createElement("ul");
  list.className = "errors";
  list.id = `${field.id}-errors`;
  for (const sentence of [sentences].flat()) list.append(newElement("li", sentence));
  field.after(list);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", list.id);
  return true;
}

/** Show a message that a screen reader reads out at once. */
function showAlert(place, message) {
  const alert = newElement("p", message);
  alert.className = "alert";
  alert.role = "alert";
  place.append(alert);
}

/** Return the message of an error; that of a browser without a passkey is for programmers. */
const messageOf = (error) =>
  error.name === "NotAllowedError" ? "No passkey was used." : error.message;

/** Return an element with a text: never with HTML, which might hold a script. */
export function newElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** Show the dialog of a <template>; return it, and a promise of the value that closes it. */
export function openDialog(id) {
  const dialog = fromTemplate(id).querySelector("dialog");
  document.querySelector("main").append(dialog);
  dialog.showModal();
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
  return [dialog, closed];
}

/** Show what a <template> holds in place of the current view; move the focus to its heading. */
export function render(id) {
  const main = document.createElement("main"); // what goes on in the view before is not seen
  main.className = "card";
  main.append(fromTemplate(id));
  document.querySelector("main").replaceWith(main);
  document.title = `${focusHeading(main)} · Movie-bag`;
  return main;
}

/** Go to another view, and show a message there. */
export function go(path, message = "") {
  window.addEventListener("hashchange", () => say(message), { once: true });
  if (location.hash === path) window.dispatchEvent(new Event("hashchange"));
  else location.hash = path;
}

/** Offer passkeys, or the address where this page has them. */
export function allowPasskeys(place) {
  const link = place.querySelector(".needs-name a");
  link.href = `http://localhost:${location.port}/demo${location.hash}`;
  link.textContent = link.href;
  show(place.querySelector(".needs-name"), !hasPasskeys());
}
