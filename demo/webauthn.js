// Passkeys in the browser: what the API sends and gets is JSON, and the browser converts it.

import { send } from "./http.js";

/** Return whether this browser has passkeys, and they can belong to this page: not to an IP. */
export const hasPasskeys = () =>
  "PublicKeyCredential" in window &&
  "parseCreationOptionsFromJSON" in PublicKeyCredential &&
  !/^[\d.]+$|^\[/.test(location.hostname);

/** Create a passkey on this device, after the person was recognised by it. */
export async function createCredential(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ publicKey });
  return credential.toJSON();
}

/** Let the person choose a passkey, and sign a challenge of the API with it. */
export async function signChallenge() {
  const options = await send("POST", "/api/auth/login/passkey/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  return credential.toJSON();
}
