// The pair of tokens: where it is kept, and how it is replaced by the next one.
//
// The access token is in memory, and each tab sends the next one to the others. The refresh token
// is in a cookie or in localStorage, as chosen at the login: it survives a reload, and all tabs use
// the same. The cost of localStorage: a script that gets into this page (XSS) can read it, and be
// the user elsewhere. The Content-Security-Policy keeps such scripts out: none that is inline or
// from another host runs. No script can read the cookie; the browser sends it to refresh.

import { send } from "./http.js";

const KEY = "movie-bag.refresh_token";
const IN_COOKIE = "in the cookie"; // what localStorage has in place of the token
const LOCK = "movie-bag.tokens";
// During an upgrade, a machine may not know the token that another one has signed: BadTokenError.
const REPLACED = ["ExpiredTokenError", "SupersededTokenError", "BadTokenError"];
const tabs = new BroadcastChannel("movie-bag.access_token");
let accessToken = null;

tabs.addEventListener("message", ({ data }) => {
  accessToken = data;
  if (data === null) window.dispatchEvent(new Event("signedout"));
});

/** Return whether somebody is logged in here, in this tab or another. */
export const isLoggedIn = () => localStorage.getItem(KEY) !== null;

/** Keep a pair, for every tab; return it. */
export function keepPair(pair) {
  accessToken = pair.token;
  localStorage.setItem(KEY, pair.refresh_token ?? IN_COOKIE);
  tabs.postMessage(accessToken);
  return pair;
}

/** Forget the pair, in every tab, because its session has ended. */
export function forgetPair() {
  accessToken = null;
  localStorage.removeItem(KEY);
  tabs.postMessage(null);
  window.dispatchEvent(new Event("signedout"));
}

/** Send a request with the access token; if that was replaced, refresh and send it again. */
export async function authorized(sender, method, path, body) {
  if (accessToken === null) await refresh(null); // the page was loaded just now
  const token = accessToken;
  try {
    return await sender(method, path, body, token);
  } catch (error) {
    if (error.error === "SessionEndedError" && token === accessToken) forgetPair();
    if (!REPLACED.includes(error.error)) throw error;
    await refresh(token);
    return sender(method, path, body, accessToken);
  }
}

/** Exchange the refresh token for the next pair. One tab does it, the others wait and use its. */
function refresh(replacedToken) {
  return navigator.locks.request(LOCK, async () => {
    if (accessToken !== replacedToken || !isLoggedIn()) return; // another request or tab did it
    const kept = localStorage.getItem(KEY);
    const body = kept === IN_COOKIE ? undefined : { refresh_token: kept };
    try {
      keepPair(await send("POST", "/api/auth/refresh", body));
    } catch (error) {
      if (error.status === 401 && kept === localStorage.getItem(KEY)) forgetPair();
      throw error;
    }
  });
}

/** Send a request whose response is the next pair, while no tab refreshes; keep the pair. */
export function sendForPair(method, path, body, token) {
  return navigator.locks.request(LOCK, async () =>
    keepPair(await send(method, path, body, token)),
  );
}
