// An operator's own server: sold, installed with a tenant's own image, and its serial console. It
// is an emulated one, which the Go test that runs this script has started with a server of Billet.

import assert from 'node:assert/strict';
import { ending, launch } from './browser.mjs';
import { makeKey } from './seed.mjs';
import { everywhere as cleanEverywhere, expected, part, visitorsOf } from './visit.mjs';

const { BILLET_URL, BILLET_EMAIL, BILLET_PASSWORD, MACHINE } = process.env;
assert.ok(BILLET_URL && MACHINE, 'run it with: go test ./test/dashboard -run TestRacks');
const machine = JSON.parse(MACHINE);
const browser = await launch();
ending(() => browser.close());
const visitors = visitorsOf(browser, {
  url: BILLET_URL.replace('127.0.0.1', 'localhost'),
  demo: { email: BILLET_EMAIL, password: BILLET_PASSWORD },
});
const { page, context, faults } = await visitors.open();
const inventory = '/api/v1/inventory';
const operator = '/api/v1/operator';

async function everywhere(where) {
  await cleanEverywhere(page, where);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}

async function api(method, path, data) {
  const answer = await context.request.fetch(path, { method, data, headers: { 'Sec-Fetch-Site': 'same-origin' } });
  assert.ok(answer.ok(), `${method} ${path}: ${await answer.text()}`);
  return (await answer.json()).data;
}

/** Asks again until there is an answer: a long poll is not there for everything. */
async function eventually(what, ask) {
  for (const end = Date.now() + 120_000; ; ) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await page.waitForTimeout(500);
  }
}

const sum = 'ab'.repeat(32);
let offer;
let deployment;

