// A button that shows what was typed, and hides it again.
const button = document.querySelector("button[aria-pressed]");
const fields = document.querySelectorAll("[autocomplete=new-password]");

function show(yes) {
  button.setAttribute("aria-pressed", yes);
  for (const field of fields) field.type = yes ? "text" : "password";
}

button.hidden = false;
button.addEventListener("click", () => show(button.getAttribute("aria-pressed") !== "true"));
// A browser must not store it as the text of an ordinary field.
button.form.addEventListener("submit", () => show(false));
