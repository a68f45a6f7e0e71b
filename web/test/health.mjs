// GPU checks: the panel of a deployment with each verdict and with a check in progress, and the
// operator's setting.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, makeKey } from './seed.mjs';
import { everywhere as cleanEverywhere, part, visitorsOf } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const api = apiOf(server);
const { page, context, faults } = await visitorsOf(browser, server).open();
const panel = page.getByRole('region', { name: 'GPU health' });
const deployments = '/api/v1/inventory/deployments';

async function everywhere(where) {
  await cleanEverywhere(page, where);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}

async function deploy(name, healthAccess) {
  const { publicKey } = makeKey();
  const made = await api('POST', deployments, {
    offerId: 'off_abc123',
    name,
    operatingSystem: 'Ubuntu 22.04',
    ssh_public_key: publicKey,
    healthAccess,
  });
  await server.run('sim', 'advance', '30s');
  await api('GET', `${deployments}/${made.id}?waitFor=running&timeoutSeconds=60`);
  return made.id;
}

/** Has the page see other results of the checks of the deployment than there are. */
async function pretend(id, change) {
  await page.route(`**${deployments}/${id}{,/health}`, async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const answer = await (await route.fetch()).json();
    change(answer.data.checks ? answer.data : answer.data.health, answer.data);
    return route.fulfill({ json: answer });
  });
  return () => page.unroute(`**${deployments}/${id}{,/health}`);
}

try {
  await visitorsOf(browser, server).signedIn(context);

  await part('the operator sets which GPUs are checked', async () => {
    await page.goto('/operator/settings');
    const form = page.getByRole('region', { name: 'GPU checks' });
    await form.getByRole('combobox', { name: 'Policy' }).click();
    await page.getByRole('option', { name: /^Report/ }).click();
    await everywhere('health-settings');
    await form.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/saved/i).first().waitFor();
    for (;;) {
      const offer = await api('GET', '/api/v1/inventory/offers/off_abc123');
      if (offer.healthPolicy === 'report') break;
      await server.run('sim', 'advance', '1m');
    }
  });

  let passed = '';
  await part('a machine that passed', async () => {
    passed = await deploy('passed', 'keep');
    await page.goto(`/deployments/${passed}`);
    await panel.getByText('passed', { exact: true }).first().waitFor();
    await everywhere('health-passed');
    await panel.getByText('Individual checks').click();
    await panel.getByRole('cell', { name: /^GPU count/ }).waitFor();
    await panel.getByText('History').click();
    await panel
      .getByRole('row', { name: /level 1, at launch/ })
      .getByText('passed')
      .waitFor();
    await everywhere('health-passed-checks');
  });

  await part('a check is requested, and is in progress until it has a verdict', async () => {
    await server.run('sim', 'advance', '3m');
    await page.goto(`/deployments/${passed}`);
    const accepted = page.waitForResponse((r) => r.url().endsWith('/health-checks') && r.status() === 202);
    await panel.getByRole('button', { name: 'Check GPUs' }).click();
    assert.equal(await page.getByRole('menuitem').count(), 2);
    await page.getByRole('menuitem', { name: /^Quick check/ }).click();
    assert.deepEqual((await accepted).request().postDataJSON(), { level: 1 });
    const end = await pretend(passed, (health) => {
      if (health.checks)
        health.checks[0] = { ...health.checks[0], finishedAt: null, verdict: null, trigger: 'request' };
    });
    await page.goto(`/deployments/${passed}`);
    await panel.locator('button[data-loading]').waitFor();
    await panel.getByText('A check is in progress.').waitFor();
    await everywhere('health-running');
    await end();
    await panel.locator('button:not([data-loading])').waitFor();
    await panel.getByText('History').click();
    await panel
      .getByRole('row', { name: /level 1, requested/ })
      .getByText('passed')
      .waitFor();
    const { latest } = await api('GET', `${deployments}/${passed}/health`);
    assert.deepEqual([latest.trigger, latest.verdict], ['request', 'passed']);
  });

  for (const [verdict, shown, reason, name] of [
    ['warning', 'warning', 'GPU 3: the power limit is 500 W instead of 1000 W.', 'power'],
    ['not_checked', 'not checked', "The machine doesn't accept Billet's key.", 'compute'],
  ])
    await part(`a machine that has the verdict ${shown}`, async () => {
      const end = await pretend(passed, (health) => {
        Object.assign(health, { verdict, reason });
        for (const n of health.latest?.nodes ?? [])
          for (const c of n.checks) if (c.name === name) Object.assign(c, { verdict, detail: reason });
      });
      await page.goto(`/deployments/${passed}`);
      await panel.getByText(shown, { exact: true }).first().waitFor();
      await panel.getByText(reason).first().waitFor();
      await panel.getByText('Individual checks').click();
      await everywhere(`health-${verdict}`);
      await end();
    });

  await part('a machine that failed', async () => {
    await server.run('sim', 'fault', 'add', 'gpu', '--value', 'ecc', '--count', '1');
    const failed = await deploy('failed', 'launch');
    await page.goto(`/deployments/${failed}`);
    await panel.getByText('failed', { exact: true }).first().waitFor();
    await panel.getByText('Individual checks').click();
    await panel.getByRole('row', { name: /^ECC/ }).getByText('failed').waitFor();
    assert.equal(await panel.getByRole('button', { name: 'Check GPUs' }).count(), 0);
    await everywhere('health-failed');
    await page.goto(`/deployments/${failed}/events`);
    await page.getByText('GPU check failed').first().waitFor();
    await everywhere('health-failed-events');
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