try {
  await visitors.signedIn(context);

  await part('the server is entered, inspected and for sale', async () => {
    await api('POST', `${operator}/machine-images`, {
      name: 'Ubuntu 24.04',
      url: 'https://images.example.com/ubuntu.raw',
      sha256: sum,
      format: 'raw',
      bytes: 2 ** 30,
    });
    const made = await api('POST', `${operator}/machines`, machine);
    await api('POST', `${operator}/machines/${made.id}/inspect`, {});
    offer = await eventually('an offer of the server', async () =>
      (await api('GET', `${inventory}/offers?provider=racks`)).find((o) => o.available),
    );
    assert.ok(
      offer.capabilities.customImages && offer.capabilities.console,
      'the offer takes images and has a console',
    );
  });

  await part('an image is added, and every fault is at its field', async () => {
    await page.goto('/images');
    await page.getByText('No images yet').waitFor();
    await everywhere('images-none');
    await page.getByRole('button', { name: 'Add image' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add image' });
    const submit = dialog.getByRole('button', { name: 'Add image' });
    await dialog.getByLabel('Name').fill('rocky');
    await dialog.getByLabel('URL').fill('http://10.0.0.1/rocky.raw');
    assert.ok(await dialog.getByLabel('raw').isChecked(), 'the format is that of the URL');
    await dialog.getByLabel('SHA-256').fill('ab');
    await dialog.getByText('Enter the 64 hexadecimal digits.').waitFor();
    assert.ok(await submit.isDisabled());
    await dialog.getByLabel('SHA-256').fill(sum);
    await dialog.getByLabel('Size in bytes').fill('1073741824');
    await dialog.getByText('1.1 GB').waitFor();
    visitors.allowed = [...expected, /\/images$/];
    await submit.click();
    await dialog.getByText(/https/).and(dialog.locator('[class*=error]')).first().waitFor();
    await everywhere('image-faults');
    await dialog.getByLabel('URL').fill('https://images.example.com/rocky.raw');
    await submit.click();
    await dialog.waitFor({ state: 'detached' });
    visitors.allowed = expected;
    await page.getByRole('table', { name: 'Images' }).getByText('rocky', { exact: true }).waitFor();
    await api('POST', `${inventory}/images`, {
      name: 'old',
      url: 'https://images.example.com/old.qcow2',
      sha256: sum,
      format: 'qcow2',
      sizeBytes: 2 ** 29,
    });
    await page.reload();
    await page.getByText('old', { exact: true }).waitFor();
    await everywhere('images');
  });

  await part('an image is deleted', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Actions for old' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete old?' });
    await dialog.getByRole('button', { name: 'Delete image' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('old', { exact: true }).waitFor({ state: 'detached' });
    assert.deepEqual(
      (await api('GET', `${inventory}/images`)).map((i) => i.name),
      ['rocky'],
    );
  });

  await part('another offer says that it cannot install images', async () => {
    // The only offer here is one that can.
    const path = `**/offers/${offer.id}`;
    await page.route(path, async (route) => {
      const answer = await (await route.fetch()).json();
      answer.data.capabilities.customImages = false;
      await route.fulfill({ json: answer });
    });
    await page.goto(`/deploy/${offer.id}`);
    await page.getByText('Your own images cannot be chosen').waitFor();
    assert.equal(await page.getByRole('radio', { name: /rocky/ }).count(), 0);
    await everywhere('deploy-no-images');
    await page.unroute(path);
  });

  await part('the image is deployed', async () => {
    await api('POST', `${inventory}/ssh-keys`, { name: 'laptop', publicKey: makeKey().publicKey });
    await page.goto(`/deploy/${offer.id}`);
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('own-image');
    await page.getByRole('radio', { name: /rocky/ }).click();
    await everywhere('deploy-image');
    await page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.waitForURL(/\/deployments\/dep_/);
    deployment = page.url().match(/dep_[0-9a-z]+/)[0];
    await eventually('running', async () => {
      const d = await api('GET', `${inventory}/deployments/${deployment}`);
      return d.status === 'running' && d.operatingSystem === 'rocky' && d.imageId?.startsWith('img_');
    });
    await page.getByText('running', { exact: true }).first().waitFor();
  });

  await part('the machine is reinstalled with an operating system of the offer, and with the image', async () => {
    for (const [chosen, installed] of [
      ['Ubuntu 24.04', 'Ubuntu 24.04'],
      ['rocky (your image)', 'rocky'],
    ]) {
      await page.goto(`/deployments/${deployment}`);
      await page.getByRole('button', { name: 'Machine', exact: true }).click();
      await page.getByRole('menuitem', { name: 'Reinstall' }).click();
      const dialog = page.getByRole('dialog', { name: 'Reinstall own-image?' });
      await dialog.getByRole('combobox', { name: 'Operating system' }).click();
      await page.getByRole('option', { name: chosen }).click();
      await dialog.getByRole('textbox', { name: /own-image/ }).fill('own-image');
      await dialog.getByRole('button', { name: 'Reinstall' }).click();
      await dialog.waitFor({ state: 'detached' });
      await eventually(`${installed} is installed`, async () => {
        const d = await api('GET', `${inventory}/deployments/${deployment}`);
        return d.pendingAction === null && d.operatingSystem === installed && d.sshHostKeys.length > 0;
      });
    }
  });

  const screen = (p) => p.locator('.xterm-rows');
  const consoleOf = (p) => p.getByRole('region', { name: 'Serial console of own-image' });

  await part('the serial console shows what the machine writes, and sends keys', async () => {
    await page.goto(`/deployments/${deployment}`);
    await page.getByRole('tab', { name: 'Console' }).click();
    await consoleOf(page).getByText('Connected').waitFor();
    await screen(page).getByText('login:').waitFor();
    await page.keyboard.type('root');
    await screen(page).getByText('login: root').waitFor(); // it repeats what is typed
    await everywhere('console');
  });

  await part('a console that another has is named, and taken over', async () => {
    const second = await visitors.open();
    await visitors.signedIn(second.context);
    // The browser logs a refused WebSocket at the script that opened it.
    visitors.allowed = [...expected, /\/console$/, /\/assets\/Console-/];
    await second.page.goto(`/deployments/${deployment}/console`);
    const there = consoleOf(second.page);
    await there.getByText(/^The console is open already, by Demo since /).waitFor();
    await cleanEverywhere(second.page, 'console-taken');
    await there.getByRole('button', { name: 'Reconnect' }).click();
    await there.getByText(/^The console is open already/).waitFor();
    await there.getByRole('button', { name: 'Take over' }).click();
    const dialog = second.page.getByRole('dialog', { name: 'Take the console over?' });
    await dialog.getByRole('button', { name: 'Take over' }).click();
    await there.getByText('Connected').waitFor();
    await second.page.keyboard.type('mine');
    await screen(second.page).getByText('login: mine').waitFor();
    await consoleOf(page).getByText('The console was opened elsewhere.').waitFor();
    await second.context.close();
    await eventually('the console is free', async () => {
      const answer = await context.request.get(`${inventory}/deployments/${deployment}/console`);
      return answer.status() === 400; // it only lacks a WebSocket
    });
    await consoleOf(page).getByRole('button', { name: 'Reconnect' }).click();
    await consoleOf(page).getByText('Connected').waitFor();
    assert.deepEqual(second.faults, []);
  });

  await part('a console that is not available says so', async () => {
    const path = `${operator}/machines/${(await api('GET', `${operator}/machines`))[0].id}`;
    await api('PATCH', path, { consolePort: 1 });
    await page.reload();
    await consoleOf(page).getByText('The machine’s serial console does not answer. Try again shortly.').waitFor();
    await everywhere('console-silent');
    await api('PATCH', path, { console: 'off' });
    await consoleOf(page).getByRole('button', { name: 'Reconnect' }).click();
    await consoleOf(page).getByText('This machine has no serial console.').waitFor();
    visitors.allowed = expected;
  });

  assert.deepEqual(faults, []);
} catch (error) {
  console.error(`at ${page.url()}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  if (process.env.WALK_SHOTS) await page.screenshot({ path: `${process.env.WALK_SHOTS}/failure.png`, fullPage: true });
  throw error;
} finally {
  await browser.close();
}
