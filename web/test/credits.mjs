// Promo codes, credits that expire, the credit at sign-up, and service credits: what an operator
// does about them, and what the tenant sees.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, makeKey } from './seed.mjs';
import { everywhere as cleanEverywhere, expected, part, phone, visitorsOf, whole, wide } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const api = apiOf(server);
const base = '/api/v1/inventory';
const operator = '/api/v1/operator';
const visitors = visitorsOf(browser, server);
// Refused values are tried on purpose.
visitors.allowed = [...expected, /\/promo-codes$/, /\/service-credits$/, /\/credit$/];
const { page, context, faults } = await visitors.open();

/** Asserts that the page is clean in both themes and at both widths. */
async function everywhere(where) {
  await cleanEverywhere(page, where);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await page.setViewportSize(phone);
  await whole(page, where);
  await page.setViewportSize(wide);
}

/** Calls the operator's API in the session of the demo account, whose owner is an operator. */
async function operate(method, path, data) {
  const answer = await context.request.fetch(path, { method, data, headers: { 'Sec-Fetch-Site': 'same-origin' } });
  assert.ok(answer.ok(), `${method} ${path}: ${await answer.text()}`);
  return (await answer.json()).data;
}

const table = (name) => page.getByRole('table', { name });
const row = (name, text) => table(name).getByRole('row').filter({ hasText: text });
const dialog = (name) => page.getByRole('dialog', { name });

