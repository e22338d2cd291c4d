// Drives a headless Chromium through what a web application does with a store on another origin. Reads its task as JSON
// on stdin, prints one JSON line a step: {step, result} or {step, error}. Run by test_browser.py.

import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const load = createRequire(`${process.env.S3_TEST_NODE_MODULES}/`);
const { chromium } = load("playwright-core");

let text = "";
for await (const piece of process.stdin) text += piece;
const task = JSON.parse(text);

const flags = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors",
];

// Runs in the page: a request as the application would make it, and what the application gets to see of the answer.
const request = async ({ url, method, body, headers, form }) => {
  let sent = body;
  if (form) {
    sent = new FormData();
    for (const [name, value] of Object.entries(form.fields)) sent.append(name, value);
    sent.append("file", new Blob([form.file], { type: "text/plain" }), form.filename);
  }
  try {
    const answer = await fetch(url, { method, body: sent, headers });
    return { status: answer.status, etag: answer.headers.get("ETag"), text: await answer.text() };
  } catch (error) {
    return { refused: error.name };
  }
};

// Runs in the page: fills in a form and sends it by navigation.
const submit = ({ url, fields, file, filename }) => {
  const form = document.createElement("form");
  Object.assign(form, { action: url, method: "post", enctype: "multipart/form-data" });
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value });
    form.append(input);
  }
  const input = document.createElement("input");
  Object.assign(input, { type: "file", name: "file" });
  const chosen = new DataTransfer();
  chosen.items.add(new File([file], filename, { type: "text/plain" }));
  input.files = chosen.files;
  form.append(input);
  document.body.append(form);
  form.submit();
};

const profile = mkdtempSync(join(process.env.S3_TEST_TMP || tmpdir(), "browser-"));
let context;
try {
  context = await chromium.launchPersistentContext(profile, {
    executablePath: task.executable, headless: true, args: flags, ignoreHTTPSErrors: true, timeout: 180000,
  });
  for (const { step, origin, navigate, ...details } of task.steps) {
    const page = await context.newPage();
    try {
      await page.goto(origin, { timeout: 120000 });
      let result;
      if (navigate) {
        await page.evaluate(submit, details);
        await page.waitForURL((url) => url.href.startsWith(navigate), { timeout: 120000 });
        result = { url: page.url() };
      } else {
        result = await page.evaluate(request, details);
      }
      console.log(JSON.stringify({ step, result }));
    } catch (error) {
      console.log(JSON.stringify({ step, error: String(error) }));
    } finally {
      await page.close();
    }
  }
} finally {
  await context?.close();
  rmSync(profile, { recursive: true, force: true });
}
