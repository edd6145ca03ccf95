/** The session of a user: requests get its access token, which is refreshed once it has expired. */

import type { components } from "./api.js";

/** A pair of tokens, without the refresh token where a cookie has it. */
export type Pair = Pick<components["schemas"]["Tokens"], "token" | "refresh_token">;

/** Where the pair is kept, for all tabs and requests; null: log in. */
export interface Store {
  get(): Pair | null | Promise<Pair | null>;
  set(pair: Pair | null): void | Promise<void>;
}

/** Does some work while no other tab or request of the user does its own. */
export type Lock = (work: () => Promise<Response>) => Promise<Response>;
export const webLock: Lock = async (work) => navigator.locks.request("movie-bag.session", work);

const JSON_BODY = { "Content-Type": "application/json" };
// During an upgrade, a machine may not know the token of another one: BadTokenError.
const REFRESH = ["ExpiredTokenError", "SupersededTokenError", "BadTokenError"];
// There an access token would be taken for the token of a link.
const PUBLIC = /\/api\/auth\/(signup|login|refresh|forgot|reset|invite|email\/)/;
const NEXT_PAIR = /\/api\/auth\/(login(\/mfa|\/passkey)?|refresh|password|reauthenticate)$/;

/** Return a fetch for the API at url, which keeps each next pair in the store. */
export function sessionFetch(url: string, store: Store, lock = webLock) {
  const send = async (request: Request): Promise<Response> => {
    const { token } = (await store.get()) ?? {};
    const isPublic = token === undefined || PUBLIC.test(request.url);
    if (!isPublic) request.headers.set("Authorization", `Bearer ${token}`);
    const response = await fetch(request);
    const isNext = response.ok && NEXT_PAIR.test(request.url);
    if (isNext) await store.set(await response.clone().json());
    return response;
  };
  const deliver = (request: Request) =>
    NEXT_PAIR.test(request.url) ? lock(() => send(request)) : send(request);
  const refresh = async (used: string, refused: Response): Promise<Response> => {
    const pair = await store.get();
    if (!pair) return refused; // another tab has logged out
    if (`Bearer ${pair.token}` !== used) return Response.json({}); // another tab has refreshed
    const body = JSON.stringify({ refresh_token: pair.refresh_token });
    const credentials = pair.refresh_token ? "same-origin" : "include"; // of the cookie
    const init = { method: "POST", headers: JSON_BODY, body, credentials } as const;
    const response = await send(new Request(`${url}/api/auth/refresh`, init));
    if (response.status === 401) await store.set(null);
    return response;
  };
  return async (request: Request): Promise<Response> => {
    const again = request.clone();
    const response = await deliver(request);
    const used = request.headers.get("Authorization");
    if (response.status !== 401 || !used) return response;
    const { error } = await response.clone().json();
    const isCurrent = used === `Bearer ${(await store.get())?.token}`;
    if (error === "SessionEndedError" && isCurrent) await store.set(null);
    if (!REFRESH.includes(error)) return response;
    const refreshed = await lock(() => refresh(used, response));
    return refreshed.ok ? deliver(again) : refreshed;
  };
}
