// A button that shows what was typed, and hides it again.
const button = document.querySelector("button[aria-pressed]");
const fields = document.querySelectorAll("[autocomplete=new-password]");

function show(yes) {
  button.setAttribute("aria-pressed", yes);
  for (const field of fields) field.type = yes ? "text" : "password";
}

button.hidden = false;
button.addEventListener("click", () => show(button.getAttribute("aria-pressed") !== "true"));
// Nothing that remembers what people type into forms may take it for plain text.
button.form.addEventListener("submit", () => show(false));
