// The start: which view belongs to which address, and who may see it.

import { logOut } from "./auth.js";
import { go, onClick, render, run, say, show } from "./page.js";
import { securityView } from "./security.js";
import { isLoggedIn } from "./tokens.js";
import { forgotView, logInView, moviesView, sessionsView, signUpView } from "./views.js";

const GUEST_VIEWS = { signup: signUpView, login: logInView, forgot: forgotView };
const USER_VIEWS = { sessions: sessionsView, security: securityView };
const VIEWS = { ...GUEST_VIEWS, ...USER_VIEWS, movies: moviesView };

/** Show the view that the address names: #/movies?q=heat. */
function showView() {
  const [name, query] = location.hash.slice("#/".length).split("?");
  const known = Object.hasOwn(VIEWS, name) ? name : "movies";
  const allowed = known in USER_VIEWS && !isLoggedIn() ? "login" : known;
  const main = render(allowed);
  showLinks(allowed);
  run(main, () => VIEWS[allowed](main, new URLSearchParams(query)));
}

/** Show the links for a user, or for a guest; mark that of the current view. */
function showLinks(current) {
  for (const element of document.querySelectorAll("[data-for]")) {
    show(element, element.dataset.for === (isLoggedIn() ? "user" : "guest"));
  }
  for (const link of document.querySelectorAll("nav a")) {
    link.ariaCurrent = link.hash === `#/${current}` ? "page" : null;
  }
}

/** Show the login after the end of the session, in this tab or another. */
function showEnd() {
  go("#/login", "You are logged out.");
}

window.addEventListener("hashchange", showView);
window.addEventListener("signedout", showEnd);
onClick(document.getElementById("log-out"), logOut);
showView();
