// The bag of movies, which everybody may read.

import { request } from "./api.js";
import { respond } from "./http.js";

/** Return a page of movies, and the query of the next page, which the Link header has. */
export async function listMovies(query) {
  const response = await respond("GET", `/api/movies?${query}`);
  return { movies: await response.json(), next: nextQuery(response.headers.get("Link")) };
}

/** Return the query in `<https://…/api/movies?limit=10&after=…>; rel="next"`, or null. */
function nextQuery(link) {
  const url = link?.match(/<([^>]+)>; rel="next"/)?.[1];
  return url ? new URL(url).searchParams : null;
}

/** Add a movie. */
export const addMovie = (movie) => request("POST", "/api/movies", movie);
