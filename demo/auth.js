// Accounts and sessions.

import { request, requestPair } from "./api.js";
import { send } from "./http.js";
import { forgetPair, keepPair } from "./tokens.js";
import { signChallenge } from "./webauthn.js";

/** Create an account; a mail with a link that confirms its address follows. */
export const signUp = (fields) => send("POST", "/api/auth/signup", fields);

/** Mail the link that confirms an address again. */
export const resendConfirmation = (email) => send("POST", "/api/auth/email/resend", { email });

/** Log in by password. Of a user with TOTP the error has an mfa_token: see logInWithCode. */
export async function logIn(email, password, cookie) {
  return keepPair(await send("POST", "/api/auth/login", { email, password, cookie }));
}

/** Take the second step of a login: a code, or a recovery code. */
export async function logInWithCode(mfa_token, fields, cookie) {
  return keepPair(await send("POST", "/api/auth/login/mfa", { mfa_token, ...fields, cookie }));
}

/** Log in by a passkey: no address, no password, no code. */
export async function logInWithPasskey(cookie) {
  const credential = await signChallenge();
  return keepPair(await send("POST", "/api/auth/login/passkey", { credential, cookie }));
}

/** End the session of this browser. */
export async function logOut() {
  await request("DELETE", "/api/auth/logout");
  forgetPair();
}

/** Mail a link that leads to a new password. */
export const requestReset = (email) => send("POST", "/api/auth/forgot", { email });

/** Return the user's sessions, newest first. */
export const listSessions = () => request("GET", "/api/auth/sessions");

/** End one session of the user. */
export const endSession = (id) => request("DELETE", `/api/auth/sessions/${id}`);

/** End every session of the user, this one included. */
export async function endAllSessions() {
  await request("DELETE", "/api/auth/sessions");
  forgetPair();
}

/** Return what happened to the account last, newest first. */
export const listEvents = () => request("GET", "/api/users/me/events?limit=20");

/** Return all that is stored of the user. */
export const exportData = () => request("GET", "/api/users/me/export");

/** Return the user. */
export const getUser = () => request("GET", "/api/users/me");

/** Change the user's name or language. */
export const changeUser = (fields) => request("PATCH", "/api/users/me", fields);

/** Change the password, given the current one; every other session ends. */
export const changePassword = (fields) => requestPair("PUT", "/api/auth/password", fields);

/** Request another address; a link in a mail to it makes the change. */
export const changeEmail = (email) => request("PUT", "/api/auth/email", { email });
