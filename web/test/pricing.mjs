// The operator's price rules: a preview before saving, the order, and what a tenant then sees.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf } from './seed.mjs';
import { atRest, clean, part, phone, visitorsOf, wide } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const api = apiOf(server);
const shots = process.env.WALK_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const visitors = visitorsOf(browser, server);

const price = async (id) => (await api('GET', `/api/v1/inventory/offers/${id}`)).hourlyPrice;

for (const scheme of ['light', 'dark']) {
  const { page, context, faults } = await visitors.open({ colorScheme: scheme });
  const shot = async (name) =>
    shots && page.screenshot({ path: join(shots, `${name}-${scheme}-${page.viewportSize().width}.png`) });
  await context.request.post('/api/v1/account/sessions', {
    data: { email: server.demo.email, password: server.demo.password },
    headers: { 'Sec-Fetch-Site': 'same-origin' },
  });
  await page.goto('/operator/price-rules');

  await part(`a rule is previewed, saved, moved and deleted (${scheme})`, async () => {
    const usual = await price('off_abc123');
    await page.getByText('There are no price rules. The markups set all prices.').waitFor();
    await page.getByRole('button', { name: 'Create price rule' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create a price rule' });
    await dialog.getByLabel('GPU type').fill('NVIDIA B200');
    await dialog.getByLabel('Percent added to the cost').fill('2000');
    await dialog.getByText('Enter a number from -100 to 1000.').waitFor();
    await dialog.getByLabel('Percent added to the cost').fill('10');
    await dialog.getByLabel('Round up to a multiple of').fill('0.50');
    await dialog.getByText(/^The rule matches \d+ of \d+ offers\. \d+ offers? changes?\.$/).waitFor();
    assert.equal(await price('off_abc123'), usual, 'a preview changes no price');
    await clean(page, 'the dialog');
    await shot('price-rule-dialog');
    await page.setViewportSize(phone);
    await clean(page, 'the dialog on a phone');
    await dialog.getByRole('cell').last().scrollIntoViewIfNeeded();
    await shot('price-rule-dialog');
    const table = await dialog.getByRole('table').evaluate((e) => e.scrollWidth - e.parentElement.clientWidth);
    assert.ok(table <= 0, `the preview is ${table} px too wide for a phone`);
    await page.setViewportSize(wide);
    await dialog.getByRole('button', { name: 'Create price rule' }).click();
    await page.getByText('Cost + 10%, rounded up to a multiple of $0.50').waitFor();
    const ruled = await price('off_abc123');
    assert.ok(ruled > usual && Number.isInteger(ruled * 2), `$${ruled} is no multiple of $0.50`);

    await page.getByRole('button', { name: 'Create price rule' }).click();
    await dialog.getByText('Hide the offers').click();
    await dialog.getByLabel('GPU type').fill('NVIDIA H100');
    await dialog.getByRole('cell', { name: 'Hidden' }).first().waitFor();
    await dialog.getByRole('button', { name: 'Create price rule' }).click();
    await page.getByText('hidden', { exact: true }).waitFor();
    const left = await api('GET', '/api/v1/inventory/offers?gpuType=NVIDIA+H100');
    assert.deepEqual(left, []);

    const menu = (n) => page.getByRole('button', { name: new RegExp(`rule ${n}`) });
    await menu(2).click();
    await page.getByRole('menuitem', { name: 'Move up' }).click();
    await page.getByText('Price rule moved to position 1').waitFor();
    await atRest(page);
    await clean(page, 'price rules');
    await shot('price-rules');
    await page.setViewportSize(phone);
    await atRest(page);
    await clean(page, 'price rules on a phone');
    await shot('price-rules');
    await page.goto('/operator/margins');
    await page.getByText('Tenants pay each hour when it begins.').waitFor();
    await atRest(page);
    await clean(page, 'margins on a phone');
    await shot('margins');
    await page.setViewportSize(wide);
    await shot('margins');
    await page.goto('/operator/price-rules');
    for (const _ of [1, 2]) {
      await menu(1).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    await page.getByText('There are no price rules.').waitFor();
    assert.equal(await price('off_abc123'), usual);
    assert.deepEqual(faults, []);
  });
  await context.close();
}
await browser.close();
await server.stop();
