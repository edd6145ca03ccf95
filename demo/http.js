// One request to the API, and the one shape of its errors.

/** An error response: its message, its status, its error's name, and errors by field. */
export class ApiError extends Error {
  constructor(body, retryAfter) {
    super(retryAfter ? `${body.message}. ${sayWhen(retryAfter)}` : body.message);
    Object.assign(this, { ...body, message: this.message });
  }
}

/** Say when to try again, given the seconds of the header Retry-After of a 429 or a 503. */
function sayWhen(seconds) {
  const time = new Date(Date.now() + seconds * 1000).toLocaleTimeString();
  return `Try again in ${seconds} ${seconds === "1" ? "second" : "seconds"}, at ${time}.`;
}

/** Throw the error of a request without a response. */
function throwNoResponse() {
  throw new Error("The server does not respond. Try again in a moment.");
}

/** Send a request and return its response, or throw an ApiError. */
export async function respond(method, path, body, token) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const request = { method, headers, body: body && JSON.stringify(body) };
  const response = await fetch(path, request).catch(throwNoResponse);
  if (response.ok) return response;
  // What a proxy says in place of the API is not JSON.
  const error = await response.json().catch(() => ({ message: `Error ${response.status}` }));
  throw new ApiError(error, response.headers.get("Retry-After"));
}

/** Send a request and return the JSON of its response, or throw an ApiError. */
export async function send(method, path, body, token) {
  return (await respond(method, path, body, token)).json();
}
