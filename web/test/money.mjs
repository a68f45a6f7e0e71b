// What operators do about money: a bank transfer is confirmed with less than was asked for and
// refunded in part, tax rates and the seller are set, an invoice is corrected. The tenant sees it.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, makeKey } from './seed.mjs';
import { clean, expected, part, phone, visitorsOf, whole, wide } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const api = apiOf(server);
const base = '/api/v1/inventory';
const operator = '/api/v1/operator';
const shots = process.env.WALK_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const visitors = visitorsOf(browser, server);
// Refused values are tried on purpose.
visitors.allowed = [
  ...expected,
  /\/settings$/,
  /\/invoice-settings$/,
  /\/tax-rates$/,
  /\/exchange-rates(\/import)?$/,
  /\/credit-note$/,
  /-check$/,
];
const { page, context, faults } = await visitors.open();

/** Asserts that the page is clean in both themes, and on a phone. */
async function everywhere(where) {
  for (const colorScheme of ['light', 'dark'])
    for (const size of [wide, phone]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize(size);
      await clean(page, `${where}, ${colorScheme}, ${size.width}`);
      if (shots)
        await page.screenshot({
          path: join(shots, `${where}-${colorScheme}-${size.width}.png`),
          fullPage: !(await page.getByRole('dialog').count()),
        });
    }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await page.setViewportSize(wide);
}

/** Calls the operator's API in the session of the demo account, whose owner is an operator. */
async function operate(method, path, data) {
  const answer = await context.request.fetch(path, { method, data, headers: { 'Sec-Fetch-Site': 'same-origin' } });
  assert.ok(answer.ok(), `${method} ${path}: ${await answer.text()}`);
  return (await answer.json()).data;
}

/** Asserts that a field is described, to a screen reader too, by an error. */
async function described(field, text) {
  await page.getByText(text).first().waitFor();
  const all = await field.evaluate((el) =>
    (el.getAttribute('aria-describedby') ?? '')
      .split(' ')
      .map((id) => document.getElementById(id)?.textContent ?? '')
      .join(' '),
  );
  assert.match(all, text);
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
}

const table = (name) => page.getByRole('table', { name });

