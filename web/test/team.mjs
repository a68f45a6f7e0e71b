// The lead of a team with twelve machines, of several members, API keys and projects: finds who
// started the dearest, ends one project at once, and uses the palette, bulk actions and the whole
// request of the deploy page.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { startBilletd } from './billetd.mjs';
import { axe, ending, launch } from './browser.mjs';
import { makeKey } from './seed.mjs';
import { clean, expected, part, phone, visitorsOf, wide } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);
const { open } = visitors;
const inventory = '/api/v1/inventory';
const account = '/api/v1/account';

// SCREENSHOTS names a folder for pictures of what is tested.
const shots = process.env.SCREENSHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const shot = (page, name) => shots && page.screenshot({ path: `${shots}/${name}.png` });

/** Calls the API in the session of a browser's context. */
async function call(context, method, path, data) {
  const answer = await context.request.fetch(path, { method, data, headers: { 'Sec-Fetch-Site': 'same-origin' } });
  const body = await answer.json();
  assert.ok(body.success, `${method} ${path}: ${JSON.stringify(body.error)}`);
  return body.data;
}

/** Calls the API with a key. */
async function callWith(key, method, path, data) {
  const answer = await fetch(server.url + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(data),
  });
  const body = await answer.json();
  assert.ok(body.success, `${method} ${path}: ${JSON.stringify(body.error)}`);
  return body.data;
}

const lead = await open();
const { page, context } = lead;
await visitors.signedIn(context);

/** Adds a member to the account, and returns their signed-in context. */
async function member(name) {
  const invitation = await call(context, 'POST', `${account}/invitations`, { role: 'member' });
  const joined = await browser.newContext({ baseURL: server.url });
  const token = new URL(invitation.url).hash.slice(1);
  const email = `${name.replaceAll(' ', '-')}@example.com`;
  await call(joined, 'POST', `${account}/invitations/accept`, {
    token,
    email,
    name,
    password: 'a long enough password',
  });
  return joined;
}

const overlay = () => page.getByRole('dialog', { name: 'Command palette' });
const palette = async (text) => {
  await page.keyboard.press('Control+k');
  await overlay().waitFor();
  await page.keyboard.type(text);
};

