// The page /docs in a real browser: open it, enter a key, send the example, see the identityId. Nothing is
// loaded from elsewhere, and the page breaks none of its own rules.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const url = process.env.MAGIC_AUTH_URL;
const key = process.env.MAGIC_AUTH_DEV_KEY;
const picture = process.env.MAGIC_AUTH_PICTURE;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 1400 } });
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) complaints.push(request.url());
  });

  await page.goto(`${url}/docs`);
  await page.getByRole("button", { name: "Authorize" }).click();
  await page.getByLabel("auth-bearer-value").fill(key);
  await page.locator(".auth-container").filter({ hasText: "bearer" }).getByRole("button", { name: "Apply credentials" }).click();
  await page.getByRole("button", { name: "Close" }).first().click();

  const operation = page.locator("#operations-customer-magicAuth");
  await operation.locator(".opblock-summary").click();
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table .response .highlight-code").first();
  await answer.waitFor();
  const text = await answer.innerText();
  if (picture) await page.screenshot({ path: picture });

  assert.match(text, /"success": true/);
  assert.match(text, /"identityId": "[A-Za-z0-9]{32}"/);
  assert.deepEqual(complaints, []);
  console.log("the page signs in");
} finally {
  await browser.close();
}
