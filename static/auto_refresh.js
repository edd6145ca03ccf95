// Fetches this page every two seconds and shows it if it has changed.
const main = () => document.querySelector("[data-live]");
let shown = main().innerHTML;

async function refresh() {
  const response = document.hidden ? null : await fetch(location.href).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (fresh.innerHTML === shown) return;
  const focused = document.activeElement.getAttribute("href");
  shown = fresh.innerHTML;
  main().replaceWith(fresh);
  if (focused) main().querySelector(`a[href="${focused}"]`)?.focus();
}

setInterval(refresh, 2000);
