// The operator's page of an account: its owner is invited when it is created, and the operator
// views it read-only.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { everywhere, expected, part, visitorsOf } from './visit.mjs';

const server = await startBilletd((url) => ['--public-url', url]);
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);
// The event stream ends when the view begins.
visitors.allowed = [...expected, /\/inventory\/events$/];
const { page, context, faults } = await visitors.open();
await visitors.signedIn(context);

try {
  let invitation = '';
  await part('the pages of the operator are in areas, and at their addresses', async () => {
    await page.goto('/operator');
    const area = (name) => page.getByRole('navigation', { name: 'Operator console' }).getByRole('link', { name });
    const tabs = () => page.getByRole('tab').allTextContents();
    await page.getByRole('tab', { name: 'Accounts', selected: true }).waitFor();
    assert.equal(await area('Business').getAttribute('aria-current'), 'true');
    await area('Supply').focus();
    await page.keyboard.press('Enter');
    await page.waitForURL('**/operator/providers');
    assert.deepEqual(await tabs(), ['Providers', 'Machines', 'Price rules']);
    await page.getByRole('tab', { name: 'Providers' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForURL('**/operator/machines');
    await everywhere(page, 'operator-areas');
    await page.goto('/operator/mails');
    await page.getByRole('tab', { name: 'Emails', selected: true }).waitFor();
    assert.equal(await area('Operations').getAttribute('aria-current'), 'true');
  });

  await part('an account is created with its owner', async () => {
    await page.goto('/operator');
    await page.getByRole('button', { name: 'Create account' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Vision lab');
    await dialog.getByLabel("Owner's email").fill('grace@example.com');
    await dialog.getByLabel('Opening credit (USD)').fill('250');
    await everywhere(page, 'create-account');
    await dialog.getByRole('button', { name: 'Create account' }).click();
    const created = page.getByRole('dialog', { name: 'Account created' });
    await created.getByText('The invitation was not emailed.').waitFor();
    await everywhere(page, 'owner-invited');
    invitation = await created.locator('code').first().textContent();
    assert.match(invitation, /\/invite#/);
    await created.getByRole('button', { name: 'Done' }).click();
  });

  await part('the owner accepts', async () => {
    const owner = await visitors.open();
    await owner.page.goto(invitation);
    await owner.page.getByText('The operator invited you as owner.').waitFor();
    await owner.page.getByLabel('Name').fill('Grace');
    await owner.page.locator('input[type=password]').fill('a long enough password');
    await owner.page.getByRole('button', { name: /join|accept/i }).click();
    await owner.page.getByRole('heading', { name: 'Overview' }).waitFor();
    await owner.context.close();
  });

  await part('the page of the account', async () => {
    await page.goto('/operator');
    await page.getByRole('link', { name: 'Vision lab' }).click();
    await page.getByRole('heading', { name: 'Vision lab', level: 1 }).waitFor();
    await page.getByRole('region', { name: 'Members' }).getByText('grace@example.com').first().waitFor();
    const members = page.getByRole('region', { name: 'Members' });
    await members.getByRole('columnheader', { name: 'Authenticator app' }).waitFor();
    await members.getByRole('cell', { name: 'Off' }).waitFor();
    await page.getByRole('region', { name: 'Transactions' }).getByText('Opening credit').waitFor();
    await page.getByRole('region', { name: 'Quotas' }).getByText('no limit').first().waitFor();
    await everywhere(page, 'account');
    await page.getByRole('button', { name: 'Invite owner' }).click();
    await everywhere(page, 'invite-owner');
    await page.getByRole('button', { name: 'Cancel' }).click();
  });

  await part('a read-only view', async () => {
    await page.getByRole('button', { name: 'View read-only' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('Support request 7');
    await everywhere(page, 'view-dialog');
    await page.getByRole('dialog').getByRole('button', { name: 'View account' }).click();
    const banner = page.getByRole('region', { name: 'Read-only view' });
    await banner.getByText('Viewing Vision lab read-only').waitFor();
    await everywhere(page, 'view');
    assert.equal(await page.getByRole('link', { name: 'Operator' }).count(), 0);
    await page.goto('/deployments');
    await banner.waitFor();
    const refused = await context.request.post('/api/v1/inventory/ssh-keys', {
      data: { name: 'x' },
      headers: { 'Sec-Fetch-Site': 'same-origin' },
    });
    assert.equal(refused.status(), 403, await refused.text());
    await banner.getByRole('button', { name: 'Leave view' }).click();
    await page.getByRole('heading', { name: 'Operator console' }).waitFor();
    assert.equal(await banner.count(), 0);
  });

  await part('the account sees the view', async () => {
    await page.getByRole('link', { name: 'Vision lab' }).click();
    const log = page.getByRole('region', { name: 'Audit log' });
    await log.getByText('Support request 7').waitFor();
  });

  await part('providers', async () => {
    await page.goto('/operator/providers');
    await everywhere(page, 'providers');
    await page.getByRole('button', { name: 'Add provider' }).click();
    await everywhere(page, 'add-provider');
  });
  assert.deepEqual(faults, []);
} finally {
  await browser.close();
  await server.stop();
}
