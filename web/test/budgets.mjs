// Budgets: created, shown with what is spent, changed and deleted, and named where they bind.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, makeKey } from './seed.mjs';
import { everywhere, part, visitorsOf } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const api = apiOf(server);
const base = '/api/v1/inventory';
const visitors = visitorsOf(browser, server);
const { page, context, faults } = await visitors.open();

try {
  await visitors.signedIn(context);
  const offers = await api('GET', `${base}/offers?available=true&sort=price&limit=1`);
  const [cheap] = offers;
  const { id } = await api('POST', `${base}/deployments`, {
    offerId: cheap.id,
    name: 'spender',
    project: 'research',
    operatingSystem: cheap.operatingSystems[0],
    ssh_public_key: makeKey().publicKey,
  });
  await api('GET', `${base}/deployments/${id}?waitFor=running&timeoutSeconds=60`);

  await part('a budget is created', async () => {
    await page.goto('/wallet');
    await page.getByText('No budgets.').waitFor();
    await page.getByRole('link', { name: 'View budgets' }).click();
    await page.getByText('No budgets yet').waitFor();
    await everywhere(page, 'budgets-empty');
    await page.getByRole('button', { name: 'Create budget' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create budget' });
    await dialog.getByLabel('Name').fill('research');
    await dialog.getByRole('combobox', { name: 'Scope' }).click();
    await page.getByRole('option', { name: 'Project' }).click();
    await dialog.getByRole('combobox', { name: 'Project' }).fill('research');
    await page.keyboard.press('Escape');
    await dialog.getByLabel('Amount (USD)').fill('none');
    await dialog.getByText('Enter an amount of more than 0.').waitFor();
    await dialog.getByLabel('Amount (USD)').fill('1,000');
    await dialog.getByLabel('Alert thresholds (%)').fill('50, 120');
    await dialog.getByText('Enter at most 10 whole numbers').waitFor();
    await dialog.getByLabel('Alert thresholds (%)').fill('80 50%');
    await dialog.getByRole('radio', { name: 'Block new resources' }).check();
    await everywhere(page, 'budget-dialog');
    await dialog.getByRole('button', { name: 'Create budget' }).click();
    const row = page.getByRole('table', { name: 'Budgets' }).getByRole('row').filter({ hasText: 'research' });
    await row.getByText('Project research').waitFor();
    await row.getByText('50%, 80%').waitFor();
    await row.getByText(/of \$1,000\.00 this month/).waitFor();
    const [made] = await api('GET', `${base}/budgets`);
    assert.deepEqual(
      [made.scope, made.amount, made.thresholds, made.mode, made.period],
      [{ project: 'research' }, 1000, [50, 80], 'block', 'month'],
    );
    assert.equal(made.spent, cheap.hourlyPrice);
    await everywhere(page, 'budgets');
  });

  await part('it is changed, and keeps what was not changed', async () => {
    await page.getByRole('button', { name: 'Actions for research' }).click();
    await page.getByRole('menuitem', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit budget research' });
    assert.equal(await dialog.getByLabel('Alert thresholds (%)').inputValue(), '50, 80');
    assert.equal(await dialog.getByRole('combobox', { name: 'Project' }).inputValue(), 'research');
    await dialog.getByLabel('Amount (USD)').fill(String(cheap.hourlyPrice));
    await dialog.getByRole('button', { name: 'Save budget' }).click();
    await page.getByText('reached', { exact: true }).waitFor();
    const [changed] = await api('GET', `${base}/budgets`);
    assert.deepEqual(
      [changed.amount, changed.scope, changed.thresholds],
      [cheap.hourlyPrice, { project: 'research' }, [50, 80]],
    );
    await everywhere(page, 'budget-reached');
  });

  await part('the deploy page names the budget that binds', async () => {
    await page.goto(`/deploy/${cheap.id}`);
    const summary = page.getByRole('complementary', { name: 'Summary' });
    await summary.getByRole('button', { name: 'Deploy', exact: true }).waitFor();
    assert.equal(await summary.getByText('A budget refuses this deployment').count(), 0);
    await page.getByLabel('Project').fill('research');
    await summary.getByText('A budget refuses this deployment').waitFor();
    await summary.getByRole('link', { name: 'research', exact: true }).waitFor();
    await everywhere(page, 'deploy-budget');
  });

  await part('it is deleted', async () => {
    await page.goto('/wallet');
    await page.getByRole('region', { name: 'Budgets' }).getByText('research').waitFor();
    await everywhere(page, 'wallet-budgets');
    await page.getByRole('link', { name: 'View budgets' }).click();
    await page.getByRole('button', { name: 'Actions for research' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete budget' }).click();
    await page.getByText('No budgets yet').waitFor();
    assert.deepEqual(await api('GET', `${base}/budgets`), []);
  });
  assert.deepEqual(faults, []);
} catch (error) {
  console.error(`at ${page.url()}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  throw error;
} finally {
  await browser.close();
  await server.stop();
}
