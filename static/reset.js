// A button that shows what was typed, and hides it again.
for (const button of document.querySelectorAll("button[aria-pressed]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const shows = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shows);
    for (const field of document.querySelectorAll("[autocomplete=new-password]")) {
      field.type = shows ? "text" : "password";
    }
  });
}