/** Chooses an action of a row, after its notices have gone: one of them may cover the menu. */
async function choose(name, action) {
  await page.reload();
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

try {
  await visitors.signedIn(context);
  const { balance } = await api('GET', `${base}/wallet`);
  const account = (await operate('GET', '/api/v1/account/me')).account.id;

  await part('a wallet without credits that expire', async () => {
    await page.goto('/wallet');
    await page.getByRole('button', { name: 'Redeem code' }).waitFor();
    await everywhere('wallet-without-credits');
    assert.equal(await page.getByRole('region', { name: 'Credits that expire' }).count(), 0);
  });

  await part('no promo codes yet', async () => {
    await page.goto('/operator/promo-codes');
    await page.getByText('No promo codes yet').waitFor();
    await everywhere('promo-codes-empty');
  });

  await part('a promo code is created', async () => {
    await page.getByRole('button', { name: 'Create promo code' }).click();
    const form = dialog('Create promo code');
    const submit = form.getByRole('button', { name: 'Create promo code' });
    await form.getByLabel('Credit (USD)').fill('fifty');
    await form.getByText('Enter an amount such as').waitFor();
    await form.getByLabel('Credit (USD)').fill('50');
    await form.getByLabel('Credit expires after (days)').fill('none');
    await form.getByText('Enter a number from 1 to 3,650, or nothing.').waitFor();
    assert.ok(await submit.isDisabled());
    await form.getByLabel('Credit expires after (days)').fill('90');
    await form.getByLabel('Maximum redemptions').fill('200');
    await form.getByLabel('Code', { exact: true }).fill('hi!');
    await submit.click();
    await form.getByText('must have 4 to 40 letters').waitFor();
    await form.getByLabel('Code', { exact: true }).fill('welcome50');
    await form.getByLabel('First day').fill('2026-02-01');
    await form.getByLabel('Last day').fill('2026-01-31');
    await form.getByText('Choose the first day or a later one.').waitFor();
    assert.ok(await submit.isDisabled());
    await form.getByLabel('Last day').fill('2099-12-31');
    await everywhere('promo-code-dialog');
    await submit.click();
    const created = dialog('Promo code created');
    await created.getByText('WELCOME50', { exact: true }).waitFor();
    await created.getByText('$50.00, which expires after 90 days').waitFor();
    await everywhere('promo-code-created');
    await created.getByRole('button', { name: 'Done' }).click();
    const [made] = await operate('GET', `${operator}/promo-codes`);
    assert.deepEqual(
      [made.code, made.amount, made.maxRedemptions, made.creditDays, made.enabled],
      ['WELCOME50', 50, 200, 90, true],
    );
    assert.deepEqual([made.validFrom, made.validUntil].map(Date.parse), [Date.UTC(2026, 1, 1), Date.UTC(2100, 0, 1)]);
  });

  let generated;
  await part('a code is generated', async () => {
    await page.getByRole('button', { name: 'Create promo code' }).click();
    const form = dialog('Create promo code');
    await form.getByLabel('Credit (USD)').fill('5');
    await form.getByLabel('Only for new accounts').check();
    await form.getByRole('button', { name: 'Create promo code' }).click();
    generated = await dialog('Promo code created').locator('code').first().textContent();
    assert.match(generated, /^[A-Z2-7]{12}$/);
    await page.getByRole('button', { name: 'Done' }).click();
    await row('Promo codes', generated).getByText('new accounts only').waitFor();
    await row('Promo codes', 'WELCOME50').getByText('0 of 200').waitFor();
    await row('Promo codes', 'WELCOME50').getByText('until Dec 31, 2099').waitFor();
    await everywhere('promo-codes');
  });

  await part('the tenant redeems the code, once', async () => {
    await page.goto('/wallet');
    await page.getByRole('button', { name: 'Redeem code' }).click();
    const form = dialog('Redeem a promo code');
    const submit = form.getByRole('button', { name: 'Redeem code' });
    await form.getByLabel('Promo code').fill('WELCOME51');
    await submit.click();
    await form.getByText('This promo code is not valid for this account.').waitFor();
    await everywhere('redeem-refused');
    await form.getByLabel('Promo code').fill(' welcome50 ');
    assert.equal(await form.getByText('This promo code is not valid').count(), 0);
    await submit.click();
    await form.waitFor({ state: 'detached' });
    await page.getByText(/^\$50\.00 added to the wallet\. It expires /).waitFor();
    const panel = page.getByRole('region', { name: 'Credits that expire' });
    await panel.getByText('Promo code WELCOME50').waitFor();
    await panel.getByText('$50.00').waitFor();
    assert.equal((await api('GET', `${base}/wallet`)).balance, balance + 50);
    await page.goto('/wallet?new=1'); // as the command palette does
    await dialog('Redeem a promo code').getByLabel('Promo code').fill('WELCOME50');
    await submit.click();
    await form.getByText('This account has redeemed this promo code before.').waitFor();
    await form.getByRole('button', { name: 'Cancel' }).click();
  });

  await part('the operator sees who redeemed it', async () => {
    await page.goto('/operator/promo-codes');
    await row('Promo codes', 'WELCOME50').getByText('1 of 200').waitFor();
    await page.getByRole('button', { name: 'Actions for WELCOME50' }).click();
    await page.getByRole('menuitem', { name: 'View redemptions' }).waitFor();
    assert.equal(await page.getByRole('menuitem', { name: 'Delete' }).count(), 0, 'a redeemed code can be deleted');
    await page.getByRole('menuitem', { name: 'View redemptions' }).click();
    await dialog('Redemptions of WELCOME50').getByRole('link', { name: 'Demo' }).waitFor();
    await everywhere('promo-code-redemptions');
  });

  await part('a promo code is changed, disabled, enabled and deleted', async () => {
    await choose('WELCOME50', 'Edit');
    const form = dialog('Edit WELCOME50');
    assert.equal(await form.getByLabel('Last day').inputValue(), '2099-12-31');
    await form.getByText('Credit that was given before stays as it is.').waitFor();
    await form.getByLabel('Maximum redemptions').fill('1');
    await form.getByLabel('First day').fill('');
    await everywhere('promo-code-edit');
    await form.getByRole('button', { name: 'Save promo code' }).click();
    await form.waitFor({ state: 'detached' });
    await row('Promo codes', 'WELCOME50').getByText('used up').waitFor();
    const changed = (await operate('GET', `${operator}/promo-codes`)).find((c) => c.code === 'WELCOME50');
    assert.deepEqual([changed.validFrom, Date.parse(changed.validUntil)], [null, Date.UTC(2100, 0, 1)]);
    await choose(generated, 'Disable');
    await page.getByRole('dialog').getByText('Credit that was given stays.').waitFor();
    await everywhere('promo-code-disable');
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await row('Promo codes', generated).getByText('disabled').waitFor();
    await choose(generated, 'Enable');
    await row('Promo codes', generated).getByText('active').waitFor();
    await choose(generated, 'Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await row('Promo codes', generated).waitFor({ state: 'detached' });
  });

  await part('an operator gives a credit that expires', async () => {
    await page.goto(`/operator/accounts/${account}`);
    await page.getByRole('button', { name: 'Add credit' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Amount (USD)').fill('30');
    await form.getByLabel('Note').fill('Trial');
    await form.getByLabel('Expires after').fill('2020-01-01');
    await form.getByRole('button', { name: 'Add $30.00' }).click();
    await form.getByText('must be in the future').waitFor();
    const { expiresAt: later } = (await api('GET', `${base}/wallet/credits?state=active`))[0];
    const day = new Date(Date.parse(later) - 80 * 24 * 3_600_000).toISOString().slice(0, 10);
    await form.getByLabel('Expires after').fill(day);
    await everywhere('credit-dialog');
    await form.getByRole('button', { name: 'Add $30.00' }).click();
    await form.waitFor({ state: 'detached' });
    await row('Credits', 'Trial').getByText('by an operator').waitFor();
    await row('Credits', 'Promo code WELCOME50').getByText('by a promo code').waitFor();
    await everywhere('account-credits');
    const [given] = await api('GET', `${base}/wallet/credits?state=active`);
    assert.deepEqual([given.note, Date.parse(given.expiresAt)], ['Trial', Date.parse(day) + 24 * 3_600_000]);
  });

  let deployment;
  let began;
  await part('what expires first is spent first', async () => {
    const offers = await api('GET', `${base}/offers?available=true&sort=price&limit=100`);
    const { id } = await api('POST', `${base}/deployments`, {
      offerId: offers.find((o) => o.hourlyPrice >= 1 && o.hourlyPrice < 25).id,
      name: 'trainer',
      operatingSystem: offers[0].operatingSystems[0],
      ssh_public_key: makeKey().publicKey,
    });
    deployment = id;
    began = (await api('GET', `${base}/deployments/${id}?waitFor=running&timeoutSeconds=60`)).startedAt;
    await page.goto('/wallet');
    const panel = page.getByRole('region', { name: 'Credits that expire' });
    await panel.getByText('of $30.00').waitFor();
    const notes = await panel.getByRole('rowheader').allTextContents();
    assert.match(notes[0], /^Trial/);
    assert.match(notes[1], /^Promo code WELCOME50/);
    await everywhere('wallet-with-credits');
  });

  await part('a service credit is created', async () => {
    await page.goto('about:blank');
    await server.run('sim', 'advance', '50m');
    await visitors.signedIn(context);
    await page.goto('/operator/service-credits');
    await page.getByText('No service credits yet').waitFor();
    await everywhere('service-credits-empty');
    const local = (minutes) =>
      page.evaluate(
        ([at, min]) => {
          const t = Math.ceil(Date.parse(at) / 60_000) * 60_000 + min * 60_000;
          return new Date(t - new Date(t).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
        },
        [began, minutes],
      );
    const fromField = (form) => form.locator('input[type=datetime-local]').first();
    const toField = (form) => form.locator('input[type=datetime-local]').last();
    const create = async (from, to) => {
      await page.getByRole('button', { name: 'Create service credit' }).click();
      const form = dialog('Create service credit');
      await form.getByLabel('Deployment ID').fill(deployment);
      await fromField(form).fill(await local(from));
      await toField(form).fill(await local(to));
      await form.getByLabel('Failed GPUs').fill('1');
      return form;
    };
    const submit = async (form) => {
      await form.getByRole('button', { name: 'Create service credit' }).click();
      await form.waitFor({ state: 'detached' });
    };
    const form = await create(30, 10);
    await form.getByText('Choose a later time than the first.').waitFor();
    assert.ok(await form.getByRole('button', { name: 'Create service credit' }).isDisabled());
    await everywhere('service-credit-dialog');
    await fromField(form).fill(await local(0));
    await form.getByLabel('Note').fill('GPU 3');
    await submit(form);
    await page.goto('/operator/deployments');
    await page.getByRole('button', { name: 'Actions for trainer' }).click();
    await page.getByRole('menuitem', { name: 'Create service credit' }).click();
    const own = dialog('Create service credit for trainer');
    await fromField(own).fill(await local(10));
    await toField(own).fill(await local(40));
    await own.getByLabel('Failed GPUs').fill('99');
    await own.getByText(/^Enter a number from 1 to/).waitFor();
    await own.getByLabel('Failed GPUs').fill('1');
    await everywhere('service-credit-of-deployment');
    await submit(own);
    await page.goto('/operator/service-credits');
    const proposed = await operate('GET', `${operator}/service-credits?state=proposed`);
    assert.equal(proposed.length, 2);
    await page.reload();
    await page.getByRole('tab', { name: 'Service credits (2)' }).waitFor();
    await everywhere('service-credits');
  });

  await part('its details show how it follows from the charged hours', async () => {
    const [second, first] = await operate('GET', `${operator}/service-credits`);
    // Half up, as money is rounded: toFixed rounds a nearby binary fraction, which may be below.
    const cents = (usd) => Math.floor((Math.round(usd * 1e6) + 5000) / 10_000);
    const nameOf = (c) => `$${(cents(c.amount) / 100).toFixed(2)} for Demo`;
    await page.getByRole('button', { name: `Actions for ${nameOf(first)}` }).click();
    await page.getByRole('menuitem', { name: 'View details' }).click();
    const details = dialog('Service credit');
    await details.getByText(first.formula).waitFor();
    await details.getByText('GPU 3').waitFor();
    await details.getByRole('table', { name: 'Charged hours' }).waitFor();
    await everywhere('service-credit-details');
    await choose(nameOf(first), 'Approve');
    const ask = page.getByRole('dialog', { name: /^Approve/ });
    await everywhere('service-credit-approve');
    const before = (await api('GET', `${base}/wallet`)).balance;
    await ask.getByRole('button', { name: 'Approve' }).click();
    await ask.waitFor({ state: 'detached' });
    await row('Service credits', 'approved').waitFor();
    const after = (await api('GET', `${base}/wallet`)).balance;
    assert.equal(Math.round((after - before) * 1e6), Math.round(first.amount * 1e6));
    await choose(nameOf(second), 'Reject');
    const reject = page.getByRole('dialog', { name: /^Reject/ });
    assert.ok(await reject.getByRole('button', { name: 'Reject' }).isDisabled());
    await reject.getByLabel('Reason').fill('These GPUs worked.');
    await everywhere('service-credit-reject');
    await reject.getByRole('button', { name: 'Reject' }).click();
    await reject.waitFor({ state: 'detached' });
    await row('Service credits', 'rejected').getByText('These GPUs worked.').waitFor();
    await everywhere('service-credits-decided');
    await page.goto('/wallet');
    await row('Transactions', 'Service credit for trainer').waitFor();
    await api('DELETE', `${base}/deployments/${deployment}`);
  });

  await part('the credit at sign-up expires', async () => {
    await page.goto('/operator/settings');
    const form = page.locator('form').filter({ has: page.getByLabel('Starting credit (USD)') });
    const field = form.getByLabel('Starting credit expires after (days)');
    const save = form.getByRole('button', { name: 'Save sign-up' });
    assert.equal(await field.inputValue(), '');
    await field.fill('soon');
    await form.getByText('Enter a number from 1 to 3,650, or nothing.').waitFor();
    assert.ok(await save.isDisabled());
    await form.getByLabel('Starting credit (USD)').fill('25');
    await field.fill('90');
    await everywhere('sign-up-settings');
    await save.click();
    await form.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
    const { signUp } = await operate('GET', `${operator}/settings`);
    assert.deepEqual([signUp.startingCredit, signUp.startingCreditDays], [25, 90]);
    await field.fill('');
    await save.click();
    await form.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
    assert.equal((await operate('GET', `${operator}/settings`)).signUp.startingCreditDays, 0);
  });
  assert.deepEqual(faults, []);
} catch (error) {
  console.error(`at ${page.url()}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  if (process.env.WALK_SHOTS) await page.screenshot({ path: `${process.env.WALK_SHOTS}/failure.png`, fullPage: true });
  throw error;
} finally {
  await browser.close();
  await server.stop();
}
