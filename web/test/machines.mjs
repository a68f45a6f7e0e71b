// The operator's own servers: added in a dialog, shown in their racks with their states, and
// taken out.

import assert from 'node:assert/strict';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { everywhere as cleanEverywhere, expected, part, visitorsOf } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const operator = '/api/v1/operator';
const visitors = visitorsOf(browser, server);
visitors.allowed = [...expected, /\/machines(\/mac_[0-9a-z]+)?(\/destroy-drive)?$/];
const { page, context, faults } = await visitors.open();

async function everywhere(where) {
  await cleanEverywhere(page, where);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}

async function operate(method, path, data) {
  const answer = await context.request.fetch(path, { method, data, headers: { 'Sec-Fetch-Site': 'same-origin' } });
  assert.ok(answer.ok(), `${method} ${path}: ${await answer.text()}`);
  return (await answer.json()).data;
}

const machine = (n, rack, position) => ({
  name: `gpu-0${n}`,
  bmcUrl: `https://10.0.0.${n}`,
  bmcUser: 'billet',
  bmcPassword: 'pw',
  macs: [`3c:ec:ef:00:00:0${n}`],
  address: `192.0.2.${n}/24`,
  region: 'oslo-1',
  rack,
  position,
  height: 4,
  hourlyPrice: 12.5,
  gpuType: 'NVIDIA H100',
  gpuCount: 8,
  gpuMemoryGb: 80,
});

