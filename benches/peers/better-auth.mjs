// The nearest that better-auth has: a plugin whose one endpoint finds or makes the user and makes a session, with
// better-auth's own tables and functions. It is other work than ours, and stands in the table for orientation.
//
// node better-auth.mjs DATABASE              serves
// node better-auth.mjs DATABASE --prepare    makes the tables, with the known customers in them

import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { createAuthEndpoint } from "better-auth/api";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import Database from "better-sqlite3";
import * as z from "zod";

const [, , path, command] = process.argv;
const database = new Database(path);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");

const trustedSignIn = {
  id: "trusted-sign-in",
  endpoints: {
    trustedSignIn: createAuthEndpoint(
      "/trusted-sign-in",
      { method: "POST", body: z.object({ email: z.email(), firstName: z.string().optional() }) },
      async (request) => {
        const users = request.context.internalAdapter;
        const { email, firstName: name = "" } = request.body;
        const user =
          (await users.findUserByEmail(email))?.user ?? (await users.createUser({ email, name, emailVerified: true }));
        const session = await users.createSession(user.id);
        return request.json({ success: true, identityId: session.token });
      },
    ),
  },
};

const auth = betterAuth({
  database,
  secret: "the secret of a benchmark, which protects nothing",
  baseURL: "http://127.0.0.1",
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [trustedSignIn],
});

if (command === "--prepare") {
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();
  const insert = database.prepare(
    "INSERT INTO user (id, name, email, emailVerified, createdAt, updatedAt) VALUES (?, 'Jan', ?, 1, ?, ?)",
  );
  const now = new Date().toISOString();
  database.transaction(() => {
    for (let number = 1; number <= 10_000; number++) {
      const scattered = (number * 2654435761) % 2 ** 32;
      insert.run(crypto.randomUUID(), `${scattered.toString(16).padStart(8, "0")}@example.com`, now, now);
    }
  })();
  database.close();
} else {
  const server = createServer(toNodeHandler(auth));
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
}
