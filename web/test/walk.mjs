// Uses the dashboard as its users do, in a real browser against a real server (BILLETD names the
// binary). Prints a line "ok" for each part, or the failure.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startBilletd } from './billetd.mjs';
import { axe, ending, launch } from './browser.mjs';
import { makeKey } from './seed.mjs';
import { clean, expected, part, visitorsOf } from './visit.mjs';

const phone = { width: 360, height: 740 };

const server = await startBilletd(['--webhook-allow-http', '--webhook-allow-networks', '127.0.0.0/8']);
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const key = makeKey();
const visitors = visitorsOf(browser, server);
const { open } = visitors;

/** The current code of an authenticator app for the secret (RFC 6238). */
function code(secret) {
  const bits = [...secret.replace(/[\s=]/g, '')].map((c) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'),
  );
  const bytes = Buffer.from((bits.join('').match(/.{8}/g) ?? []).map((b) => Number.parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac('sha1', bytes).update(counter).digest();
  const at = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

async function signIn(page, email = server.demo.email, password = server.demo.password) {
  await page.getByLabel('Email').fill(email);
  await page.locator('input[name=password]').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

const { page, context, faults } = await open();
try {
  await part('the first load is small', async () => {
    const response = await fetch(server.url);
    assert.match(response.headers.get('Content-Type') ?? '', /html/, 'the dashboard is not built into the binary');
    const sizes = new Map();
    page.on('response', (r) => {
      if (/\.js$/.test(new URL(r.url()).pathname))
        sizes.set(
          r.url(),
          r
            .request()
            .sizes()
            .catch(() => null),
        );
    });
    await page.goto('/');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await clean(page, 'sign-in');
    await signIn(page);
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    await clean(page, 'the overview');
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Offers' }).click();
    await page.getByRole('table', { name: 'Offers' }).waitFor();
    let total = 0;
    for (const size of sizes.values()) total += (await size)?.responseBodySize ?? 0;
    console.log(`   scripts for sign-in and offers: ${(total / 1000).toFixed(0)} kB gzip in ${sizes.size} files`);
    assert.ok(total > 50_000, 'no scripts were counted');
    assert.ok(total < 250_000, `${total} bytes of script`);
  });

  await part('the demo explains itself, and is one click away', async () => {
    const guest = await open();
    await guest.page.goto('/');
    await guest.page.getByText('This is a demo of Billet').waitFor();
    // Machines that cannot be isolated here leave the password in the terminal.
    const { demo } = (await (await fetch(`${server.url}/api/v1/account/sign-in`)).json()).data;
    if (demo.password) {
      await guest.page.getByRole('button', { name: 'Sign in to the demo' }).click();
      await guest.page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    } else await guest.page.getByText('The password of the demo user is in your terminal').waitFor();
    assert.deepEqual(guest.faults, []);
    await guest.context.close();
  });

  await part('every page is clean for axe', async () => {
    for (const path of [
      '/overview',
      '/offers',
      '/offers/off_abc123',
      '/offers/compare?ids=off_abc123',
      '/deployments',
      '/volumes',
      '/images',
      '/ssh-keys',
      '/wallet',
      '/budgets',
      '/settings/api-keys',
      '/settings/webhooks',
      '/device',
      '/settings/members',
      '/settings/profile',
      '/settings/audit',
      '/operator',
      '/operator/deployments',
      '/operator/volumes',
      '/operator/providers',
      '/operator/price-rules',
      '/operator/adjustments',
      '/operator/service-credits',
      '/operator/promo-codes',
      '/operator/top-ups',
      '/operator/invoices',
      '/operator/billing',
      '/operator/issues',
      '/operator/jobs',
      '/operator/margins',
      '/operator/simulator',
      '/nowhere',
    ]) {
      await page.goto(path);
      await clean(page, path);
    }
  });

  await part('an API key created in the dashboard works with curl', async () => {
    await page.getByRole('link', { name: 'API keys' }).click();
    await page.getByRole('button', { name: 'Create API key' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create API key' });
    await dialog.getByLabel('Name').fill('walk');
    assert.deepEqual(await axe(page), [], 'axe on the key dialog');
    await dialog.getByRole('button', { name: 'Create API key' }).click();
    const shown = page.getByRole('dialog', { name: 'API key walk created' });
    await shown.getByRole('button', { name: 'Copy API key' }).click();
    const secret = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(secret, /^pk_live_\w{40,}$/);
    assert.ok((await shown.textContent())?.includes(secret), 'the key is not shown');
    const answer = await fetch(`${server.url}/api/v1/inventory/offers?search=b200`, {
      headers: { Authorization: `Bearer ${secret}` },
    });
    assert.equal(answer.status, 200);
    await shown.getByRole('button', { name: "Done, I've saved it" }).click();
    await page.getByRole('cell', { name: 'walk' }).first().waitFor();
    assert.ok(!(await page.content()).includes(secret), 'the key is still in the page');
  });

  await part('a webhook is created, its secret shown once, and a test event arrives, signed', async () => {
    let arrived;
    const arrival = new Promise((done) => {
      arrived = done;
    });
    const address = createServer((request, response) => {
      let body = '';
      request.on('data', (c) => {
        body += c;
      });
      request.on('end', () => {
        response.end('thank you');
        arrived({ headers: request.headers, body });
      });
    });
    await new Promise((done) => address.listen(0, '127.0.0.1', done));
    try {
      await page.getByRole('link', { name: 'Webhooks' }).click();
      await page.getByRole('button', { name: 'Create webhook' }).click();
      const dialog = page.getByRole('dialog', { name: 'Create webhook' });
      await dialog.getByLabel('URL').fill(`http://127.0.0.1:${address.address().port}/hook`);
      await dialog.getByLabel('Description').fill('walk');
      assert.deepEqual(await axe(page), [], 'axe on the webhook dialog');
      await dialog.getByRole('button', { name: 'Create webhook' }).click();
      const shown = page.getByRole('dialog', { name: 'Signing secret' });
      await shown.getByRole('button', { name: 'Copy signing secret' }).click();
      const secret = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(secret, /^whsec_/);
      await shown.getByRole('button', { name: "Done, I've saved it" }).click();
      await clean(page, 'webhooks');
      assert.ok(!(await page.content()).includes(secret), 'the secret is still in the page');
      await page.getByRole('button', { name: 'Actions for walk' }).click();
      await page.getByRole('menuitem', { name: 'Send test event' }).click();
      const { headers, body } = await arrival;
      const wanted = createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64'))
        .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
        .digest('base64');
      assert.equal(headers['webhook-signature'], `v1,${wanted}`);
      const log = page.getByRole('dialog', { name: 'Deliveries' });
      await log.getByText('thank you').waitFor();
      assert.deepEqual(await axe(page), [], 'axe on the deliveries');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Actions for walk' }).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('button', { name: 'Create webhook' }).waitFor();
    } finally {
      address.closeAllConnections();
      address.close();
    }
  });

  await part('a device authorization is approved and denied', async () => {
    const post = async (path, fields) => {
      const answer = await fetch(`${server.url}/api/v1/account/device/${path}`, {
        method: 'POST',
        body: new URLSearchParams({ client_id: 'billet on walk', ...fields }),
      });
      return answer.json();
    };
    const token = (codes) =>
      post('token', {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code: codes.device_code,
      });

    // A visitor who is not signed in keeps the code through the sign-in.
    const codes = await post('authorize', {});
    const fresh = await open({ viewport: phone });
    await fresh.page.goto(codes.verification_uri_complete);
    await fresh.page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await signIn(fresh.page);
    await fresh.page.getByRole('heading', { name: 'Authorize this app?' }).waitFor();
    await fresh.page.getByText(codes.user_code).waitFor();
    await clean(fresh.page, 'a device authorization on a phone');
    await fresh.page.getByLabel('Name').fill('walk-device');
    await fresh.page.getByText('Read-only', { exact: true }).click();
    assert.equal((await token(codes)).error, 'authorization_pending');
    await fresh.page.getByRole('button', { name: 'Approve' }).click();
    await fresh.page.getByRole('heading', { name: 'Request approved' }).waitFor();
    const issued = await token(codes);
    const wallet = await fetch(`${server.url}/api/v1/inventory/wallet`, {
      headers: { Authorization: `Bearer ${issued.access_token}` },
    });
    assert.equal(wallet.status, 200);
    assert.ok(!issued.scope.includes('deployments:write'), issued.scope);
    await fresh.page.getByRole('link', { name: 'View API keys' }).click();
    await fresh.page.getByText('walk-device').first().waitFor();
    assert.deepEqual(fresh.faults, []);
    await fresh.context.close();

    // A code typed by hand, first a wrong one.
    const typed = await post('authorize', {});
    visitors.allowed = [...expected, /device-authorizations\/lookup$/];
    await page.getByRole('link', { name: 'API keys' }).click();
    await page.getByRole('link', { name: 'Enter it here' }).click();
    await page.getByLabel('Code').fill('bbbbbbbb');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('No pending device authorization has this code').waitFor();
    await page.getByLabel('Code').fill(typed.user_code.toLowerCase().replace('-', ' '));
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'Authorize this app?' }).waitFor();
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByRole('heading', { name: 'Request denied' }).waitFor();
    assert.equal((await token(typed)).error, 'access_denied');
    visitors.allowed = expected;
  });

  await part('an SSH key is added, and a private key is refused', async () => {
    await page.getByRole('link', { name: 'SSH keys' }).click();
    await page.getByRole('button', { name: 'Add SSH key' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add SSH key' });
    const sent = [];
    page.on('request', (r) => sent.push(r.postData() ?? ''));
    await dialog.getByLabel('Public key').fill(key.privateKey);
    await dialog.getByText('This is a private key').waitFor();
    assert.equal(await dialog.getByLabel('Public key').inputValue(), '');
    assert.ok(!sent.some((body) => body.includes('PRIVATE KEY')), 'a private key was sent');
    visitors.allowed = [...expected, /ssh-keys$/];
    await dialog.getByLabel('Public key').fill('ssh-ed25519 nonsense me');
    await dialog.getByRole('button', { name: 'Add key' }).click();
    await dialog.getByRole('alert').or(dialog.locator('[class*=error]')).first().waitFor();
    await dialog.getByLabel('Public key').fill(key.publicKey);
    await dialog.getByLabel('Name').fill('walk-laptop');
    await dialog.getByRole('button', { name: 'Add key' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await page.getByText('walk-laptop').first().waitFor();
    visitors.allowed = expected;
  });

  await part('a volume is created', async () => {
    await page.getByRole('link', { name: 'Volumes' }).click();
    await page.getByRole('button', { name: 'Create volume' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create volume' });
    await dialog.getByLabel('Name').fill('walk-data');
    await dialog.getByRole('combobox', { name: 'Region' }).click();
    await page.getByRole('option', { name: /Dallas 5/ }).click();
    await dialog.getByText('$0.055').waitFor();
    await dialog.getByRole('button', { name: 'Create volume' }).click();
    await page.getByRole('table', { name: 'Volumes' }).getByText('available').waitFor();
  });

  await part('the B200 is found and deployed', async () => {
    await page.getByRole('link', { name: 'Offers' }).click();
    await page.getByRole('table', { name: 'Offers' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('b200 dallas');
    await page.waitForURL(/search=b200/);
    await page.getByRole('link', { name: 'Deploy 8 × NVIDIA B200 in Dallas 5' }).click();
    await page.getByRole('heading', { name: 'Deploy 8 × NVIDIA B200' }).waitFor();
    await clean(page, 'deploy');
    await page.getByLabel('Name').fill('');
    await page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.getByText('Enter a name.').waitFor();
    await page.getByLabel('Name').fill('walk-run');
    // The input outlives a reload.
    await page.getByLabel('cloud-init').fill('#cloud-config\nruncmd: [echo hi]\n');
    await page.reload();
    assert.equal(await page.getByLabel('Name').inputValue(), 'walk-run');
    await page.getByText('Deploy with the API (curl)').click();
    await page.getByText('"name": "walk-run"').waitFor();
    await page.getByLabel('cloud-init').fill('');
    await page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.getByRole('heading', { name: 'walk-run' }).waitFor();
    await page
      .getByText('Deployment progress')
      .or(page.getByText('Connect', { exact: true }))
      .first()
      .waitFor();
  });

  await part('the page follows until it runs', async () => {
    await page.locator('.page-head .status').filter({ hasText: 'running' }).waitFor({ timeout: 60_000 });
    await page.getByText('ssh root@').first().waitFor();
    await clean(page, 'a running deployment');
    for (const tab of ['Events', 'Settings']) {
      await page.getByRole('tab', { name: tab }).click();
      await clean(page, `${tab} of a deployment`);
    }
  });

  await part('nvidia-smi in the web terminal', async () => {
    await page.getByRole('tab', { name: 'Terminal' }).click();
    await page.getByRole('textbox', { name: 'Private key' }).fill(makeKey().privateKey);
    await page.getByRole('button', { name: 'Open terminal' }).click();
    await page.getByText('SIGN_IN_REFUSED').waitFor({ timeout: 60_000 });
    const sent = [];
    page.on('request', (r) => sent.push(r.postData() ?? ''));
    page.on('websocket', (w) => w.on('framesent', (f) => sent.push(String(f.payload))));
    await page.getByRole('textbox', { name: 'Private key' }).fill(key.privateKey);
    await page.getByRole('button', { name: 'Open terminal' }).click();
    await page.getByRole('status').filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await page.locator('.console-rows textarea').focus();
    await page.keyboard.type('nvidia-smi\n');
    await page.waitForFunction(
      () => document.querySelector('.console-rows .xterm-accessibility')?.textContent?.includes('B200'),
      null,
      { timeout: 60_000 },
    );
    await clean(page, 'the terminal');
    assert.ok(!sent.some((body) => body.includes('PRIVATE KEY')), 'the private key was sent');
    await page.keyboard.press('Control+Shift+X');
    assert.equal(
      await page.evaluate(() => document.activeElement?.getAttribute('role')),
      'tab',
      'the terminal cannot be left by keyboard',
    );
  });

  await part('a volume is attached', async () => {
    await page.getByRole('tab', { name: 'Overview' }).click();
    await page.getByRole('combobox', { name: 'Attach volume' }).click();
    await page.getByRole('option', { name: /walk-data/ }).click();
    await page.getByRole('button', { name: 'Attach', exact: true }).click();
    await page.getByText('/mnt/').waitFor({ timeout: 60_000 });
    await page.locator('.status').filter({ hasText: 'attached' }).waitFor({ timeout: 60_000 });
  });

  await part('too early to terminate, with a countdown', async () => {
    await page.getByRole('button', { name: 'Terminate', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Terminate walk-run?' });
    const timer = dialog.getByRole('timer');
    await timer.waitFor();
    assert.match((await timer.textContent()) ?? '', /^2[34] min/);
    assert.match(
      (await dialog.getByRole('button', { name: /^Terminate in / }).textContent()) ?? '',
      /^Terminate in 2[345] min$/,
    );
    assert.deepEqual(await axe(page), [], 'axe on the terminate dialog');
    assert.equal(await dialog.getByRole('button', { name: 'Terminate now' }).count(), 0);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    const id = page.url().split('/').at(-1);
    const refused = await page.request.delete(`/api/v1/inventory/deployments/${id}`, {
      headers: { 'Sec-Fetch-Site': 'same-origin' },
    });
    assert.equal((await refused.json()).error.code, 'MINIMUM_RUNTIME_NOT_MET');
  });

  let id = '';
  await part('after the clock advances, termination refunds', async () => {
    await server.run('sim', 'advance', '26m');
    id = page.url().split('/').at(-1) ?? '';
    await page.reload();
    await page.getByRole('button', { name: 'Terminate', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Terminate walk-run?' });
    await dialog.getByText('Refund', { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Terminate now' }).click();
    await page.locator('.page-head .status').filter({ hasText: 'terminated' }).waitFor({ timeout: 60_000 });
    await clean(page, 'an ended deployment');
    await page.getByRole('link', { name: 'View transactions' }).click();
    const row = page
      .getByRole('table', { name: 'Transactions' })
      .getByRole('row')
      .filter({ hasText: 'Refund' })
      .first();
    await row.waitFor();
    const api = async (path) =>
      (await (await fetch(server.url + path, { headers: { Authorization: `Bearer ${server.demo.apiKey}` } })).json())
        .data;
    const [refund] = await api(`/api/v1/inventory/wallet/transactions?type=refund&deploymentId=${id}`);
    assert.ok(refund.amount > 0 && refund.amount < 35.76, `a refund of ${refund.amount}`);
    const shown = ((await row.textContent()) ?? '').replaceAll(',', '');
    // Half up, as money is rounded: toFixed rounds a nearby binary fraction, which may be below.
    const cents = Math.floor((Math.round(refund.amount * 1e6) + 5000) / 10000);
    assert.ok(shown.includes(`+$${(cents / 100).toFixed(2)}`), `${refund.amount} is not in: ${shown}`);
    // The exact amount is shown on hover.
    const exact = row.locator('.amount [title]');
    if ((refund.amount * 100) % 1) assert.equal(await exact.getAttribute('title'), `+$${refund.amount}`);
    await clean(page, 'the wallet');
    const csv = page.getByRole('link', { name: 'Export CSV' });
    const [download] = await Promise.all([page.waitForEvent('download'), csv.click()]);
    assert.match(readFileSync(await download.path(), 'utf8'), new RegExp(`refund.*${refund.amount}`));
  });

  await part('after an ended session, sign-in returns to the page', async () => {
    await page.goto('/deploy/off_abc123');
    await page.getByLabel('Name').fill('kept-name');
    const cookies = await context.cookies();
    await context.clearCookies();
    visitors.allowed = [/^\/api\//];
    assert.ok(cookies.length > 0);
    await page.getByText('4 h', { exact: true }).click();
    await page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await signIn(page);
    await page.getByRole('heading', { name: 'Deploy 8 × NVIDIA B200' }).waitFor();
    assert.equal(await page.getByLabel('Name').inputValue(), 'kept-name');
    visitors.allowed = expected;
  });

  await part('fallback offers are complete before a deploy, and those that are gone are named', async () => {
    const list = (await (await page.request.get('/api/v1/inventory/offers?available=true&limit=3&sort=price')).json())
      .data;
    const [first, second] = list.filter((o) => o.id !== 'off_abc123');
    const store = (ids) =>
      page.evaluate((fallbackIds) => {
        const key = 'billet-deploy-off_abc123';
        sessionStorage.setItem(
          key,
          JSON.stringify({ ...JSON.parse(sessionStorage.getItem(key) ?? '{}'), fallbackIds }),
        );
      }, ids);
    await store([first.id, 'off_gone']);
    let release;
    const released = new Promise((done) => {
      release = done;
    });
    await page.route(`**/offers/${first.id}`, async (route) => {
      await released;
      await route.continue();
    });
    visitors.allowed = [...expected, /offers\/off_gone$/];
    await page.reload();
    const button = page.getByRole('button', { name: 'Deploy', exact: true });
    await page.getByText('Loading offer…').first().waitFor();
    assert.ok(await button.isDisabled(), 'an incomplete request can be sent');
    release();
    await page.getByText('No longer offered').waitFor();
    await page.getByText('Loading offer…').first().waitFor({ state: 'hidden' });
    await button.click();
    await page.getByText('Remove the offers that cannot be used').waitFor();
    await page.keyboard.press('Escape'); // the field has the focus, which opens its list
    await clean(page, 'a deploy page with an offer that is gone');
    await page.getByRole('button', { name: 'Remove offer off_gone' }).click();
    await page.getByText('No longer offered').waitFor({ state: 'hidden' });
    const kept = await page.evaluate(() => JSON.parse(sessionStorage.getItem('billet-deploy-off_abc123')).fallbackIds);
    assert.deepEqual(kept, [first.id]);
    assert.ok(second, 'the list has too few offers');
    await page.unroute(`**/offers/${first.id}`);
    await store([]);
    visitors.allowed = expected;
  });

  await part('the API fails, and the page keeps its data', async () => {
    await page.goto('/deployments?status=all');
    await page.getByText('walk-run').first().waitFor();
    visitors.allowed = [/^\/api\//];
    await server.end();
    const banner = page.getByRole('alert').filter({ hasText: 'The API is not responding' });
    await banner.waitFor({ timeout: 60_000 });
    await page.getByText('walk-run').first().waitFor();
    assert.deepEqual(await axe(page), [], 'axe on the banner');
    await server.start();
    await banner
      .getByRole('button', { name: 'Retry' })
      .click({ timeout: 5000 })
      .catch(() => {});
    await banner.waitFor({ state: 'hidden' });
    visitors.allowed = expected;
  });

  await part('a viewer sees nothing to change, and is refused', async () => {
    await page.goto('/settings/members');
    await page.getByRole('button', { name: 'Invite member' }).click();
    const dialog = page.getByRole('dialog', { name: 'Invite member' });
    await dialog.getByLabel('Email').fill('viewer@billet.test');
    await dialog.getByRole('radio', { name: 'viewer' }).check();
    await dialog.getByRole('button', { name: 'Create invite link' }).click();
    const ready = page.getByRole('dialog', { name: 'Invite link created' });
    const link = (await ready.locator('code').textContent()) ?? '';
    await ready.getByRole('button', { name: "Done, I've saved it" }).click();

    const other = await open();
    await other.page.goto(new URL(link).pathname + new URL(link).hash);
    await other.page.getByRole('heading', { name: /^Join / }).waitFor();
    await clean(other.page, 'the invitation');
    await other.page.getByLabel('Name').fill('Vera');
    await other.page.locator('input[autocomplete=new-password]').fill('a long enough password');
    await other.page.getByRole('button', { name: /^Join / }).click();
    await other.page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    await other.page.goto('/offers');
    await other.page.getByRole('table', { name: 'Offers' }).waitFor();
    assert.equal(
      await other.page
        .getByRole('link', { name: /^Deploy/ })
        .filter({ hasNotText: 'Deployments' })
        .count(),
      0,
    );
    assert.equal(await other.page.getByRole('link', { name: 'API keys' }).count(), 0);
    assert.equal(await other.page.getByRole('link', { name: 'Operator' }).count(), 0);
    await other.page.goto('/deploy/off_abc123');
    await other.page.getByRole('heading', { name: 'No access to this page' }).waitFor();
    await clean(other.page, 'a page without access');
    visitors.allowed = [...expected, /ssh-keys/];
    const refused = await other.page.request.post('/api/v1/inventory/ssh-keys', {
      data: { name: 'no', publicKey: key.publicKey },
      headers: { 'Sec-Fetch-Site': 'same-origin' },
    });
    assert.equal(refused.status(), 403);
    assert.equal((await refused.json()).error.code, 'INSUFFICIENT_SCOPE');
    assert.deepEqual(other.faults, []);
    await other.context.close();
  });

  await part('on a phone', async () => {
    const state = await context.storageState();
    const small = await open({
      viewport: phone,
      hasTouch: true,
      isMobile: true,
      storageState: state,
      colorScheme: 'dark',
    });
    for (const path of [
      '/offers',
      '/deploy/off_abc123',
      '/deployments',
      `/deployments/${id}`,
      '/volumes',
      '/wallet',
      '/settings/api-keys',
      '/settings/webhooks',
      '/settings/members',
      '/settings/profile',
      '/operator',
    ]) {
      await small.page.goto(path);
      await clean(small.page, `${path} on a phone`);
    }
    await small.page.getByRole('button', { name: 'Open menu' }).tap();
    await small.page.getByRole('dialog').getByRole('link', { name: 'Offers' }).tap();
    await small.page.getByRole('list', { name: 'Offers' }).waitFor();
    assert.deepEqual(small.faults, []);
    await small.context.close();
  });

  await part('a second factor, and a passkey', async () => {
    await page.goto('/settings/profile');
    await page.getByRole('button', { name: 'Set up' }).click();
    const totp = page.getByRole('region', { name: /^Authenticator app/ });
    const secret = (await totp.locator('code').textContent()) ?? '';
    await totp.getByLabel('Code from the app').fill(code(secret));
    await totp.getByRole('button', { name: 'Turn on' }).click();
    await totp.getByText('Save your recovery codes').waitFor();
    const recovery = ((await totp.locator('pre').textContent()) ?? '').split('\n');
    assert.equal(recovery.length, 10);
    await clean(page, 'recovery codes');
    await totp.getByRole('button', { name: "Done, I've saved them" }).click();

    const debug = await context.newCDPSession(page);
    await debug.send('WebAuthn.enable');
    const options = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true };
    await debug.send('WebAuthn.addVirtualAuthenticator', {
      options: { ...options, isUserVerified: true, automaticPresenceSimulation: true },
    });
    await page.getByRole('button', { name: 'Add passkey' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('this machine');
    await page.getByRole('dialog').getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('region', { name: 'Passkeys' }).getByText('this machine', { exact: true }).waitFor();

    const signOut = async () => {
      await page.getByRole('button', { name: /: menu$/ }).click();
      await page.getByRole('menuitem', { name: 'Sign out' }).click();
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      assert.equal(new URL(page.url()).search, '', 'sign-out returns to no page');
    };
    // Requests of the page that are under way when its session ends are refused too.
    visitors.allowed = [/^\/api\//];
    await signOut();
    await signIn(page);
    await page.getByRole('textbox', { name: 'Code' }).fill('000000');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert', { name: 'Wrong code' }).waitFor();
    await clean(page, 'a wrong code');
    await page.getByRole('textbox', { name: 'Code' }).fill(recovery[0] ?? '');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    await signOut();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    visitors.allowed = expected;
  });

  await part('a changed price is highlighted', async () => {
    await page.goto('/offers?search=basalt');
    await page.getByRole('table', { name: 'Offers' }).getByText('basalt').first().waitFor();
    await server.run('sim', 'fault', 'add', 'price', '--provider', 'basalt', '--value', '+25%');
    await server.run('sim', 'advance', '5m');
    await page.locator('.flash-up').first().waitFor({ timeout: 60_000 });
    assert.match((await page.locator('.flash-up').first().textContent()) ?? '', /\$.*▲.*was \$/);
    await server.run('sim', 'fault', 'clear');
  });

  await part('ten thousand offers', async () => {
    const [one] = (await (await page.request.get('/api/v1/inventory/offers?limit=1')).json()).data;
    let asked = 0;
    await page.route('**/api/v1/inventory/offers?*', (route) => {
      asked++;
      const query = new URL(route.request().url()).searchParams;
      const [number, limit] = [Number(query.get('page')), Number(query.get('limit'))];
      const data = Array.from({ length: limit }, (_, i) => {
        const n = (number - 1) * limit + i + 1;
        return { ...one, id: `off_${n}`, regionName: `Region ${n}` };
      });
      return route.fulfill({
        json: { success: true, data, pagination: { page: number, limit, total: 10_000, totalPages: 10_000 / limit } },
      });
    });
    await page.goto('/offers');
    await page.getByText('Region 1', { exact: true }).or(page.getByText('Region 1 ')).first().waitFor();
    // A busy browser may stop its smooth scrolling on the way; users press again.
    const last = page.getByText('Region 10000').first();
    for (let presses = 0; presses < 5 && !(await last.isVisible()); presses++) {
      await page.keyboard.press('End');
      await last.waitFor({ timeout: 4_000 }).catch(() => {});
    }
    await last.waitFor();
    assert.ok((await page.locator('tbody tr').count()) < 80, 'too many rows in the document');
    assert.ok(asked < 20, `${asked} pages were asked for`);
    await clean(page, 'ten thousand offers');
    await page.unroute('**/api/v1/inventory/offers?*');
  });

  await part('the keyboard alone', async () => {
    await page.goto('/offers');
    await page.getByRole('table', { name: 'Offers' }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to content');
    await page.keyboard.press('Shift+?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor({ state: 'hidden' });
    await page.keyboard.press('g');
    await page.keyboard.press('w');
    await page.getByRole('heading', { name: 'Wallet', level: 1 }).waitFor();
  });

  assert.deepEqual(faults, [], 'console errors, failing scripts or requests elsewhere');
  console.log('ok no console errors, no request to another host');
} catch (error) {
  const shot = join(process.env.WALK_SHOTS ?? server.data, 'walk-failed.png');
  await page.screenshot({ path: shot }).catch(() => {});
  console.error(`at ${page.url()}`);
  if (process.env.WALK_SHOTS) console.error(`picture: ${shot}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  throw error;
} finally {
  await pause(0);
  await browser.close();
  await server.stop();
}
