// A typed client, generated from the description, sees every kind of answer. That it compiles is half of
// the test: `data` and `errorCode` narrow without a cast.
import assert from "node:assert/strict";
import test from "node:test";

import createClient from "openapi-fetch";
import type { components, paths } from "./generated/magic-auth.js";

const baseUrl = process.env["MAGIC_AUTH_URL"] ?? "http://127.0.0.1:8080";
const key = process.env["MAGIC_AUTH_KEY"] ?? "";
const developerKey = process.env["MAGIC_AUTH_DEV_KEY"] ?? "";

const clientWith = (apiKey: string) =>
  createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } });
const client = clientWith(key);

type Code = components["schemas"]["Refused"]["errorCode"];

async function signIn(email: string, by = client): Promise<{ identityId: string } | { code: Code }> {
  const { data, error } = await by.POST("/api/v1/customer/magic-auth", { body: { email } });
  assert(data, `refused as a request: ${JSON.stringify(error)}`);
  return data.success ? { identityId: data.identityId } : { code: data.errorCode };
}

async function identity(email: string): Promise<string> {
  const answer = await signIn(email);
  assert("identityId" in answer);
  return answer.identityId;
}

test("signs in, asks whose session it is, and logs out", async () => {
  const identityId = await identity("jan@barasek.com");
  const account = async () => {
    const { data } = await client.GET("/api/v1/customer/get-account-info", { params: { query: { identityId } } });
    assert(data);
    return data;
  };

  const before = await account();
  assert(before.loggedIn);
  assert.equal(before.email, "jan@barasek.com");
  assert.equal(before.cuRefNo.length, 16);

  const { data } = await client.POST("/api/v1/customer/logout", { body: { identityId } });
  assert.equal(data?.success, true);
  assert.deepEqual(await account(), { loggedIn: false });
});

test("a refused sign-in is data with a code, for each of the seven", async () => {
  const developer = clientWith(developerKey);
  const codes: Code[] = ["E001", "E002", "E003", "E004", "E005", "E006", "E007"];
  for (const code of codes) {
    assert.deepEqual(await signIn(`${code.toLowerCase()}@magic.test`, developer), { code });
  }
  assert("identityId" in (await signIn("ok@magic.test", developer)));
});

test("E004 and E006 as they happen to real addresses", async () => {
  assert.deepEqual(await signIn("no address"), { code: "E004" });
  for (let attempt = 0; attempt < 10; attempt++) {
    await identity("often@barasek.com");
  }
  const { data, response } = await client.POST("/contact/v1/magic-auth", { body: { email: "often@barasek.com" } });
  assert(data && !data.success);
  assert.equal(data.errorCode, "E006");
  assert(Number(response.headers.get("Retry-After")) >= 1);
});

test("a wrong request is an error with details, a wrong key one without", async () => {
  const wrong = await client.POST("/api/v1/customer/magic-auth", {
    body: { email: "jan@barasek.com", customerRealIp: "1.1.1.1:80" },
  });
  assert.equal(wrong.response.status, 422);
  assert(wrong.error && "details" in wrong.error);
  assert.equal(wrong.error.details[0]?.field, "customerRealIp");

  const stranger = await clientWith("PRODnobody0000000000000000000000").GET("/api/v1/ping");
  assert.equal(stranger.response.status, 401);
  assert.equal(stranger.error?.errorCode, "PUBLIC_API_KEY_DOES_NOT_EXIST");
});

test("a client of the hosted platform works with nothing changed but the base URL", async () => {
  // It posts the key in the query and in the body, and takes any answer with an identityId as signed in.
  const post = async (path: string, body: object) => {
    const reply = await fetch(`${baseUrl}${path}?apiKey=${key}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ apiKey: key, ...body }),
    });
    return (await reply.json()) as Record<string, unknown>;
  };
  const signedIn = await post("/api/v1/customer/magic-auth", {
    email: "eva@barasek.com",
    firstName: "Eva",
    lastName: "Nováková",
  });
  assert.equal(typeof signedIn["identityId"], "string");
  const query = new URLSearchParams({ apiKey: key, identityId: String(signedIn["identityId"]) });
  const info = await (await fetch(`${baseUrl}/api/v1/customer/get-account-info?${query}`)).json();
  assert.equal(info.lastName, "Nováková");
  assert.deepEqual(await post("/api/v1/customer/logout", { identityId: signedIn["identityId"] }), { success: true });
});