try {
  await visitors.signedIn(context);
  const before = await api('GET', `${base}/wallet`);
  let topUp;

  await part('no top-ups yet', async () => {
    await page.goto('/operator/top-ups');
    await page.getByText('No top-ups yet').waitFor();
    await everywhere('all-top-ups-empty');
  });

  await part('a transfer is found by its reference', async () => {
    await operate('PATCH', `${operator}/settings`, {
      payments: { processor: 'transfer', bankRecipient: 'Example Cloud', bankAccount: 'DE02120300000000202051' },
    });
    await operate('POST', `${base}/wallet/top-ups`, { amount: 40 });
    topUp = await operate('POST', `${base}/wallet/top-ups`, { amount: 100 });
    const { reference } = await operate('GET', `${operator}/top-ups/${topUp.id}`);
    await page.goto('/operator/top-ups');
    await table('Top-ups').getByText('$40.00').waitFor();
    await table('Top-ups').getByText('$100.00').waitFor();
    await everywhere('all-top-ups');
    await page.getByLabel('Reference', { exact: true }).fill(reference.toLowerCase().replace(/(.{4})/g, '$1 '));
    await table('Top-ups').getByText('$40.00').waitFor({ state: 'detached' });
    await table('Top-ups').getByText('$100.00').waitFor();
    await page.getByRole('checkbox', { name: 'With a problem' }).click();
    await page.getByText('No top-ups match your filters').waitFor();
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await table('Top-ups').getByText('$40.00').waitFor();
  });

  await part('less than asked for has arrived, and is credited', async () => {
    await page.goto(`/operator/top-ups/${topUp.id}`);
    await page.getByText('Nothing yet').waitFor();
    await page.getByRole('button', { name: 'Confirm transfer' }).click();
    const dialog = page.getByRole('dialog', { name: 'Confirm a bank transfer' });
    await dialog.getByLabel('Amount that has arrived').fill('ninety');
    await dialog.getByText('Enter an amount').waitFor();
    await dialog.getByLabel('Amount that has arrived').fill('98.50');
    await dialog.getByText('$98.50 is credited, $1.50 less than asked for.').waitFor();
    await dialog.getByLabel('Bank reference').fill('2028-02-29/4711');
    await everywhere('confirm-transfer');
    await dialog.getByRole('button', { name: 'Credit $98.50' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('2028-02-29/4711').waitFor();
    await page.getByText('less than asked for').waitFor();
    const after = await api('GET', `${base}/wallet`);
    assert.equal(after.balance, before.balance + 98.5);
  });

  await part('a part of it is refunded', async () => {
    await page.getByRole('button', { name: 'Refund' }).click();
    const dialog = page.getByRole('dialog', { name: 'Refund a top-up' });
    await dialog.getByText('At most $98.50').waitFor();
    await dialog.getByLabel('Amount (USD)').fill('98.51');
    await dialog.getByText('At most $98.50 can be refunded.').waitFor();
    await dialog.getByLabel('Amount (USD)').fill('8.50');
    await dialog.getByLabel('Reason').fill('Paid too much');
    await everywhere('refund');
    await dialog.getByRole('button', { name: 'Refund $8.50' }).click();
    await dialog.waitFor({ state: 'detached' });
    await table('Refunds').getByText('Paid too much').waitFor();
    await table('Refunds').getByText('$8.50').waitFor();
    await everywhere('top-up');
    const after = await api('GET', `${base}/wallet`);
    assert.equal(after.balance, before.balance + 90);
  });

  await part('the tenant sees what arrived and what was refunded', async () => {
    await page.goto('/billing');
    const row = table('Top-ups').getByRole('row').filter({ hasText: '$98.50' });
    await row.getByText('of $100.00').waitFor();
    await row.getByText('$8.50', { exact: true }).waitFor();
    const [refund] = (await api('GET', `${base}/wallet/top-ups/${topUp.id}`)).refunds;
    for (const name of [`Receipt of the payment ${topUp.id}`, `Receipt of the refund, ${refund.id}`]) {
      const [receipt] = await Promise.all([
        page.waitForEvent('download'),
        row.getByRole('link', { name, exact: true }).click(),
      ]);
      const chunks = [];
      for await (const chunk of await receipt.createReadStream()) chunks.push(chunk);
      assert.match(Buffer.concat(chunks).toString('latin1', 0, 8), /^%PDF-1\./, name);
    }
    await operate('POST', `${operator}/top-ups/${topUp.id}/refund`, { amount: 1.5, reason: 'Again' });
    await page.reload();
    for (const text of ['Refund of $8.50', 'Refund of $1.50']) await row.getByText(text, { exact: true }).waitFor();
    await everywhere('top-ups-with-receipts');
    await page.setViewportSize(phone);
    await whole(page, 'top-ups with receipts');
    await page.setViewportSize(wide);
    const { accountId } = await operate('GET', `${operator}/top-ups/${topUp.id}`);
    await page.goto(`/operator/accounts/${accountId}`);
    await table('Top-ups').getByText('$98.50').waitFor();
  });

  await part('payment settings: every fault is at its field', async () => {
    await page.goto('/operator/billing');
    const panel = page.getByRole('region', { name: 'Payments' });
    await panel.getByLabel('Account holder').fill('');
    await panel.getByLabel('Bank account').fill('');
    await panel.getByLabel('Smallest top-up (USD)').fill('ten');
    await panel.getByText('Enter an amount').waitFor();
    assert.ok(await panel.getByRole('button', { name: 'Save payments' }).isDisabled());
    await panel.getByLabel('Smallest top-up (USD)').fill('0.5');
    await panel.getByRole('button', { name: 'Save payments' }).click();
    await panel.getByText('must be at least 1 US dollar').waitFor();
    assert.equal(await panel.getByText('is required for the processor transfer').count(), 2);
    await everywhere('payment-faults');
    await panel.getByLabel('Account holder').fill('Example Cloud GmbH');
    await panel.getByLabel('Bank account').fill('DE02120300000000202051');
    await panel.getByLabel('Smallest top-up (USD)').fill('20');
    await panel.getByRole('button', { name: 'Save payments' }).click();
    await panel.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
    const { payments } = await operate('GET', `${operator}/settings`);
    assert.deepEqual([payments.minimum, payments.bankRecipient], [20, 'Example Cloud GmbH']);
    await panel.getByRole('radio', { name: 'At Stripe' }).check();
    await panel.getByRole('textbox', { name: 'Stripe key' }).fill('not a key');
    await panel.getByRole('button', { name: 'Save payments' }).click();
    await panel.getByText('must be a restricted or secret key of Stripe').waitFor();
    await panel.getByText('is required for the processor stripe').waitFor();
    await everywhere('stripe-faults');
    await panel.getByRole('button', { name: 'Discard changes' }).click();
    await panel.getByRole('radio', { name: 'By bank transfer' }).waitFor();
  });

  await part('the seller and the first month are set', async () => {
    const panel = page.getByRole('region', { name: 'Seller and invoices' });
    await panel.getByLabel('Company').fill('Example GmbH');
    await panel.getByLabel('Country').fill('de');
    await panel.getByLabel('VAT ID').fill('FR1');
    await panel.getByLabel('First month').fill('2020-01');
    await panel.getByRole('switch', { name: 'Prices include tax' }).click();
    await panel.getByRole('button', { name: 'Save invoice settings' }).click();
    await panel.getByText(/does not have the form of a VAT/).waitFor();
    assert.equal(await panel.getByText('is required to issue invoices.').count(), 3);
    await everywhere('seller-faults');
    for (const [label, text] of [
      ['Street and number', 'Example Street 2'],
      ['Postal code', '10115'],
      ['City', 'Berlin'],
      ['VAT ID', 'DE123456789'],
    ])
      await panel.getByLabel(label).fill(text);
    await panel.getByRole('button', { name: 'Save invoice settings' }).click();
    await panel.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
    const set = await operate('GET', `${operator}/invoice-settings`);
    assert.deepEqual([set.seller.country, set.chargesTax, set.firstMonth], ['DE', true, '2020-01']);
  });

  await part('tax rates are added, ended and kept in the history', async () => {
    const panel = page.getByRole('region', { name: 'Tax rates' });
    const add = async (country, percent, from) => {
      await panel.getByRole('button', { name: 'Add tax rate' }).click();
      const dialog = page.getByRole('dialog', { name: 'Add a tax rate' });
      await dialog.getByLabel('Country').fill(country);
      await dialog.getByLabel('Rate (%)').fill(percent);
      await dialog.getByLabel('First day').fill(from);
      await dialog.getByRole('button', { name: 'Add tax rate' }).click();
      return dialog;
    };
    await panel.getByText('has no rate today').waitFor();
    const dialog = await add('de', '16', '2020-07-32');
    await dialog.getByText('must be a day such as').waitFor();
    await everywhere('tax-rate-dialog');
    await dialog.getByLabel('First day').fill('2020-07-01');
    await dialog.getByRole('button', { name: 'Add tax rate' }).click();
    await dialog.waitFor({ state: 'detached' });
    for (const [country, percent, from] of [
      ['DE', '19', '2021-01-01'],
      ['FR', '20', '2014-01-01'],
    ])
      await (await add(country, percent, from)).waitFor({ state: 'detached' });
    const row = (text) => table('Tax rates').getByRole('row').filter({ hasText: text });
    await row('16%').getByText('past').waitFor();
    await row('19%').getByText('in effect').waitFor();
    await page.reload(); // no notice covers the menu then
    await page.getByRole('button', { name: 'Actions for the rate of FR from 2014-01-01' }).click();
    await page.getByRole('menuitem', { name: 'End', exact: true }).click();
    const end = page.getByRole('dialog', { name: 'End a tax rate' });
    await end.getByLabel('First day without a rate').fill('2020-01-01');
    await everywhere('end-tax-rate');
    await end.getByRole('button', { name: 'End tax rate' }).click();
    await end.waitFor({ state: 'detached' });
    await row('2020-01-01').getByText('ended').first().waitFor();
    await everywhere('billing-settings');
    const { rates } = await operate('GET', `${operator}/tax-rates`);
    assert.deepEqual(rates, [
      { country: 'DE', from: '2020-07-01', percent: 16 },
      { country: 'DE', from: '2021-01-01', percent: 19 },
      { country: 'FR', from: '2014-01-01', percent: 20 },
      { country: 'FR', from: '2020-01-01', percent: 0, ended: true },
    ]);
  });

  await part('the tax currency is set', async () => {
    await page.goto('/operator/billing');
    const panel = page.getByRole('region', { name: 'Seller and invoices' });
    const save = async (code) => {
      await panel.getByLabel('Tax currency').fill(code);
      await panel.getByRole('button', { name: 'Save invoice settings' }).click();
    };
    await save('usd');
    await panel.getByText('must be a currency code of ISO 4217 other than USD').waitFor();
    await everywhere('tax-currency-fault');
    await save(' pl');
    await panel.getByText('must be a currency code of ISO 4217 other than USD').waitFor();
    await save('pln');
    await panel.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
    assert.equal(await panel.getByLabel('Tax currency').inputValue(), 'PLN');
    const { seller } = await operate('GET', `${operator}/invoice-settings`);
    assert.equal(seller.taxCurrency, 'PLN');
  });

  await part('exchange rates are added, replaced, imported and deleted', async () => {
    const panel = page.getByRole('region', { name: 'Exchange rates' });
    const rates = () => operate('GET', `${operator}/exchange-rates`);
    const field = (dialog, name) => dialog.getByRole('textbox', { name, exact: true });
    const row = (text) => table('Exchange rates').getByRole('row').filter({ hasText: text });
    await panel.getByText('There are no exchange rates.').waitFor();

    await panel.getByRole('button', { name: 'Add exchange rate' }).click();
    const adding = page.getByRole('dialog', { name: 'Add an exchange rate' });
    const add = adding.getByRole('button', { name: 'Add exchange rate' });
    assert.equal(await field(adding, 'Currency').inputValue(), 'PLN');
    assert.ok(await add.isDisabled());
    const enter = async (values) => {
      for (const [label, text] of Object.entries(values)) await field(adding, label).fill(text);
      await add.click();
    };
    await enter({
      Currency: 'eux',
      'First day': '2020-02-30',
      'Amount in the currency': '0,9123',
      'Amount in US dollars': '0',
      Source: 'ECB',
    });
    for (const [label, text] of [
      ['Currency', /must be a currency code of ISO 4217/],
      ['First day', /must be a day such as/],
      ['Amount in the currency', /must be a decimal number above 0/],
      ['Amount in US dollars', /must be a decimal number above 0/],
    ])
      await described(field(adding, label), text);
    await everywhere('exchange-rate-faults');
    await enter({
      Currency: 'eur',
      'First day': '2020-02-28',
      'Amount in the currency': '0.9',
      'Amount in US dollars': '1',
    });
    await adding.waitFor({ state: 'detached' });
    await row('2020-02-28').getByText('1 USD = 0.9 EUR').waitFor();
    await panel.getByRole('button', { name: 'Add exchange rate' }).click();
    await enter({
      Currency: 'EUR',
      'First day': '2020-02-28',
      'Amount in the currency': '1',
      'Amount in US dollars': '1.0977',
      Source: 'Bank',
    });
    await adding.waitFor({ state: 'detached' });
    await row('2020-02-28').getByText('1 USD = 0.910996 EUR').waitFor();
    await row('2020-02-28').getByText('1 EUR = 1.0977 USD').waitFor();
    assert.equal((await rates()).length, 1);

    await panel.getByRole('button', { name: 'Import CSV' }).click();
    const importing = page.getByRole('dialog', { name: 'Import exchange rates' });
    const send = importing.getByRole('button', { name: 'Import exchange rates' });
    assert.ok(await send.isDisabled());
    await field(importing, 'CSV').fill('Date,USD,PLN\n2020-03-02,1.1122,4.3260\n2020-03-03,1.1117,x\n');
    await field(importing, 'Source').fill('ECB');
    await field(importing, 'First day').fill('March');
    await field(importing, 'Base').fill('EU');
    await send.click();
    await described(field(importing, 'First day'), /must be a day such as 2026-01-31, or empty/);
    await described(field(importing, 'Base'), /must be a currency code of ISO 4217/);
    await field(importing, 'First day').fill('2020-03-01');
    await field(importing, 'Base').fill('eur');
    await send.click();
    await described(field(importing, 'CSV'), /must have a decimal number above 0 for PLN in line 3/);
    await everywhere('import-faults');
    await importing.locator('input[type=file]').setInputFiles({
      name: 'large.csv',
      mimeType: 'text/csv',
      buffer: Buffer.from(`Date,USD,PLN\n${'2020-03-02,1.1122,4.3260\n'.repeat(40_001)}`),
    });
    await described(field(importing, 'CSV'), /The table is too large/);
    assert.ok(await send.isDisabled());
    await importing.locator('input[type=file]').setInputFiles({
      name: 'eurofxref-hist.csv',
      mimeType: 'text/csv',
      buffer: Buffer.from(
        'Date,USD,JPY,PLN,\n2020-03-04,1.1125,119.73,4.3013,\n2020-03-03,1.1117,119.39,N/A,\n' +
          '2020-03-02,1.1122,120.36,4.3260,\n2020-02-28,1.0977,119.36,4.3259,\n',
      ),
    });
    await importing.getByText('N/A').waitFor();
    await everywhere('import');
    await send.click();
    await importing.waitFor({ state: 'detached' });
    await page.getByText('Rates of 2 days imported').waitFor();
    await row('2020-03-04').getByText('1 USD = 3.866337 PLN').waitFor();
    await row('2020-03-02').getByText('4.3260 PLN = 1.1122 USD').waitFor();
    await everywhere('exchange-rates');
    await page.setViewportSize(phone);
    await whole(page, 'exchange rates');
    await page.setViewportSize(wide);

    await page.reload(); // no notice covers the menu then
    await page.getByRole('button', { name: 'Actions for the rate of EUR from 2020-02-28' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    const asking = page.getByRole('alertdialog').or(page.getByRole('dialog'));
    await asking.getByText('Documents that were issued keep the rate that they state.').waitFor();
    await everywhere('delete-exchange-rate');
    await asking.getByRole('button', { name: 'Delete', exact: true }).click();
    await row('2020-02-28').waitFor({ state: 'detached' });
    assert.deepEqual(
      (await rates()).map((r) => [r.currency, r.from, r.perDollar, r.source]),
      [
        ['PLN', '2020-03-04', '3.866337', 'ECB'],
        ['PLN', '2020-03-02', '3.889588', 'ECB'],
      ],
    );
  });

  await part('without a tax currency, invoices wait for no rate', async () => {
    const panel = page.getByRole('region', { name: 'Seller and invoices' });
    await panel.getByLabel('Tax currency').fill('');
    await panel.getByRole('button', { name: 'Save invoice settings' }).click();
    await panel.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
    const { seller } = await operate('GET', `${operator}/invoice-settings`);
    assert.equal(seller.taxCurrency, '');
  });

  await part('the current month is previewed', async () => {
    const [cheap] = await api('GET', `${base}/offers?available=true&sort=price&limit=1`);
    const { id } = await api('POST', `${base}/deployments`, {
      offerId: cheap.id,
      name: 'trainer',
      operatingSystem: cheap.operatingSystems[0],
      ssh_public_key: makeKey().publicKey,
    });
    await api('GET', `${base}/deployments/${id}?waitFor=running&timeoutSeconds=60`);
    await page.goto('/operator/invoices');
    await page.getByText('No invoices yet').waitFor();
    await everywhere('all-invoices-empty');
    await page.getByRole('button', { name: 'Preview current month' }).click();
    const dialog = page.getByRole('dialog', { name: 'Preview of the current month' });
    await dialog.getByRole('combobox', { name: 'Account' }).click();
    await page.getByRole('option', { name: 'Demo' }).click();
    await dialog.getByText('trainer').waitFor();
    await dialog.getByText('VAT of DE, 19%').waitFor();
    await everywhere('invoice-preview');
    await dialog.getByRole('button', { name: 'Close', exact: true }).last().click();
    await server.run('sim', 'advance', '1h');
    await api('DELETE', `${base}/deployments/${id}`);
  });

  await part('an invoice is corrected by a credit note', async () => {
    await page.goto('about:blank'); // the session expires
    await server.run('sim', 'advance', '24h');
    await server.run('sim', 'advance', '1000h');
    await visitors.signedIn(context);
    await page.goto('/operator/invoices?type=invoice');
    const row = table('Invoices').getByRole('row').nth(1);
    await row.getByRole('link', { name: /^PDF of/ }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      row.getByRole('link', { name: /^PDF of/ }).click(),
    ]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString('latin1', 0, 8), /^%PDF-1\./);
    const [invoice] = (await operate('GET', `${operator}/invoices?type=invoice`)).filter((i) => i.total > 0);
    await page.getByRole('button', { name: `Actions for ${invoice.number}` }).click();
    await page.getByRole('menuitem', { name: 'Issue credit note' }).click();
    const dialog = page.getByRole('dialog', { name: `Issue a credit note for ${invoice.number}` });
    await dialog.getByText('can be credited').waitFor();
    await dialog.getByLabel('Text of line 1').fill('Outage of the network');
    await dialog.getByLabel('Amount with tax (USD)').fill(String(invoice.total + 1));
    await dialog.getByText(/^At most .* can be credited/).waitFor();
    await dialog.getByLabel('Amount with tax (USD)').fill('0.50');
    await dialog.getByRole('button', { name: 'Add line' }).click();
    await dialog.getByLabel('Text of line 2').fill('Goodwill');
    await dialog.getByLabel('Amount with tax (USD)').nth(1).fill('0.25');
    await dialog.getByLabel('Reason').fill('Outage');
    await everywhere('credit-note');
    await dialog.getByRole('button', { name: 'Issue credit note of $0.75' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.goto('/operator/invoices');
    await table('Invoices').getByText('−$0.75').waitFor();
    await everywhere('all-invoices');
    await page.getByRole('button', { name: `Actions for ${invoice.number}` }).click();
    await page.getByRole('menuitem', { name: 'Issue credit note' }).click();
    await dialog.getByText('All that is left').click();
    await dialog.getByLabel('Reason').fill('Canceled');
    await dialog.getByRole('button', { name: /^Issue credit note of/ }).click();
    await dialog.waitFor({ state: 'detached' });
    const notes = await operate('GET', `${operator}/invoices?corrects=${invoice.id}`);
    assert.equal(Math.round(notes.reduce((sum, n) => sum + n.total, 0) * 100), Math.round(invoice.total * 100));
  });

  await part('the tenant sees the credit notes', async () => {
    await page.goto('/billing');
    await table('Invoices').getByText('Credit note').first().waitFor();
    await table('Invoices').getByText('−$0.75').waitFor();
    const { accountId } = await operate('GET', `${operator}/top-ups/${topUp.id}`);
    await page.goto(`/operator/accounts/${accountId}`);
    await table('Invoices').getByText('−$0.75').waitFor();
    await everywhere('account-money');
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
