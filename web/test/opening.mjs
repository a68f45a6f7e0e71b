// A bare server is set up in a browser, by the code of its log: the first operator with a second
// factor, the name, a mail server, a provider, a markup and the sign-up policy. Then a stranger
// signs up, is credited, deploys, is warned, and is suspended with a reason. MAIL_PORT,
// MAIL_API, MAIL_USER and MAIL_PASSWORD are those of a mail server whose certificate SSL_CERT_FILE
// has, CLOUD_URL, CLOUD_KEY and CLOUD_SETTINGS (JSON) those of a cloud.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { linkIn, mailTo } from './mails.mjs';
import { makeKey } from './seed.mjs';
import { clean, expected, part, phone, visitorsOf, wide } from './visit.mjs';

const { MAIL_PORT, MAIL_USER, MAIL_PASSWORD, CLOUD_URL, CLOUD_KEY, CLOUD_SETTINGS } = process.env;
const server = await startBilletd((url) => ['--public-url', url], { providers: false });
const browser = await launch();
// A mail server that takes connections and says nothing.
const silent = createServer((socket) => socket.on('error', () => {}));
await new Promise((done) => silent.listen(0, '127.0.0.1', done));
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);
// The console asks whether there is a simulator, which a real server has not.
const usual = [...expected, /\/operator\/simulator$/];
visitors.allowed = usual;

