// better-auth, as documented, on the database of the product or, with SQLITE, in a file of SQLite;
// and a list of movies.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import bcrypt from "bcrypt";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import nodemailer from "nodemailer";

const { JWT_SECRET_KEY, MAIL_PORT, PORT, SQLITE } = process.env;
const { database, listMovies } = await (SQLITE ? import("./sqlite.js") : import("./mongodb.js"));
const mail = nodemailer.createTransport({ host: "127.0.0.1", port: MAIL_PORT });

const auth = betterAuth({
  baseURL: `http://127.0.0.1:${PORT}`,
  secret: JWT_SECRET_KEY,
  database,
  // Text, because the embedded database finds no ObjectId in an aggregation.
  advanced: { database: { generateId: () => randomUUID() } },
  rateLimit: { enabled: false }, // the limits of the product refuse no request of the measurement
  emailAndPassword: {
    enabled: true,
    password: {
      hash: (password) => bcrypt.hash(password, 12),
      verify: ({ hash, password }) => bcrypt.compare(password, hash),
    },
    // Not awaited, as its documentation says: timing would reveal who has an account.
    sendResetPassword: async ({ user, url }) => {
      void mail.sendMail({
        from: "support@movie-bag.com",
        to: user.email,
        subject: "Reset your password",
        text: url,
      });
    },
  },
});
if (SQLITE) await (await getMigrations(auth.options)).runMigrations();

const handler = toNodeHandler(auth);
createServer(async (request, response) => {
  if (request.url !== "/movies") return handler(request, response);
  const body = JSON.stringify(await listMovies());
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}).listen(PORT, "127.0.0.1");
