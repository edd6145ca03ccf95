// The view of security: second factor, passkeys, password, email, language.

import * as auth from "./auth.js";
import * as factors from "./factors.js";
import {
  allowPasskeys,
  fromTemplate,
  newElement,
  onClick,
  onSubmit,
  openDialog,
  say,
  show,
} from "./page.js";
import * as passkeys from "./passkeys.js";

/** Set up every section, then show all: what arrives later would undo what a user has begun. */
export async function securityView(main) {
  const totpSection = main.querySelector(".totp");
  const passkeySection = main.querySelector(".passkeys");
  setUpTotp(totpSection);
  setUpPasskeys(passkeySection);
  setUpPassword(main.querySelector(".password form"));
  setUpEmail(main.querySelector(".email form"));
  const user = await auth.getUser();
  showUser(main, user);
  setUpLanguage(main.querySelector(".language form"), user.locale);
  await Promise.all([showFactors(totpSection), showPasskeys(passkeySection)]);
  show(main.querySelector(".panels"), true);
}

/** Say who is logged in, and that they must confirm their address if they have not. */
function showUser(main, user) {
  main.querySelector(".account").textContent = `You are ${user.email}.`;
  main.querySelector(".username").value = user.email;
  const notice = main.querySelector(".unverified");
  show(notice, !user.verified);
  onClick(notice.querySelector("button"), async () => {
    say((await auth.resendConfirmation(user.email)).message);
  });
}

/** Show whether the user has TOTP, and how many recovery codes are left. */
async function showFactors(section) {
  const { totp, recovery_codes_left } = await factors.getFactors();
  showState(section, totp ? "on" : "off", totp);
  show(section.querySelector(".on"), totp);
  show(section.querySelector(".off"), !totp);
  show(section.querySelector(".setup"), false);
  section.querySelector(".codes-left").textContent =
    `${recovery_codes_left} recovery codes are left.`;
}

/** Show a state beside the heading of a section. */
function showState(section, text, isGood) {
  const state = section.querySelector(".state");
  state.textContent = text;
  state.classList.toggle("sent", isGood);
}

/** Set up the buttons of the second factor, and the form for its first code. */
function setUpTotp(section) {
  onClick(section.querySelector(".start"), async () => {
    showSecret(section, await factors.createTotp());
  });
  onSubmit(section.querySelector("form"), ({ code }) => confirmTotp(section, code));
  onClick(section.querySelector(".renew"), async () => {
    await showRecoveryCodes(await factors.createRecoveryCodes());
    await showFactors(section);
  });
  onClick(section.querySelector(".remove"), async () => {
    say((await factors.removeTotp()).message);
    await showFactors(section);
  });
}

/** Put the second factor in force by its first code. */
async function confirmTotp(section, code) {
  await showRecoveryCodes(await factors.confirmTotp(code));
  await showFactors(section);
  say("A login asks for a code now. Every other session has ended.");
}

/** Show a secret, and ask for a first code. */
function showSecret(section, { secret, qr }) {
  show(section.querySelector(".off"), false);
  show(section.querySelector(".setup"), true);
  section.querySelector(".qr").src = qr;
  section.querySelector(".secret").textContent = secret;
  section.querySelector("[name=code]").value = "";
  section.querySelector("[name=code]").focus();
}

/** Show recovery codes in a dialog until it is closed. */
function showRecoveryCodes({ recovery_codes }) {
  const [dialog, closed] = openDialog("recovery-codes");
  const items = recovery_codes.map((code) => newElement("li", code));
  dialog.querySelector(".codes").append(...items);
  onClick(dialog.querySelector(".close"), async () => dialog.close());
  onClick(dialog.querySelector(".copy"), async () => {
    await navigator.clipboard.writeText(recovery_codes.join("\n"));
    dialog.querySelector(".copy").textContent = "Copied";
  });
  return closed;
}

/** Set up the form that adds a passkey. */
function setUpPasskeys(section) {
  allowPasskeys(section);
  const form = section.querySelector("form");
  onSubmit(form, async ({ name }) => {
    const passkey = await passkeys.addPasskey(name);
    form.reset();
    await showPasskeys(section);
    say(`${passkey.name} is added.`);
  });
}

/** List the passkeys, each with its buttons. */
async function showPasskeys(section) {
  const list = await passkeys.listPasskeys();
  const items = list.map((passkey) => passkeyItem(passkey, () => showPasskeys(section)));
  showState(section, String(list.length), list.length > 0);
  section.querySelector(".list").replaceChildren(...items);
}

/** Return the item of a passkey; reload lists them again. */
function passkeyItem(passkey, reload) {
  const item = fromTemplate("passkey").firstElementChild;
  item.querySelector("strong").textContent = passkey.name;
  item.querySelector(".note").textContent = describe(passkey);
  const [rename, remove] = item.querySelectorAll("button");
  rename.ariaLabel = `Rename ${passkey.name}`;
  remove.ariaLabel = `Remove ${passkey.name}`;
  onClick(rename, async () => showRename(item, passkey, reload));
  onClick(remove, async () => {
    say((await passkeys.removePasskey(passkey.id)).message);
    await reload();
  });
  return item;
}

/** Say when a passkey was added and used, and whether the device's maker keeps a copy of it. */
function describe({ created_at, last_used_at, backed_up }) {
  const day = (time) => new Date(time).toLocaleDateString();
  const used = last_used_at ? `last used ${day(last_used_at)}` : "never used";
  return `added ${day(created_at)}, ${used}, ${backed_up ? "synchronised" : "on one device"}`;
}

/** Put a form for a new name in place of a passkey's buttons. */
function showRename(item, passkey, reload) {
  item.querySelector(".buttons").replaceWith(fromTemplate("rename"));
  const form = item.querySelector("form");
  form.elements.name.value = passkey.name;
  form.elements.name.focus();
  onClick(form.querySelector(".cancel"), reload);
  onSubmit(form, async ({ name }) => {
    await passkeys.renamePasskey(passkey.id, name);
    await reload();
  });
}

/** Set up the form of a new password. */
function setUpPassword(form) {
  onSubmit(form, async (fields) => {
    await auth.changePassword(fields);
    form.reset();
    say("The password is changed. Every other session has ended.");
  });
}

/** Set up the form of another address. */
function setUpEmail(form) {
  onSubmit(form, async ({ email }) => {
    say((await auth.changeEmail(email)).message);
    form.reset();
  });
}

/** Set up the choice of a language. */
function setUpLanguage(form, locale) {
  form.elements.locale.value = locale;
  onSubmit(form, async (fields) => {
    await auth.changeUser(fields);
    say("The language is changed.");
  });
}
