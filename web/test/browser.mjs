// A browser for tests: Debian's chromium, or the one that CHROMIUM names.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export function launch() {
  return chromium.launch({
    // The test closes it together with the server; see ending.
    handleSIGINT: false,
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
}

/** Closes what an interrupted test has started. */
export function ending(...ends) {
  process.once('SIGINT', async () => {
    for (const end of ends) await end().catch(() => {});
    process.exit(130);
  });
}

/**
 * Watches a page; `faults` fills with console errors, failures in scripts, and requests to other
 * hosts.
 */
export function watch(page, host, { allow = () => false } = {}) {
  const faults = [];
  page.on('console', (m) => {
    if (m.type() === 'error' && !allow(m.text(), m.location().url))
      faults.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on('pageerror', (e) => faults.push(`script: ${e.stack ?? e}`));
  page.on('request', (r) => {
    const url = new URL(r.url());
    if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && url.host !== host)
      faults.push(`request elsewhere: ${r.url()}`);
  });
  return faults;
}

/** The issues that axe-core finds on the page: one line for each issue and element. */
export async function axe(page) {
  let found = await issues(page);
  // Issues during a render are transient; those that stay count.
  for (let tries = 0; tries < 20 && found.length > 0; tries++) {
    await pause(500);
    const again = await issues(page);
    found = found.filter((f) => again.includes(f));
  }
  return found;
}

async function issues(page) {
  // Evaluated by the debugger, so that the page's content security policy stays in force.
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() =>
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  return violations.flatMap((v) =>
    v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary?.split('\n')[1] ?? ''}`),
  );
}
