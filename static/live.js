// Looks every two seconds whether this page has changed, and shows what is new.
const main = () => document.querySelector("[data-live]");
let shown;

async function look() {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (shown !== undefined && fresh.innerHTML !== shown) main().replaceWith(fresh.cloneNode(true));
  shown = fresh.innerHTML;
}

look();
setInterval(look, 2000);