try {
  await visitors.signedIn(context);

  await part('no machines yet', async () => {
    await page.goto('/operator/machines');
    await page.getByText('Rent out your own servers').waitFor();
    await everywhere('machines-none');
  });

  await part('a machine is added, and every fault is at its field', async () => {
    await page.getByRole('button', { name: 'Add machine' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Add machine' });
    const submit = dialog.getByRole('button', { name: 'Add machine' });
    for (const [label, value] of [
      ['Name', 'gpu-01'],
      ['BMC URL', 'http://10.0.0.1'],
      ['BMC user', 'billet'],
      ['BMC password', 'pw'],
      ['MAC addresses', '3c:ec:ef:00:00:01'],
      ['Address', '192.0.2.1'],
      ['Region', 'oslo-1'],
      ['Rack', 'A1'],
      ['Lowest rack unit', '1'],
      ['Rack units', '4'],
      ['Price per hour (USD)', '12.50'],
      ['GPU type', 'NVIDIA H100'],
      ['Number of GPUs', '8'],
      ['GPU memory (GB)', '80'],
    ]) {
      await dialog.getByLabel(label, { exact: true }).fill(value);
    }
    await submit.click();
    await dialog.getByText('must begin with https://').waitFor();
    await dialog.getByText('must be an IP address with the length of its prefix').waitFor();
    await everywhere('machine-faults');
    await dialog.getByLabel('BMC URL', { exact: true }).fill('https://10.0.0.1');
    await dialog.getByLabel('Address', { exact: true }).fill('192.0.2.1/24');
    await submit.click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('region', { name: 'Rack A1' }).getByText('gpu-01').waitFor();
  });

  await part('racks show each machine with its state', async () => {
    const second = await operate('POST', `${operator}/machines`, machine(2, 'A1', 5));
    await operate('POST', `${operator}/machines`, machine(3, 'B7', 2));
    await operate('POST', `${operator}/machines/${second.id}/quarantine`, { reason: 'a fan is loud' });
    await page.reload();
    const a1 = page.getByRole('region', { name: 'Rack A1' });
    await a1.getByText('quarantined').waitFor();
    await a1.getByText('enrolled').waitFor();
    await page.getByRole('region', { name: 'Rack B7' }).getByText('gpu-03').waitFor();
    const above = await a1.getByText('gpu-02').boundingBox();
    const below = await a1.getByText('gpu-01').boundingBox();
    assert.ok(above.y < below.y, 'the machine with the higher unit is drawn above');
    await page.getByRole('table', { name: 'Machines' }).getByText('a fan is loud').waitFor();
    await everywhere('machines');
  });

  await part('a machine is edited: what is written is sent, and no more', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Actions for gpu-01' }).click();
    await page.getByRole('menuitem', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit gpu-01' });
    const save = dialog.getByRole('button', { name: 'Save machine' });
    assert.equal(await dialog.getByLabel('BMC URL', { exact: true }).inputValue(), 'https://10.0.0.1');
    assert.equal(await dialog.getByLabel('BMC password', { exact: true }).inputValue(), '', 'a password is shown');
    assert.ok(await save.isDisabled(), 'nothing has changed');
    await dialog.getByLabel('Labels', { exact: true }).fill('owner');
    await dialog.getByText('Enter names and values').waitFor();
    await dialog.getByLabel('Labels', { exact: true }).fill('owner=lab, batch=3');
    await dialog.getByLabel('Price per hour (USD)', { exact: true }).fill('9.5');
    await dialog.getByLabel('MAC addresses', { exact: true }).fill('3c:ec:ef:00:00:01 3c:ec:ef:00:01:01');
    await dialog.getByLabel('Address', { exact: true }).fill('nonsense');
    await everywhere('machine-edit');
    await save.click();
    await dialog.getByText('must be an IP address with the length of its prefix').waitFor();
    await dialog.getByLabel('Address', { exact: true }).fill('192.0.2.1/24');
    const request = page.waitForRequest((r) => r.method() === 'PATCH');
    await save.click();
    assert.deepEqual((await request).postDataJSON(), {
      labels: { owner: 'lab', batch: '3' },
      hourlyPrice: 9.5,
      macs: ['3c:ec:ef:00:00:01', '3c:ec:ef:00:01:01'],
    });
    await dialog.waitFor({ state: 'detached' });
    const m = (await operate('GET', `${operator}/machines`)).find((each) => each.name === 'gpu-01');
    assert.deepEqual([m.hourlyPrice, m.labels, m.macs.length], [9.5, { owner: 'lab', batch: '3' }, 2]);
  });

  await part('a machine without a BMC is added, for trusted tenants only', async () => {
    await operate('POST', `${operator}/machine-images`, {
      name: 'Debian 12',
      url: 'https://images.example.com/debian.raw',
      sha256: 'ab'.repeat(32),
      format: 'raw',
      bytes: 2 ** 30,
    });
    await page.getByRole('button', { name: 'Add machine' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Add machine' });
    await dialog.getByText('Answers SSH only').click();
    await dialog.getByText('For trusted tenants only').waitFor();
    assert.equal(await dialog.getByLabel('BMC URL', { exact: true }).count(), 0);
    const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';
    for (const [label, value] of [
      ['Name', 'gpu-09'],
      ['SSH address', '192.0.2.9:22'],
      ['SSH host key', hostKey],
      ['Idle image', 'Debian 12'],
      ['MAC addresses', '3c:ec:ef:00:00:09'],
      ['Address', '192.0.2.9/24'],
      ['Region', 'oslo-1'],
      ['Price per hour (USD)', '5'],
      ['GPU type', 'NVIDIA H100'],
      ['Number of GPUs', '8'],
      ['GPU memory (GB)', '80'],
    ]) {
      await dialog.getByLabel(label, { exact: true }).fill(value);
    }
    await everywhere('machine-ssh');
    await dialog.getByRole('button', { name: 'Add machine' }).click();
    await dialog.waitFor({ state: 'detached' });
    const m = (await operate('GET', `${operator}/machines`)).find((each) => each.name === 'gpu-09');
    assert.match(m.sshPublicKey, /^ssh-/);
    await page.getByRole('button', { name: 'Actions for gpu-09' }).click();
    await page.getByRole('menuitem', { name: 'Edit' }).click();
    const edit = page.getByRole('dialog', { name: 'Edit gpu-09' });
    await edit.getByText(m.sshPublicKey).waitFor();
    await edit.getByRole('button', { name: 'Cancel' }).click();
    await edit.waitFor({ state: 'detached' });
    await operate('DELETE', `${operator}/machines/${m.id}`);
  });

  await part('an account is trusted, and no longer', async () => {
    const [account] = await operate('GET', `${operator}/accounts`);
    await page.goto(`/operator/accounts/${account.id}`);
    for (const [button, trusted] of [
      ['Trust account', true],
      ['Stop trusting', false],
    ]) {
      await page.getByRole('button', { name: button }).click();
      const dialog = page.getByRole('dialog');
      if (trusted) await everywhere('account-trust');
      await dialog.getByRole('button', { name: button }).click();
      await dialog.waitFor({ state: 'detached' });
      assert.equal((await operate('GET', `${operator}/accounts/${account.id}`)).trusted, trusted);
    }
    await page.goto('/operator/machines');
  });

  await part('a drive is declared destroyed', async () => {
    // No server was inspected here: one is shown as if it had been, and had a tenant. The server
    // knows better, and refuses.
    const list = /\/operator\/machines\?/;
    await page.route(list, async (route) => {
      const answer = await (await route.fetch()).json();
      const drives = [{ serial: 'S1', bytes: 10 ** 12 }];
      for (const m of answer.data) m.hardware = { drives };
      await route.fulfill({ json: answer });
    });
    await page.reload();
    await page.getByRole('button', { name: 'Actions for gpu-02' }).click();
    await page.getByRole('menuitem', { name: 'Declare drive destroyed' }).click();
    const dialog = page.getByRole('dialog', { name: 'Declare a drive of gpu-02 destroyed' });
    const submit = dialog.getByRole('button', { name: 'Declare destroyed' });
    assert.ok(await submit.isDisabled());
    await dialog.getByLabel(/^Serial number( \*)?$/).click();
    await page.getByRole('option', { name: 'S1' }).click();
    await dialog.getByLabel('Reason').fill('failed, and was shredded');
    await dialog.getByLabel('Serial number of the new drive').fill('S2');
    await everywhere('machine-drive');
    const request = page.waitForRequest((r) => r.url().endsWith('/destroy-drive'));
    await submit.click();
    assert.deepEqual((await request).postDataJSON(), {
      serial: 'S1',
      reason: 'failed, and was shredded',
      replacement: 'S2',
    });
    await dialog.getByText('may have a tenant').last().waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.unroute(list);
  });

  await part('a machine is drained with a reason, and removed', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Actions for gpu-02' }).click();
    await page.getByRole('menuitem', { name: 'Drain', exact: true }).click();
    const drain = page.getByRole('dialog', { name: 'Drain gpu-02?' });
    await drain.getByLabel('Reason').fill('sold');
    await drain.getByRole('button', { name: 'Drain' }).click();
    await drain.waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('button', { name: 'Actions for gpu-02' }).click();
    await page.getByRole('menuitem', { name: 'Remove machine', exact: true }).click();
    const remove = page.getByRole('dialog', { name: 'Remove gpu-02?' });
    await remove.getByRole('button', { name: 'Remove machine' }).click();
    await remove.waitFor({ state: 'detached' });
    await page.getByRole('region', { name: 'Rack A1' }).getByText('gpu-02').waitFor({ state: 'detached' });
    assert.equal((await operate('GET', `${operator}/machines`)).length, 2);
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
