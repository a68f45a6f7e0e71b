// A stranger signs up by mail, and sets a password that they forgot. MAIL_PORT, MAIL_API,
// MAIL_USER and MAIL_PASSWORD are those of a mail server whose certificate SSL_CERT_FILE has.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { linkIn } from './mails.mjs';
import { clean, expected, part, phone, visitorsOf } from './visit.mjs';

const { MAIL_PORT, MAIL_USER, MAIL_PASSWORD } = process.env;
const server = await startBilletd((url) => ['--public-url', url]);
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);

const operator = await visitors.open();
await visitors.signedIn(operator.context);

/** Changes settings as the operator. They count at once: there is one server. */
async function settings(data) {
  const answer = await operator.context.request.patch('/api/v1/operator/settings', {
    data,
    headers: { 'Sec-Fetch-Site': 'same-origin' },
  });
  assert.equal(answer.status(), 200, await answer.text());
}

async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields))
    await page.locator('input').and(page.getByLabel(label)).fill(value);
}

const email = 'ada@example.net';
const stranger = await visitors.open();
const { page } = stranger;

await part('sign-up is closed at first', async () => {
  await page.goto('/sign-in');
  await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
  assert.equal(await page.getByText('Create an account').count(), 0);
  assert.equal(await page.getByText('Forgot your password?').count(), 0);
  await page.goto('/sign-up');
  await page.getByRole('heading', { name: 'Sign-up is closed' }).waitFor();
});

await settings({
  installation: { termsUrl: 'https://example.com/terms', termsVersion: '2028-01' },
  mail: {
    host: '127.0.0.1',
    port: Number(MAIL_PORT),
    user: MAIL_USER,
    password: MAIL_PASSWORD,
    fromAddress: 'no-reply@example.com',
  },
  signUp: { policy: 'open', startingCredit: 25 },
});

await part('a stranger signs up and has the starting credit', async () => {
  await page.goto('/sign-in');
  await clean(page, 'sign-in with sign-up');
  await page.getByRole('link', { name: 'Create an account' }).click();
  await clean(page, 'sign-up');
  await page.emulateMedia({ colorScheme: 'dark' });
  await clean(page, 'sign-up, dark');
  await page.setViewportSize(phone);
  await clean(page, 'sign-up, on a phone');
  await fill(page, { Email: email });
  await page.getByRole('button', { name: 'Send confirmation link' }).click();
  await page.getByRole('heading', { name: 'Check your email' }).waitFor();
  await clean(page, 'check your mail');

  await page.goto(await linkIn(server, email, 'Confirm your email address'));
  await page.getByRole('heading', { name: 'Create your account' }).waitFor();
  await clean(page, 'completing a sign-up');
  await page.getByRole('checkbox').check();
  await fill(page, { 'Your name': 'Ada', 'Account name': 'Lovelace Labs', Password: 'a long password' });
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/sign-up'));
  await page.goto('/wallet');
  await page.getByText('Starting credit').first().waitFor();
});

await part('a link works once', async () => {
  const other = await visitors.open();
  visitors.allowed = [...expected, /\/registrations\/preview$/];
  await other.page.goto(await linkIn(server, email, 'Confirm your email address'));
  await other.page.getByRole('heading', { name: 'Invalid link' }).waitFor();
  await clean(other.page, 'an invalid link');
  await other.context.close();
  visitors.allowed = expected;
});

await part('a forgotten password is reset by mail', async () => {
  const other = await visitors.open();
  await other.page.goto('/sign-in');
  await other.page.getByRole('link', { name: 'Forgot your password?' }).click();
  await clean(other.page, 'forgot password');
  await fill(other.page, { Email: email });
  await other.page.getByRole('button', { name: 'Send reset link' }).click();
  await other.page.getByRole('heading', { name: 'Check your email' }).waitFor();
  await other.page.goto(await linkIn(server, email, 'Set a new password'));
  await clean(other.page, 'set a new password');
  await fill(other.page, { 'New password': 'another long password' });
  await other.page.getByRole('button', { name: 'Set password' }).click();
  await other.page.getByRole('heading', { name: 'Your password has been changed' }).waitFor();
  await other.page.getByRole('link', { name: 'Sign in' }).click();
  await clean(other.page, 'sign-in after a reset'); // and at rest
  await other.page.getByText('Forgot your password?').waitFor();
  await fill(other.page, { Email: email, Password: 'another long password' });
  await other.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await other.page.waitForURL((url) => url.pathname !== '/sign-in');
  assert.deepEqual(other.faults, []);
  await page.goto('/wallet'); // the session from before has ended
  await page.waitForURL((url) => url.pathname === '/sign-in');
});
await browser.close();
await server.stop();
