// The views but that of security. Each sets up what its <template> of index.html has put into main.

import * as auth from "./auth.js";
import { addMovie, listMovies } from "./movies.js";
import {
  allowPasskeys,
  fromTemplate,
  go,
  newElement,
  onClick,
  onSubmit,
  render,
  say,
  show,
} from "./page.js";

const PAGE_SIZE = 10;

/** Set up the form of a new account. */
export function signUpView(main) {
  onSubmit(main.querySelector("form"), async (fields) => {
    const { message } = await auth.signUp(fields);
    signedUpView(render("signed-up"), fields.email);
    say(message);
  });
}

/** Set up what follows: the link in the mail, which may be sent again. */
function signedUpView(main, email) {
  onClick(main.querySelector(".resend"), async () => {
    say((await auth.resendConfirmation(email)).message);
  });
}

/** Set up the login, by password or by passkey. */
export function logInView(main) {
  allowPasskeys(main);
  const form = main.querySelector("form");
  const checkbox = form.elements.cookie;
  onSubmit(form, async ({ email, password }) => {
    try {
      await auth.logIn(email, password, checkbox.checked);
      go("#/movies", `You are logged in as ${email}.`);
    } catch (error) {
      if (error.error !== "SecondFactorRequiredError") throw error;
      secondFactorView(render("second-factor"), error.mfa_token, checkbox.checked);
    }
  });
  onClick(main.querySelector(".passkey"), () => logInWithPasskey(checkbox.checked));
}

/** Log in with a passkey, which knows whose it is. */
async function logInWithPasskey(cookie) {
  const { email } = await auth.logInWithPasskey(cookie);
  go("#/movies", `You are logged in as ${email}.`);
}

/** Set up the second step of the login of a user with TOTP. */
function secondFactorView(main, mfaToken, cookie) {
  for (const form of main.querySelectorAll("form")) {
    onSubmit(form, async (fields) => {
      const { email } = await auth.logInWithCode(mfaToken, fields, cookie);
      go("#/movies", `You are logged in as ${email}.`);
    });
  }
  main.querySelector("[name=code]").focus();
}

/** Set up the form that mails a link to a new password. */
export function forgotView(main) {
  onSubmit(main.querySelector("form"), async ({ email }) => {
    say((await auth.requestReset(email)).message);
  });
}

/** List the sessions, each with a button that ends it, and what happened to the account. */
export async function sessionsView(main) {
  onClick(main.querySelector(".end-all"), auth.endAllSessions);
  onClick(main.querySelector(".export"), async () => {
    save("movie-bag.json", await auth.exportData());
  });
  const [sessions, events] = await Promise.all([auth.listSessions(), auth.listEvents()]);
  main.querySelector(".sessions").replaceChildren(...sessions.map(sessionRow));
  main.querySelector(".events").replaceChildren(...events.map(eventRow));
}

/** Return what to call the device of a session. */
const nameOf = (session) => session.device || "an unknown device";

/** Return the row of a session. */
function sessionRow(session) {
  const row = fromTemplate("session").firstElementChild;
  const button = row.querySelector("button");
  showText(row, { device: nameOf(session), ip: session.ip });
  showTime(row.querySelector(".created"), session.created_at);
  showTime(row.querySelector(".used"), session.last_used_at);
  button.ariaLabel = `End the session of ${nameOf(session)}`;
  show(button, !session.current);
  show(row.querySelector(".state"), session.current);
  onClick(button, async () => {
    say((await auth.endSession(session.id)).message);
    row.remove();
  });
  return row;
}

/** Let the browser save a value as a file. */
function save(name, value) {
  const link = newElement("a", name);
  link.href = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Return the row of an event. */
function eventRow({ event, count, ip, at }) {
  const row = fromTemplate("event").firstElementChild;
  const times = count > 1 ? ` (${count} times)` : "";
  showText(row, { what: event.replaceAll("_", " ") + times, ip: ip ?? "" });
  showTime(row.querySelector(".at"), at);
  return row;
}

/** Show texts in the elements with these classes. */
function showText(parent, texts) {
  for (const [name, text] of Object.entries(texts)) {
    parent.querySelector(`.${name}`).textContent = text;
  }
}

/** Show a time in the words of the browser's language. */
function showTime(element, time) {
  element.dateTime = time;
  const style = { dateStyle: "medium", timeStyle: "short" };
  element.textContent = new Date(time).toLocaleString([], style);
}

/** List the page of movies that the query asks for: each page has an address of its own. */
export async function moviesView(main, query) {
  setUpMovieForms(main, query);
  if (!query.has("limit")) query.set("limit", PAGE_SIZE);
  const { movies, next } = await listMovies(query);
  main.querySelector(".movies").replaceChildren(...movies.map(movieItem));
  show(main.querySelector(".none"), movies.length === 0);
  show(main.querySelector(".first"), query.has("after"));
  show(main.querySelector(".next"), next !== null);
  main.querySelector(".next").href = `#/movies?${next}`;
  query.delete("after");
  main.querySelector(".first").href = `#/movies?${query}`;
}

/** Set up the search, and the form of a new movie. */
function setUpMovieForms(main, query) {
  const [search, addition] = main.querySelectorAll("form");
  search.elements.q.value = query.get("q") ?? "";
  onSubmit(search, async (fields) => go(`#/movies?${new URLSearchParams(fields)}`));
  onSubmit(addition, async ({ name, casts, genres }) => {
    await addMovie({ name, casts: split(casts), genres: split(genres) });
    go(`#/movies?${new URLSearchParams({ q: name })}`, `${name} is in the bag.`);
  });
}

/** Return the parts of a text between its commas. */
const split = (text) => text?.split(",").map((part) => part.trim());

/** Return the item of a movie. */
function movieItem(movie) {
  const item = fromTemplate("movie").firstElementChild;
  item.querySelector("strong").textContent = movie.name;
  item.querySelector(".genres").textContent = movie.genres.join(", ");
  item.querySelector(".casts").textContent = movie.casts.join(", ");
  return item;
}
