// The same sign-in in Bun with Elysia: one durable transaction for each request.
//
// bun elysia.ts DATABASE

import { Database } from "bun:sqlite";
import { Elysia, t } from "elysia";

const database = new Database(Bun.argv[2]);
database.run("PRAGMA journal_mode = WAL");
database.run("PRAGMA synchronous = FULL");
database.run("PRAGMA foreign_keys = ON");

const findCustomer = database.query<{ id: number }, [string]>("SELECT id FROM customers WHERE email = ?");
const insertCustomer = database.query<{ id: number }, [string, string, string | null, string | null]>(
  "INSERT INTO customers (email, reference, first_name, last_name) VALUES (?, ?, ?, ?) RETURNING id",
);
const insertSession = database.query("INSERT INTO sessions (digest, customer_id, ip, expires_at) VALUES (?, ?, ?, ?)");
const insertAttempt = database.query("INSERT INTO attempts (customer_id, ip, at) VALUES (?, ?, ?)");

const body = t.Object({
  email: t.String(),
  firstName: t.Optional(t.String()),
  lastName: t.Optional(t.String()),
  customerRealIp: t.Optional(t.String()),
});

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ alphabet: "base64url" });

const signIn = database.transaction(({ email, firstName, lastName, customerRealIp }: typeof body.static) => {
  const customer =
    findCustomer.get(email) ?? insertCustomer.get(email, random(12), firstName ?? null, lastName ?? null)!;
  const token = random(24);
  const digest = new Bun.CryptoHasher("sha256").update(token).digest();
  const now = Date.now();
  insertSession.run(digest, customer.id, customerRealIp ?? null, now + 90 * 86_400_000);
  insertAttempt.run(customer.id, customerRealIp ?? null, now);
  return token;
});

const server = new Elysia()
  .post("/api/v1/customer/magic-auth", ({ body }) => ({ success: true, identityId: signIn.immediate(body) }), { body })
  .listen({ hostname: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${server.server!.port}`);
