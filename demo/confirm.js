// The dialog "Confirm that it is you", for what the API allows only after a recent login.

import { send } from "./http.js";
import { onClick, onSubmit, openDialog, show } from "./page.js";
import { authorized, sendForPair } from "./tokens.js";
import { hasPasskeys, signChallenge } from "./webauthn.js";

const REFUSED = "You did not confirm that it is you: nothing is changed.";

/** Prove who the user is, by one of current_password, code and credential; keep the next pair. */
export const reauthenticate = (proof) =>
  authorized(sendForPair, "POST", "/api/auth/reauthenticate", proof);

/** Ask for a proof until the API accepts one; throw an error if the dialog is closed before. */
export async function confirmIdentity() {
  const factors = await authorized(send, "GET", "/api/auth/mfa");
  const [dialog, closed] = openDialog("confirm");
  showProofs(dialog, factors);
  onSubmit(dialog.querySelector("form"), (proof) => confirm(dialog, proof));
  onClick(dialog.querySelector(".passkey"), async () => {
    await confirm(dialog, { credential: await signChallenge() });
  });
  onClick(dialog.querySelector(".cancel"), async () => dialog.close());
  if ((await closed) !== "confirmed") throw new Error(REFUSED);
}

/** Send a proof; close the dialog if the API accepts it. */
async function confirm(dialog, proof) {
  await reauthenticate(proof);
  dialog.close("confirmed");
}

/** Show the proofs that the user has: who has TOTP is not asked for the password. */
function showProofs(dialog, { totp, passkeys }) {
  show(dialog.querySelector(".password"), !totp);
  show(dialog.querySelector(".code"), totp);
  show(dialog.querySelector(".passkey"), passkeys > 0 && hasPasskeys());
  dialog.querySelector(totp ? "[name=code]" : "[name=current_password]").focus();
}
