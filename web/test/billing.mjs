// Paying by simulated payments, automatic top-ups, billing details, and the month's invoice.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { axe, ending, launch } from './browser.mjs';
import { apiOf } from './seed.mjs';
import { everywhere, expected, part, shots, visitorsOf } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const api = apiOf(server);
const base = '/api/v1/inventory';
// Payment pages are at the address that the server listens at.
const visitors = visitorsOf(browser, server, server.url.replace('localhost', '127.0.0.1'));
// Refused amounts are tried on purpose.
visitors.allowed = [...expected, /\/top-ups$/, /\/auto-top-up$/];
const { page, context, faults } = await visitors.open();

/** Begins a top-up, and returns once its payment page is open. */
async function topUp(amount, save = false) {
  await page.goto('/wallet');
  await page.getByRole('link', { name: 'Top up', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Top up the wallet' });
  await dialog.getByLabel('Amount (USD)').fill(amount);
  if (save) await dialog.getByLabel('Save the payment method').check();
  await dialog.getByRole('button', { name: /^Continue to payment/ }).click();
  await page.getByRole('heading', { name: 'Simulated payment' }).waitFor();
}

const statement = () => page.getByRole('table', { name: 'Top-ups' });

/** Calls the operator's API in the session of the demo account, whose owner is an operator. */
async function operate(method, path, data) {
  const answer = await context.request.fetch(path, { method, data, headers: { 'Sec-Fetch-Site': 'same-origin' } });
  assert.ok(answer.ok(), `${method} ${path}: ${await answer.text()}`);
}

try {
  await visitors.signedIn(context);
  const before = await api('GET', `${base}/wallet`);

  await part('a page without payments', async () => {
    await page.goto('/billing');
    await page.getByText('No invoices yet.').waitFor();
    await page.getByText('No top-ups yet.').waitFor();
    await everywhere(page, 'billing-empty');
  });

  await part('a payment adds money, once', async () => {
    await page.goto('/billing?new=1');
    const dialog = page.getByRole('dialog', { name: 'Top up the wallet' });
    await dialog.getByLabel('Amount (USD)').fill('fifty');
    await dialog.getByText('Enter an amount in US dollars').waitFor();
    await dialog.getByLabel('Amount (USD)').fill('0.5');
    await dialog.getByRole('button', { name: /^Continue to payment/ }).click();
    await dialog.getByText(/must be from/).waitFor();
    await everywhere(page, 'top-up-dialog');
    await topUp('50', true);
    assert.deepEqual(await axe(page), [], 'axe on the payment page');
    await page.getByText('This payment is simulated.').waitFor();
    if (shots) await page.screenshot({ path: join(shots, 'payment.png') });
    await page.getByRole('button', { name: 'Pay $50.00' }).click();
    await page.getByRole('link', { name: 'Return to the wallet' }).click();
    await page.getByText('Payment received').waitFor();
    await page.getByText('$50.00 was added to the wallet.').waitFor();
    await everywhere(page, 'wallet-topped-up');
    await page.reload();
    await page.getByText('Payment received').waitFor();
    const after = await api('GET', `${base}/wallet`);
    assert.equal(after.balance, before.balance + 50);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await page.getByText('Payment received').waitFor({ state: 'detached' });
  });

  await part('a declined payment adds nothing', async () => {
    await topUp('70');
    await page.getByRole('button', { name: 'Decline the card' }).click();
    await page.getByRole('link', { name: 'Return to the wallet' }).click();
    await page.getByText(/Payment (failed|pending)/).waitFor();
    const after = await api('GET', `${base}/wallet`);
    assert.equal(after.balance, before.balance + 50);
    await page.goto('/billing');
    await statement().getByText('$70.00').waitFor();
    await statement().getByText('$50.00').waitFor();
  });

  await part('the saved card can be charged automatically', async () => {
    const panel = page.getByRole('region', { name: 'Automatic top-up' });
    await page
      .getByRole('region', { name: 'Payment methods' })
      .getByText(/ending in \d{4}/)
      .waitFor();
    await panel.getByRole('button', { name: 'Set up' }).click();
    const dialog = page.getByRole('dialog', { name: 'Automatic top-up' });
    await dialog.getByLabel('Top up by (USD)').fill('200');
    await dialog.getByLabel('At most in a month (USD)').fill('100');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog
      .getByText(/at least/i)
      .first()
      .waitFor();
    await dialog.getByLabel('At most in a month (USD)').fill('400');
    await everywhere(page, 'auto-top-up');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await panel.getByText('$200.00').waitFor();
    const auto = await api('GET', `${base}/wallet/auto-top-up`);
    assert.deepEqual([auto.enabled, auto.amount, auto.monthlyLimit], [true, 200, 400]);
  });

  await part('the invoice names the buyer, and can be downloaded', async () => {
    const panel = page.getByRole('region', { name: 'Billing details' });
    await panel.getByRole('button', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog', { name: 'Billing details' });
    for (const [label, text] of [
      ['Company or name', 'Research & Sons <GmbH>'],
      ['Street and number', 'Example Street 1'],
      ['Postal code', '10115'],
      ['City', 'Berlin'],
      ['Country', 'de'],
    ])
      await dialog.getByLabel(label).fill(text);
    await everywhere(page, 'billing-details');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await panel.getByText('Research & Sons <GmbH>').waitFor();
    await operate('PUT', '/api/v1/operator/tax-rates', { rates: [{ country: 'DE', from: '2007-01-01', percent: 19 }] });
    await operate('PUT', '/api/v1/operator/invoice-settings', {
      chargesTax: true,
      firstMonth: '2020-01',
      seller: {
        name: 'Example GmbH',
        addressLine1: 'Example Street 2',
        postalCode: '10115',
        city: 'Berlin',
        country: 'DE',
        vatId: 'DE123456789',
      },
    });
    await page.goto('about:blank'); // the session expires
    await server.run('sim', 'advance', '24h');
    await server.run('sim', 'advance', '1000h');
    await visitors.signedIn(context);
    await page.goto('/billing');
    const row = page.getByRole('table', { name: 'Invoices' }).getByRole('row').nth(1);
    await row.getByRole('link', { name: /^PDF of/ }).waitFor();
    await everywhere(page, 'billing');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      row.getByRole('link', { name: /^PDF of/ }).click(),
    ]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString('latin1', 0, 8), /^%PDF-1\./);
    const [html] = await Promise.all([
      context.waitForEvent('page'),
      row.getByRole('link', { name: /^HTML of/ }).click(),
    ]);
    await html.getByText('Research & Sons <GmbH>').first().waitFor();
    if (shots) await html.screenshot({ path: join(shots, 'invoice.png'), fullPage: true });
    await html.close();
  });
  assert.deepEqual(faults, []);
} catch (error) {
  console.error(`at ${page.url()}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  if (shots) await page.screenshot({ path: join(shots, 'failure.png'), fullPage: true });
  throw error;
} finally {
  await browser.close();
  await server.stop();
}
