// Shared by the browser tests: a watched page, signing in, and the checks of a page at rest.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { axe, watch } from './browser.mjs';

/** A folder for screenshots, if they are wanted. */
export const shots = process.env.WALK_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

export const wide = { width: 1440, height: 900 };
export const phone = { width: 390, height: 844 };

// A refusal without a session is expected; the browser logs it all the same.
export const expected = [/\/account\/me$/];

export function visitorsOf(browser, server, url = server.url) {
  const visitors = {
    /** Paths whose refusal is expected at present. */
    allowed: expected,
    open: async (options = {}) => {
      const context = await browser.newContext({ baseURL: url, viewport: wide, reducedMotion: 'reduce', ...options });
      await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      const allow = (_text, at) => visitors.allowed.some((pattern) => pattern.test(new URL(at, url).pathname));
      return { page, context, faults: watch(page, new URL(url).host, { allow }) };
    },
    /** Signs the context in without its page, as the demo account's owner. */
    signedIn: async (context) => {
      const { email, password } = server.demo;
      const answer = await context.request.post('/api/v1/account/sessions', {
        data: { email, password },
        headers: { 'Sec-Fetch-Site': 'same-origin' },
      });
      assert.equal(answer.status(), 201, await answer.text());
    },
  };
  return visitors;
}

export async function part(name, act) {
  const began = Date.now();
  await act();
  console.log(`ok ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

export async function atRest(page) {
  await page.locator('h1').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
}

/** Asserts that the page at rest has no axe issues and does not scroll sideways. */
export async function clean(page, where) {
  await atRest(page);
  assert.deepEqual(await axe(page), [], `axe on ${where}`);
  const sideways = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(sideways, 0, `${where} scrolls sideways`);
}

/** Asserts that no card of a list on a phone is cut off: a long list's cards are equally high. */
export async function whole(page, where) {
  const cut = await page
    .locator('.cards > li')
    .evaluateAll((all) => all.filter((li) => li.scrollHeight > li.clientHeight + 1).map((li) => li.innerText));
  assert.deepEqual(cut, [], `cards of ${where} are cut off`);
}

/** Asserts that the page is clean in both themes, on a wide screen and on a phone. */
export async function everywhere(page, where) {
  for (const colorScheme of ['light', 'dark'])
    for (const size of [wide, phone]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize(size);
      await clean(page, `${where}, ${colorScheme}, ${size.width}`);
      if (shots)
        await page.screenshot({ path: join(shots, `${where}-${colorScheme}-${size.width}.png`), fullPage: true });
    }
  await page.setViewportSize(wide);
}
