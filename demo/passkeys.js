// The user's passkeys.

import { request } from "./api.js";
import { createCredential } from "./webauthn.js";

const PASSKEYS = "/api/auth/passkeys";

/** Return the user's passkeys. */
export const listPasskeys = () => request("GET", PASSKEYS);

/** Create a passkey on this device and add it to the account. */
export async function addPasskey(name) {
  const options = await request("POST", `${PASSKEYS}/options`);
  const credential = await createCredential(options);
  return request("POST", PASSKEYS, { credential, name });
}

/** Give a passkey another name. */
export const renamePasskey = (id, name) => request("PATCH", `${PASSKEYS}/${id}`, { name });

/** Remove a passkey from the account. The device keeps its half, which opens nothing any more. */
export const removePasskey = (id) => request("DELETE", `${PASSKEYS}/${id}`);