const shots = process.env.WALK_SHOTS;
/** Checks a page in both themes, wide and on a phone. */
async function checked(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const size of [wide, phone]) {
      await page.setViewportSize(size);
      await clean(page, `${name}, ${colorScheme}, ${size.width} px`);
      if (shots)
        await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${size.width}.png`), fullPage: true });
    }
  }
  await page.setViewportSize(wide);
}

/** The current code of an authenticator app with the secret, in base32. */
function totp(secret) {
  const bits = [...secret.replaceAll(/[\s=]/g, '')]
    .map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => Number.parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** Types into fields by their labels. */
async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields))
    await page
      .locator('input')
      .and(page.getByLabel(new RegExp(`^${label}`)))
      .fill(value);
}

const operator = await visitors.open();
const { page, faults } = operator;
const email = 'grace@example.com';
const step = (name) => page.getByRole('region', { name });
const code = server.log().match(/code=((?:[A-Z2-7]{4}-){3}[A-Z2-7]{4})/)[1];

await part('every page of a bare server leads to its setup', async () => {
  await page.goto('/');
  await page.waitForURL((url) => url.pathname === '/setup');
  await page.getByRole('heading', { name: 'Set up this server' }).waitFor();
  await page.waitForFunction(() => document.title === 'Set up this server · Billet');
  await checked(page, 'setup');
});

await part('a wrong code is refused', async () => {
  visitors.allowed = [...usual, /\/setup\/operator$/];
  await page.goto('/wallet');
  await page.waitForURL((url) => url.pathname === '/setup');
  await fill(page, { 'Setup code': 'AAAA-BBBB-CCCC-DDDD', 'Your name': 'Grace', Email: email });
  await fill(page, { Password: 'a long password' });
  await page.getByRole('button', { name: 'Create operator' }).click();
  await page.getByText('is not a code of this server').waitFor();
  await clean(page, 'setup with a wrong code');
});

const other = await visitors.open();
await other.page.goto(`/setup#${code}`);
await other.page.getByRole('heading', { name: 'Set up this server' }).waitFor();

await part('the first operator is created with the code of the log', async () => {
  await fill(page, { 'Setup code': code.toLowerCase() });
  await page.getByRole('button', { name: 'Create operator' }).click();
  await page.waitForURL((url) => url.pathname === '/operator/setup');
  await page.getByRole('heading', { name: 'What to do next' }).waitFor();
});

await part('a second browser with the code loses', async () => {
  await fill(other.page, { 'Your name': 'Eve', Email: 'eve@example.com', Password: 'a long password' });
  await other.page.getByRole('button', { name: 'Create operator' }).click();
  await other.page.getByText('This server is already set up').waitFor();
  await other.page.getByRole('button', { name: 'Sign in' }).click();
  await other.page.waitForURL((url) => url.pathname === '/sign-in');
  await other.page.goto('/setup');
  await other.page.waitForURL((url) => url.pathname === '/sign-in');
  await other.page.getByText('bare-metal GPU machines by the hour').first().waitFor();
  await checked(other.page, 'sign-in');
  assert.deepEqual(other.faults, []);
  await other.context.close();
  visitors.allowed = usual;
});

await part('the steps are in view, and each can wait', async () => {
  await checked(page, 'setup-steps');
  await page.goto('/operator');
  await page.goto('/operator/setup');
  await step(/^Mail server/)
    .getByText('to do')
    .waitFor();
});

await part('a second factor is set up with recovery codes', async () => {
  const app = page.getByRole('region', { name: /^Authenticator app/ });
  await app.getByRole('button', { name: 'Set up' }).click();
  const secret = await app
    .locator('code, input[readonly]')
    .first()
    .evaluate((e) => e.value ?? e.textContent);
  await app.getByLabel('Code from the app').fill(totp(secret));
  await app.getByRole('button', { name: 'Turn on' }).click();
  await page.getByText('Save your recovery codes').waitFor();
  await app.getByRole('button', { name: "Done, I've saved them" }).click();
  await step(/^Second factor/)
    .getByText('done')
    .first()
    .waitFor();
});

await part('the installation gets its name', async () => {
  const box = step(/^Name and public URL/);
  await box.getByText('as in this browser').waitFor();
  await box.getByLabel('Name').fill('Hopper Cloud');
  await page.getByRole('link', { name: 'Wallet', exact: true }).click();
  await page.getByText('Leave without saving?').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await box.getByRole('button', { name: 'Save installation' }).click();
  await box.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
});

await part('a mail server that hangs, and one that works', async () => {
  const box = step(/^Mail server/);
  await box.getByLabel(/^Server/).fill('127.0.0.1');
  await box.getByLabel(/^Port/).fill(String(silent.address().port));
  await box.getByLabel('Sender address').fill('no-reply');
  visitors.allowed = [...usual, /\/operator\/settings$/];
  await box.getByRole('button', { name: 'Save mail server' }).click();
  // The sender address is wrong.
  await box
    .getByText(/email address/)
    .last()
    .waitFor();
  visitors.allowed = usual;
  await box.getByLabel('Sender address').fill('no-reply@example.com');
  await box.getByRole('button', { name: 'Save mail server' }).click();
  await box.getByRole('button', { name: 'Send test email' }).click();
  await box.getByText('The mail server cannot be reached').waitFor();
  await clean(page, 'setup with a mail server that hangs');
  await box.getByLabel(/^Port/).fill(MAIL_PORT);
  await box.getByLabel(/^User/).fill(MAIL_USER);
  await box.getByLabel('Mail password').fill(MAIL_PASSWORD);
  await box.getByRole('button', { name: 'Save mail server' }).click();
  await box.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
  await box.getByRole('button', { name: 'Send test email' }).click();
  await box.getByText('The mail server accepted the message').waitFor();
  await box.getByText('done').first().waitFor();
});

await part('a provider whose key is wrong, and then right', async () => {
  const box = step(/^First provider/);
  await box.getByRole('button', { name: 'Add provider' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('combobox', { name: 'Cloud' }).click();
  await page.getByRole('option', { name: 'Voltage Park' }).click();
  await dialog.getByLabel('API key').fill('not the key');
  await dialog.getByLabel('Base URL').fill(CLOUD_URL);
  for (const [name, value] of Object.entries(JSON.parse(CLOUD_SETTINGS)))
    await dialog.getByLabel(name, { exact: true }).fill(value);
  await dialog.getByRole('button', { name: 'Add provider' }).click();
  await box.getByText('does not answer as expected').waitFor();
  await clean(page, 'setup with a wrong key');
  await box.getByRole('button', { name: 'Replace API key' }).click();
  await page.getByRole('dialog').getByLabel('New API key').fill(CLOUD_KEY);
  await page.getByRole('dialog').getByRole('button', { name: 'Replace API key' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await box.getByRole('button', { name: 'Check Voltage Park' }).click();
  await box.getByText('Voltage Park answers as expected').waitFor();
});

await part('a markup, and open sign-up', async () => {
  const prices = step(/^Prices/);
  await prices.getByRole('button', { name: 'Set markup of Voltage Park' }).click();
  await page.getByRole('dialog').getByLabel('Markup (%)').fill('10');
  await page.getByRole('dialog').getByRole('button', { name: 'Save markup' }).click();
  await prices.getByText('Markup 10%', { exact: true }).waitFor();
  // Saving an empty field leaves the account without a markup of its own.
  await prices.getByRole('button', { name: 'Set markup of Voltage Park' }).click();
  assert.equal(await page.getByRole('dialog').getByLabel('Markup (%)').inputValue(), '10');
  await page.getByRole('dialog').getByLabel('Markup (%)').fill('');
  await page.getByRole('dialog').getByRole('button', { name: 'Save markup' }).click();
  await prices.getByText('No markup: sold at cost (default)').waitFor();
  await prices.getByRole('button', { name: 'Set markup of Voltage Park' }).click();
  assert.equal(await page.getByRole('dialog').getByLabel('Markup (%)').inputValue(), '');
  await page.getByRole('dialog').getByLabel('Markup (%)').fill('10');
  await page.getByRole('dialog').getByRole('button', { name: 'Save markup' }).click();
  await prices.getByText('Markup 10%', { exact: true }).waitFor();
  const signUp = step(/^Sign-up/);
  await signUp.getByRole('radio', { name: /^Open/ }).check();
  await signUp.getByRole('button', { name: 'Save sign-up' }).click();
  await page.getByText('Everything is set up').waitFor();
  await checked(page, 'setup-done');
});

await part('a change of another operator is not overwritten', async () => {
  await page.goto('/operator/settings');
  const form = page.getByRole('region', { name: 'Sign-up' });
  await form.getByLabel('Starting credit (USD)').fill('5');
  const change = (data) =>
    operator.context.request.patch('/api/v1/operator/settings', {
      data,
      headers: { 'Sec-Fetch-Site': 'same-origin' },
    });
  assert.equal((await change({ installation: { supportAddress: 'help@example.com' } })).status(), 200);
  visitors.allowed = [...usual, /\/operator\/settings$/];
  await form.getByRole('button', { name: 'Save sign-up' }).click(); // another group: both are kept
  await form.getByRole('button', { name: 'Discard changes' }).waitFor({ state: 'detached' });
  await form.getByLabel('Starting credit (USD)').fill('7');
  assert.equal((await change({ signUp: { startingCredit: 6 } })).status(), 200);
  await form.getByRole('button', { name: 'Save sign-up' }).click();
  await form.getByText('Another operator has changed these settings').waitFor();
  await clean(page, 'settings that another operator has changed');
  await form.getByRole('button', { name: 'Load current values' }).click();
  await page.waitForFunction(() => [...document.querySelectorAll('input')].some((i) => i.value === '6'));
  visitors.allowed = usual;
  const now = (await (await operator.context.request.get('/api/v1/operator/settings')).json()).data;
  assert.equal(now.signUp.startingCredit, 6);
  assert.equal(now.installation.supportAddress, 'help@example.com');
  await checked(page, 'operator-settings');
});

const account = 'Lovelace Labs';
const tenant = 'ada@example.net';
const stranger = await visitors.open();
const theirs = stranger.page;

await part('a stranger signs up by mail', async () => {
  await theirs.goto('/');
  await theirs.getByText('Hopper Cloud offers bare-metal GPU machines by the hour').waitFor();
  await theirs.getByRole('link', { name: 'Create an account' }).click();
  await theirs.getByRole('heading', { name: 'Create an account' }).waitFor();
  await fill(theirs, { Email: tenant });
  await theirs.getByRole('button', { name: 'Send confirmation link' }).click();
  await theirs.getByRole('heading', { name: 'Check your email' }).waitFor();
  await theirs.goto(await linkIn(server, tenant, 'Confirm your email address'));
  await fill(theirs, { 'Your name': 'Ada', 'Account name': account, Password: 'another long password' });
  await theirs.getByRole('button', { name: 'Create account' }).click();
  await theirs.waitForURL((url) => !url.pathname.startsWith('/sign-up'));
});

/** Opens what the operator can do with the stranger's account. */
async function act(action) {
  await page.goto('/operator');
  await page.getByRole('button', { name: `Actions for ${account}` }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
  return page.getByRole('dialog');
}

await part('the operator adds credit', async () => {
  const dialog = await act('Add credit');
  await dialog.getByLabel('Amount (USD)').fill('44');
  await dialog.getByRole('button', { name: 'Add $44.00' }).click();
  await dialog.waitFor({ state: 'detached' });
  await theirs.goto('/wallet');
  await theirs.getByText('$50.00').first().waitFor(); // with the starting credit
});

await part('the stranger deploys', async () => {
  await theirs.goto('/ssh-keys');
  await theirs.getByRole('button', { name: 'Add SSH key' }).click();
  const dialog = theirs.getByRole('dialog', { name: 'Add SSH key' });
  await dialog.getByLabel('Public key').fill(makeKey().publicKey);
  await dialog.getByLabel('Name').fill('laptop');
  await dialog.getByRole('button', { name: 'Add key' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await theirs.goto('/offers?search=h100');
  await theirs
    .getByRole('link', { name: /^Deploy 2 × NVIDIA H100/ })
    .first()
    .click();
  await theirs.getByLabel('Name').fill('first-run');
  await theirs.getByRole('button', { name: 'Deploy', exact: true }).click();
  await theirs.getByRole('heading', { name: 'first-run' }).waitFor();
  await theirs.locator('.page-head .status').filter({ hasText: 'running' }).waitFor({ timeout: 120_000 });
});

await part('the stranger is warned of a low balance', async () => {
  assert.match(await mailTo(tenant, 'Your balance is low'), new RegExp(account));
  await theirs.goto('/wallet');
  await theirs.getByRole('alert').filter({ hasText: 'Your balance runs dry' }).waitFor();
  await clean(theirs, 'wallet with a low balance');
});

await part('the stranger is suspended, and told why', async () => {
  const reason = 'Mining is not allowed here.';
  const dialog = await act('Suspend');
  await dialog.getByLabel('Reason').fill(reason);
  await dialog.getByRole('radio', { name: 'Terminate all now' }).check();
  await dialog.getByRole('button', { name: 'Suspend and terminate' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.match(await mailTo(tenant, 'Your account was suspended'), new RegExp(reason));
  await theirs.goto('/offers');
  await theirs.getByRole('alert').filter({ hasText: reason }).waitFor();
  await clean(theirs, 'offers of a suspended account');
  await theirs.goto('/deployments?status=all');
  await theirs.getByRole('table').getByText('terminat').first().waitFor();
});

await part('the mails are listed', async () => {
  await page.goto('/operator/mails');
  await page.getByText('Account suspended').first().waitFor();
  await checked(page, 'operator-mails');
});

assert.deepEqual([...faults, ...stranger.faults], []);
await browser.close();
await server.stop();
silent.close();
