// A new server without a provider: it is ready, and the offers page says what to do first.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { clean, expected, part, phone, visitorsOf } from './visit.mjs';

const server = await startBilletd([], { providers: false });
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);
// The console asks whether there is a simulator, which a real server has not.
visitors.allowed = [...expected, /\/operator\/simulator$/];

/** Creates a user of a new account, and returns the credentials. */
async function user(email, ...flags) {
  const account = JSON.parse(await server.run('account', 'create', '--name', email, '-o', 'json'));
  const flagsOf = ['--account', account.id, '--email', email, ...flags, '-o', 'json'];
  return { email, password: JSON.parse(await server.run('user', 'create', ...flagsOf)).password };
}

async function offersOf(who) {
  const { page, context, faults } = await visitors.open();
  const answer = await context.request.post('/api/v1/account/sessions', {
    data: who,
    headers: { 'Sec-Fetch-Site': 'same-origin' },
  });
  assert.equal(answer.status(), 201, await answer.text());
  await page.goto('/offers');
  await page.getByRole('heading', { name: 'No provider connected yet' }).waitFor();
  return { page, faults };
}

await part('an operator is told how to connect a provider', async () => {
  const { page, faults } = await offersOf(await user('operator@example.com', '--operator'));
  await page.getByText('billetd provider add').waitFor();
  await clean(page, 'offers without a provider');
  await page.setViewportSize(phone);
  await clean(page, 'offers without a provider, on a phone');
  await page.goto('/offers?available=all&gpuType=NVIDIA+B200');
  await page.getByRole('heading', { name: 'No provider connected yet' }).waitFor();
  await page.getByRole('link', { name: 'View providers' }).click();
  await page.getByText('No provider is connected yet.').waitFor();
  assert.deepEqual(faults, []);
});

await part('a tenant is told to wait for the operator', async () => {
  const { page, faults } = await offersOf(await user('tenant@example.com'));
  await page.getByText('when the operator of this server has connected a provider').waitFor();
  assert.equal(await page.getByText('billetd provider add').count(), 0);
  assert.deepEqual(faults, []);
});
await browser.close();
await server.stop();
