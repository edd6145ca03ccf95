// The second factor: codes of an authenticator app (TOTP), and recovery codes.

import { request } from "./api.js";

/** Return which factors the user has. */
export const getFactors = () => request("GET", "/api/auth/mfa");

/** Return a secret for an authenticator app, as text and as a QR code. It is not in force yet. */
export const createTotp = () => request("POST", "/api/auth/mfa/totp");

/** Put the secret in force by a first code; return the recovery codes, which are shown once. */
export const confirmTotp = (code) => request("POST", "/api/auth/mfa/totp/confirm", { code });

/** Log in without a code again. */
export const removeTotp = () => request("DELETE", "/api/auth/mfa/totp");

/** Replace the recovery codes; return the new ones, which are shown once. */
export const createRecoveryCodes = () => request("POST", "/api/auth/mfa/recovery-codes");
