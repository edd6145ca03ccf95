// Looks every two seconds whether this page has changed, and shows what is new.
const main = () => document.querySelector("[data-live]");
let shown = main().innerHTML;

async function look() {
  const answer = document.hidden ? null : await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (fresh.innerHTML === shown) return;
  const focused = document.activeElement.getAttribute("href");
  shown = fresh.innerHTML;
  main().replaceWith(fresh);
  if (focused) main().querySelector(`a[href="${focused}"]`)?.focus();
}

setInterval(look, 2000);