try {
  const publicKey = makeKey().publicKey;
  const key = await call(context, 'POST', `${inventory}/ssh-keys`, { name: 'team-laptop', publicKey });
  await call(context, 'POST', `${inventory}/volumes`, {
    name: 'team-data',
    sizeGb: 100,
    provider: 'voltage-park',
    region: 'dallas-usa-5',
  });
  const all = await call(context, 'GET', `${inventory}/offers?limit=100&available=true&sort=price`);
  const offers = all.filter((o) => o.stock === null || o.stock > 12);
  const cheap = offers[0];
  const dear = offers.find((o) => o.hourlyPrice > cheap.hourlyPrice && o.hourlyPrice < 60);
  assert.ok(cheap && dear, 'there are no offers for the test');

  await part('a team of members and keys starts twelve machines', async () => {
    const bound = await call(context, 'POST', `${account}/api-keys`, {
      name: 'pretraining-ci',
      project: 'pretraining',
    });
    const free = await call(context, 'POST', `${account}/api-keys`, { name: 'nightly-ci' });
    const machine = (name, offer, more = {}) => ({
      offerId: offer.id,
      name,
      sshKeyIds: [key.id],
      operatingSystem: offer.operatingSystems[0],
      ...more,
    });
    const path = `${inventory}/deployments`;
    for (const n of [1, 2, 3, 4, 5]) await callWith(bound.key, 'POST', path, machine(`pretrain-${n}`, cheap));
    for (const n of [1, 2, 3])
      await callWith(free.key, 'POST', path, machine(`nightly-${n}`, cheap, { tags: ['nightly'] }));
    const first = await member('member one');
    const second = await member('member two');
    for (const n of [1, 2]) await call(first, 'POST', path, machine(`serve-${n}`, cheap, { project: 'inference' }));
    await call(second, 'POST', path, machine('eval-small', cheap));
    await call(second, 'POST', path, machine('eval-large', dear));
    for (const c of [first, second]) await c.close();
    await server.run('sim', 'advance', '26m');
  });

  await part('the lead finds who started the dearest machine', async () => {
    await page.goto('/deployments');
    const table = page.getByRole('table', { name: 'Deployments' });
    await table.getByRole('row').nth(12).waitFor();
    const descending = async (head) => {
      await table.getByRole('button', { name: head }).click();
      // The next click reverses what is shown.
      await table.locator('th[aria-sort=ascending]').filter({ hasText: head }).waitFor();
      await table.getByRole('button', { name: head }).click();
      await table.locator('th[aria-sort=descending]').filter({ hasText: head }).waitFor();
    };
    await descending('Price/hr');
    const top = table.getByRole('row').nth(1);
    await top.getByText('eval-large').waitFor();
    await top.getByText('by member two').waitFor();
    await clean(page, 'the deployments of a team');
    await descending('Total cost');
    assert.match(page.url(), /sort=-costToDate/);
    await top.getByText('eval-large').waitFor();
    await shot(page, 'deployments');
    // The whole row opens its page, and a selection of text does not.
    await top.getByText(`${dear.gpuCount} × ${dear.gpuType}`).click();
    await page.getByRole('heading', { name: 'eval-large' }).waitFor();
    await page.goBack();
    await top.getByText('by member two').waitFor();
    const [tab] = await Promise.all([
      context.waitForEvent('page'),
      top.getByText(`${dear.gpuCount} × ${dear.gpuType}`).click({ modifiers: ['ControlOrMeta'] }),
    ]);
    await tab.getByRole('heading', { name: 'eval-large' }).waitFor();
    await tab.close();
    const by = await top.getByText('by member two').boundingBox();
    await page.mouse.move(by.x + 1, by.y + by.height / 2);
    await page.mouse.down();
    await page.mouse.move(by.x + 60, by.y + by.height / 2, { steps: 5 });
    await page.mouse.up();
    assert.notEqual(await page.evaluate(() => String(window.getSelection())), '', 'no text was selected');
    assert.match(page.url(), /\/deployments\?/, 'a selection of text opened a page');
    await page.evaluate(() => window.getSelection()?.removeAllRanges());
  });

  await part('the audit log names users, keys and resources, and filters by them', async () => {
    await page.goto('/settings/audit');
    const table = page.getByRole('table', { name: 'Audit log' });
    await table.getByRole('link', { name: 'eval-large' }).first().waitFor();
    await page.getByRole('combobox', { name: 'Actor' }).click();
    await page.getByRole('option', { name: 'pretraining-ci (API key)' }).click();
    await page.waitForURL(/actor=key_/);
    await table.getByRole('link', { name: 'pretrain-5' }).waitFor();
    await table.getByRole('link', { name: 'eval-large' }).first().waitFor({ state: 'detached' });
    await clean(page, 'the audit log');
    await shot(page, 'audit');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await table.getByRole('link', { name: 'eval-large' }).first().click();
    await page.getByRole('heading', { name: 'eval-large' }).waitFor();
  });

  await part('the palette finds pages, actions and resources by the keyboard alone', async () => {
    await page.goto('/overview');
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    await palette('nightly');
    const field = overlay().getByRole('combobox');
    assert.ok(await field.evaluate((e) => e === document.activeElement), 'the field has no focus');
    await overlay()
      .getByRole('option', { name: /nightly-2/ })
      .waitFor();
    await overlay()
      .getByRole('option', { name: /nightly-ci/ })
      .waitFor();
    const active = () =>
      field.evaluate((e) => document.getElementById(e.getAttribute('aria-activedescendant'))?.innerText);
    const before = await active();
    await page.keyboard.press('ArrowDown');
    assert.notEqual(await active(), before);
    assert.deepEqual(await axe(page), [], 'axe on the palette');
    await shot(page, 'palette');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^nightly-/ }).waitFor();
    await palette('team-data');
    await overlay()
      .getByRole('option', { name: /^team-data/ })
      .waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/volumes\?search=vol_/);
    await page.getByRole('table', { name: 'Volumes' }).getByText('team-data').waitFor();
    await palette('create api');
    await overlay().getByRole('option', { name: 'Create API key' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Create API key' }).waitFor();
    await page.keyboard.press('Escape');
    await palette('failing');
    await overlay().getByRole('option', { name: 'Operator: failing jobs' }).waitFor();
    await page.keyboard.press('Escape');
    await overlay().waitFor({ state: 'hidden' });
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).getByText('Open command palette').waitFor();
    await page.keyboard.press('Escape');
  });

  await part('tags and auto-termination change in bulk', async () => {
    await page.goto('/deployments?tag=nightly');
    const table = page.getByRole('table', { name: 'Deployments' });
    await table
      .getByRole('checkbox', { name: /^Select nightly-/ })
      .first()
      .check();
    await page.getByRole('button', { name: 'Select all 3 that match' }).click();
    await page.getByText('3 selected').waitFor();
    await page.getByRole('button', { name: 'Add tags' }).click();
    const tags = page.getByRole('dialog', { name: 'Add tags' });
    await tags.getByRole('combobox', { name: 'Tags' }).fill('batch');
    await page.keyboard.press('Enter');
    await tags.getByText('Will be tagged.').first().waitFor();
    await page.keyboard.press('Tab'); // closes the list of known tags
    assert.deepEqual(await axe(page), [], 'axe on the tags');
    await tags.getByRole('button', { name: 'Tag 3 deployments' }).click();
    await tags.waitFor({ state: 'hidden' });
    await table.getByText('batch').nth(2).waitFor();
    await table
      .getByRole('checkbox', { name: /^Select nightly-/ })
      .first()
      .check();
    await page.getByRole('button', { name: 'Select all 3 that match' }).click();
    await page.getByText('3 selected').waitFor();
    await page.getByRole('button', { name: 'Set auto-termination' }).click();
    const end = page.getByRole('dialog', { name: /^Set auto-termination of 3/ });
    await end.getByText('Will auto-terminate then.').first().waitFor();
    assert.deepEqual(await axe(page), [], 'axe on the auto-termination');
    await shot(page, 'auto-termination');
    await end.getByRole('button', { name: 'Change 3 deployments' }).click();
    await end.waitFor({ state: 'hidden' });
    const changed = await call(context, 'GET', `${inventory}/deployments?tag=batch`);
    assert.equal(changed.filter((d) => d.autoTerminateAt !== null).length, 3);
  });

  await part('the lead ends one project at once, and reads what was refused', async () => {
    await page.goto('/deployments');
    await page.getByRole('combobox', { name: 'Project' }).click();
    await page.getByRole('option', { name: 'pretraining' }).click();
    await page.waitForURL(/project=pretraining/);
    const table = page.getByRole('table', { name: 'Deployments' });
    await page.getByRole('row').filter({ hasText: 'serve-1' }).waitFor({ state: 'detached' });
    const [one] = await call(context, 'GET', `${inventory}/deployments?search=pretrain-1`);
    await call(context, 'PATCH', `${inventory}/deployments/${one.id}`, { terminationProtection: true });
    await table
      .getByRole('checkbox', { name: /^Select pretrain-/ })
      .first()
      .check();
    await page.getByRole('button', { name: 'Select all 5 that match' }).click();
    await page.getByText('5 selected').waitFor();
    await page.getByRole('button', { name: 'Terminate selected' }).click();
    const dialog = page.getByRole('dialog', { name: /^Terminate 5/ });
    await dialog.getByText('Terminates now.').first().waitFor();
    assert.deepEqual(await axe(page), [], 'axe on the terminations');
    await shot(page, 'terminate');
    await dialog.getByRole('button', { name: 'Terminate 4 deployments' }).click();
    const results = page.getByRole('dialog', { name: 'Terminate: results' });
    await results.getByText('4 deployments terminating. 1 deployment refused.').waitFor();
    await results.getByText(/protect/).waitFor();
    assert.deepEqual(await axe(page), [], 'axe on the results');
    await shot(page, 'results');
    await results.getByRole('button', { name: 'Done' }).click();
    await page.getByText('selected').waitFor({ state: 'hidden' });
    const left = await call(context, 'GET', `${inventory}/deployments?project=pretraining&status=running`);
    assert.deepEqual(
      left.map((d) => d.name),
      ['pretrain-1'],
    );
  });

  await part('the deploy page shows the whole request', async () => {
    await page.goto(`/deploy/${cheap.id}`);
    await page.getByRole('heading', { name: /^Deploy / }).waitFor();
    await page.getByText('Capacity check').click();
    await page.getByLabel('Machines').fill('2');
    await page.getByRole('button', { name: 'Check capacity' }).click();
    await page.getByText(/^(Enough|Not enough) capacity\.$/).waitFor();
    await page.getByRole('button', { name: 'Lock price for 10 min' }).click();
    await page.getByText(/ left$/).waitFor();
    await clean(page, 'a locked price');
    await shot(page, 'deploy-locked');
    visitors.allowed = [...expected, /deployments$/];
    if (cheap.capabilities.cloudInit) {
      await page.getByLabel('cloud-init').fill('#cloud-config\nruncmd: yes\n');
      await page.getByRole('button', { name: 'Dry run' }).click();
      await page
        .getByText(/^Line 2, column \d+: /)
        .first()
        .waitFor();
      assert.deepEqual(await axe(page), [], 'axe on the fault');
      await shot(page, 'deploy-fault');
      await page.getByLabel('cloud-init').fill('');
    }
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.getByText('The request is valid. Nothing was deployed.').waitFor();
    visitors.allowed = expected;
    const fallback = page.getByRole('combobox', { name: 'Add fallback offer' });
    if (await fallback.isEnabled()) {
      await fallback.click();
      await page.getByRole('option').first().click();
      await page
        .getByRole('button', { name: /^Remove / })
        .last()
        .waitFor();
      await page.getByText('A price can be locked for a deployment without fallback offers.').waitFor();
      await page.getByRole('button', { name: 'Dry run' }).click();
      await page.getByText('The request is valid. Nothing was deployed.').waitFor();
      await page.getByText('Deploy with the API (curl)').click();
      await page.getByText('"candidates"').waitFor();
    }
    await clean(page, 'a deploy with a fallback');
    await shot(page, 'deploy-fallback');
    assert.equal((await call(context, 'GET', `${inventory}/deployments?limit=100`)).length, 12, 'a dry run deployed');
  });

  await part('on a phone and in dark', async () => {
    const state = await context.storageState();
    for (const [viewport, colorScheme] of [
      [phone, 'light'],
      [phone, 'dark'],
      [wide, 'dark'],
    ]) {
      const other = await open({ storageState: state, viewport, colorScheme });
      const name = `${viewport.width}-${colorScheme}`;
      for (const path of ['/deployments', '/settings/audit', `/deploy/${cheap.id}`]) {
        await other.page.goto(path);
        await clean(other.page, `${path} ${name}`);
        await shot(other.page, `${path.split('/').at(-1)}-${name}`);
      }
      await other.page.getByRole('button', { name: 'Search', exact: true }).filter({ visible: true }).click();
      const dialog = other.page.getByRole('dialog', { name: 'Command palette' });
      await dialog.getByRole('combobox').fill('serve');
      await dialog.getByRole('option', { name: /serve-1/ }).waitFor();
      assert.deepEqual(await axe(other.page), [], `axe on the palette ${name}`);
      await shot(other.page, `palette-${name}`);
      await other.page.keyboard.press('Enter');
      await other.page.getByRole('heading', { name: /^serve-/ }).waitFor();
      assert.deepEqual(other.faults, []);
      await other.context.close();
    }
  });

  assert.deepEqual(lead.faults, []);
} catch (error) {
  if (shots) await page.screenshot({ path: `${shots}/failed.png` }).catch(() => {});
  console.error(server.log().slice(-2000));
  throw error;
} finally {
  await browser.close();
  await server.stop();
}
