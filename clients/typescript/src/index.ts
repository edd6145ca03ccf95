/** A client of Movie-bag: `createMovieBag` and the types of the OpenAPI document. */

import createClient, { type ClientOptions } from "openapi-fetch";

import type { components, paths } from "./api.js";
import { type Lock, sessionFetch, type Store } from "./session.js";

export { browserStore } from "./store.js";
export type { Lock, Pair, Store } from "./session.js";

/** The schemas of the document, by their names. */
export type Schemas = components["schemas"];

interface Options extends Omit<ClientOptions, "baseUrl" | "fetch"> {
  url: string;
  store: Store;
  lock?: Lock;
}

/** Return a client of the API at url, whose session is in the store. */
export function createMovieBag({ url, store, lock, ...options }: Options) {
  return createClient<paths>({ ...options, baseUrl: url, fetch: sessionFetch(url, store, lock) });
}

/** Return the query of the next page, which the Link header has; null after the last page. */
export function nextPage(response: Response): Record<string, string> | null {
  const url = response.headers.get("Link")?.match(/<([^>]+)>; rel="next"/)?.[1];
  return url ? Object.fromEntries(new URL(url).searchParams) : null;
}
