// Requests of a user who is logged in.

import { confirmIdentity } from "./confirm.js";
import { send } from "./http.js";
import { authorized, sendForPair } from "./tokens.js";

/** Send a request as the user. */
export const request = (...call) => confirmed(() => authorized(send, ...call));

/** Send a request as the user, whose response is the next pair. */
export const requestPair = (...call) => confirmed(() => authorized(sendForPair, ...call));

/** Do action; if the API asks for a recent login, let the user confirm, and do it again. */
async function confirmed(action) {
  try {
    return await action();
  } catch (error) {
    if (error.error !== "ReauthenticationRequiredError") throw error;
    await confirmIdentity();
    return action();
  }
}
