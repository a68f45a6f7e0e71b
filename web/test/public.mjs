// The public pages and the operator's logo, name and color, in both themes, wide and on a phone.
// PUBLIC_SHOTS is a folder for screenshots.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { seed } from './seed.mjs';
import { atRest, clean, expected, part, phone, visitorsOf } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);
const shots = process.env.PUBLIC_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const desktop = { width: 1280, height: 900 };

const operator = await visitors.open();
await visitors.signedIn(operator.context);

async function send(method, path, data) {
  const answer = await operator.context.request.fetch(path, {
    method,
    data,
    headers: { 'Sec-Fetch-Site': 'same-origin' },
  });
  assert.equal(answer.status(), 200, await answer.text());
}

/** Visits a page in both themes at both sizes. */
async function everywhere(page, path, name, ready) {
  for (const scheme of ['light', 'dark'])
    for (const viewport of [desktop, phone]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize(viewport);
      await page.goto(path);
      await ready(page);
      await atRest(page);
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(sideways <= 0, `${name} at ${viewport.width} scrolls sideways by ${sideways}`);
      await clean(page, `${name}, ${scheme}, ${viewport.width}`);
      if (shots)
        await page.screenshot({ path: join(shots, `${name}-${scheme}-${viewport.width}.png`), fullPage: true });
    }
}

try {
  await seed(server);
  const { page } = await visitors.open();

  await part('the public pages are off at first', async () => {
    visitors.allowed = [...expected, /\/public\/(prices|status)$/];
    for (const path of ['/prices', '/status']) {
      await page.goto(path);
      await page.getByText('This page is not public.').waitFor();
      await clean(page, `${path}, off`);
    }
    visitors.allowed = expected;
    await page.goto('/sign-in');
    await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Prices' }).count(), 0);
  });

  await part('prices and status can be read without signing in', async () => {
    await send('PATCH', '/api/v1/operator/settings', { publicPages: { prices: true, status: true } });
    await page.goto('/sign-in');
    await page.getByRole('link', { name: 'Prices' }).click();
    await page.waitForURL('**/prices');
    await everywhere(page, '/prices', 'prices', async (p) => {
      await p.getByRole('heading', { name: 'Prices' }).waitFor();
      await p.locator('.price-group summary').first().click();
      await p.getByRole('columnheader', { name: 'Provider' }).first().waitFor();
    });
    await everywhere(page, '/status', 'status', async (p) => {
      await p.getByText('Everything works.').waitFor();
      await p.getByRole('heading', { name: 'Incidents in the last 30 days' }).waitFor();
    });
  });

  await part("the operator's logo, name and color are everywhere", async () => {
    const canvas = await operator.page.evaluate(() => {
      const c = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
      const draw = c.getContext('2d');
      draw.fillStyle = '#1f6feb';
      draw.arc(32, 32, 30, 0, 7);
      draw.fill();
      return c.toDataURL('image/png').split(',')[1];
    });
    await send('PUT', '/api/v1/operator/settings/logo', { content: canvas });
    await send('PATCH', '/api/v1/operator/settings', {
      installation: { name: 'Example Cloud', supportAddress: 'help@example.com' },
      branding: { primaryColor: '#1f6feb' },
    });
    const stranger = await visitors.open();
    await everywhere(stranger.page, '/sign-in', 'sign-in', async (p) => {
      await p.getByText('Example Cloud').first().waitFor();
      await p.locator('.logo img').first().waitFor();
      await p.waitForFunction(() => document.title === 'Sign in · Example Cloud');
      const color = await p
        .getByRole('button', { name: 'Sign in', exact: true })
        .evaluate((b) => getComputedStyle(b).backgroundColor);
      assert.equal(color, 'rgb(31, 111, 235)');
    });
    await everywhere(operator.page, '/overview', 'overview', async (p) => {
      await p.getByRole('heading', { name: 'Overview' }).first().waitFor();
      await p.waitForFunction(() => document.title.endsWith('Example Cloud'));
    });
    const icon = await stranger.page.locator('link[rel=icon]').getAttribute('href');
    assert.match(icon, /^\/branding\/logo\?v=/);
  });

  await part('the operator announces, and a tenant dismisses', async () => {
    const p = operator.page;
    await p.emulateMedia({ colorScheme: 'light' });
    await p.setViewportSize(desktop);
    await p.goto('/operator/announcements');
    await p.getByRole('button', { name: 'Create announcement' }).first().click();
    await p.getByRole('textbox', { name: 'Title' }).fill('Maintenance in Dallas');
    await p.getByRole('textbox', { name: 'Text' }).fill('On Sunday, machines keep running.\nNew launches wait.');
    await p.getByRole('combobox', { name: 'Level' }).selectOption('warning');
    await p.getByLabel('Until').fill('2099-01-01T00:00');
    visitors.allowed = [...expected, /\/operator\/announcements$/];
    const dialog = p.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Create announcement' }).click();
    await dialog.getByText('must be within a year').waitFor();
    await clean(p, 'the dialog of an announcement');
    if (shots) await p.screenshot({ path: join(shots, 'announcement-dialog.png') });
    visitors.allowed = expected;
    const now = await operator.context.request.get('/api/v1/inventory/wallet');
    const at = new Date(now.headers().date).getTime();
    assert.ok(at > 0);
    await p.getByLabel('Until').fill(new Date(at + 7 * 24 * 3_600_000).toISOString().slice(0, 16));
    await dialog.getByRole('button', { name: 'Create announcement' }).click();
    await p.getByRole('table', { name: 'Announcements' }).getByText('Maintenance in Dallas').waitFor();
    await everywhere(p, '/operator/announcements', 'operator-announcements', async (q) => {
      await q.getByLabel('Announcement', { exact: true }).getByText('Maintenance in Dallas').waitFor();
    });
    await everywhere(p, '/operator/settings', 'operator-settings', async (q) => {
      await q.getByRole('heading', { name: 'Logo', exact: true }).waitFor();
    });
    await p.setViewportSize(desktop);
    await p.goto('/status');
    await p.getByRole('list', { name: 'Announcements' }).getByText('Maintenance in Dallas').waitFor();
    if (shots) await p.screenshot({ path: join(shots, 'status-announced.png') });
    await p.goto('/overview');
    await p.getByRole('button', { name: 'Dismiss Maintenance in Dallas' }).click();
    await p.reload();
    await atRest(p);
    assert.equal(await p.getByText('Maintenance in Dallas').count(), 0);
  });

  await part('an SVG logo is refused in words', async () => {
    const p = operator.page;
    await p.goto('/operator/settings');
    visitors.allowed = [...expected, /\/settings\/logo$/, /\/operator\/settings$/];
    await p.getByLabel('Logo file').setInputFiles({
      name: 'logo.png',
      mimeType: 'image/png',
      buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    });
    await p.getByText('SVG image, which can contain scripts').waitFor();
    await p.getByLabel('Primary color').fill('#7c7c7c');
    await p.getByRole('button', { name: 'Save color' }).click();
    await p.getByText('The nearest color that passes is').waitFor();
    await clean(p, 'a refused color');
    visitors.allowed = expected;
  });

  await part('no page is faulty', async () => {
    assert.deepEqual(operator.faults, []);
  });
} finally {
  await browser.close();
  await server.stop();
}
