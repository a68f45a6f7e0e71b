// The texts of the pages at 390 and 1440 pixels, in a browser that prefers German: durations,
// dates, figures with units, long lists, a provider that is down, and a past-due account.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, seed } from './seed.mjs';
import { atRest, clean, part, phone, visitorsOf, wide } from './visit.mjs';

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server);
const { page, context, faults } = await visitors.open({ locale: 'de-DE', timezoneId: 'Europe/Berlin' });
const api = apiOf(server);
const shots = process.env.WALK_SHOTS;
const shot = async (name) =>
  shots && page.screenshot({ path: join(shots, `${name}-${page.viewportSize().width}.png`), fullPage: true });
const banner = page.locator('.banner');
const notice = page.locator('.notice');

/** Wrong texts of a page: clock times without AM or PM, doubled marks, other locales' dates. */
async function misread() {
  const text = await page.evaluate(() => {
    const copy = document.querySelector('#root').cloneNode(true);
    for (const e of copy.querySelectorAll('code, pre, input, textarea, .mono')) e.remove();
    const box = document.createElement('div');
    box.append(copy);
    document.body.append(box);
    const seen = box.innerText;
    box.remove();
    return seen;
  });
  const found = [];
  for (const [what, pattern] of [
    ['a duration like a clock time', /(?<![\d:])\d{1,3}:\d\d(?!\d|:\d|\s?[AP]M|\sUTC)/g],
    ['doubled punctuation', /[^.]\.\.(?!\.)|[!?,;:]\.|\.,/g],
    [
      'a German date or number',
      /(?<![\d.])\d{1,2}\.(?:\d{1,2}\.\d{4}| ?(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez))|\d,\d\d\s?[$€]/g,
    ],
    ['a missing value', /\bundefined\b|\bNaN\b|\[object/g],
  ])
    for (const m of text.matchAll(pattern))
      found.push(`${what}: …${text.slice(Math.max(0, m.index - 30), m.index + 20)}…`);
  return found;
}

try {
  const made = await seed(server);
  await server.run('sim', 'fault', 'add', 'no-capacity', '--offer', 'off_abc123', '--percent', '100');
  const soldOut = await api('POST', '/api/v1/inventory/deployments', {
    offerId: 'off_abc123',
    name: 'never-ran',
    operatingSystem: 'Ubuntu 22.04',
    ssh_public_key: made.publicKey,
  });
  await api('GET', `/api/v1/inventory/deployments/${soldOut.id}?waitFor=failed&timeoutSeconds=60`).catch(() => {});
  await server.run('sim', 'fault', 'clear');
  await visitors.signedIn(context);

  await part('every page has correct texts at 390 and 1440 pixels', async () => {
    const pages = {
      offers: '/offers',
      'offers-all': '/offers?available=all',
      offer: '/offers/off_abc123',
      compare: `/offers/compare?ids=${made.offers.join(',')}`,
      deploy: '/deploy/off_abc123',
      deployments: '/deployments',
      detail: `/deployments/${made.running}`,
      events: `/deployments/${made.running}/events`,
      settings: `/deployments/${made.running}/settings`,
      failed: `/deployments/${soldOut.id}`,
      ended: `/deployments/${made.ended}`,
      volumes: '/volumes',
      images: '/images',
      'ssh-keys': '/ssh-keys',
      wallet: '/wallet',
      budgets: '/budgets',
      'api-keys': '/settings/api-keys',
      webhooks: '/settings/webhooks',
      team: '/settings/members',
      profile: '/settings/profile',
      audit: '/settings/audit',
      operator: '/operator',
      'all-deployments': '/operator/deployments',
      'all-volumes': '/operator/volumes',
      providers: '/operator/providers',
      'price-rules': '/operator/price-rules',
      'service-credits': '/operator/service-credits',
      'promo-codes': '/operator/promo-codes',
      'all-top-ups': '/operator/top-ups',
      'all-invoices': '/operator/invoices',
      'billing-settings': '/operator/billing',
      margins: '/operator/margins',
      simulator: '/operator/simulator',
    };
    for (const viewport of [phone, wide]) {
      await page.setViewportSize(viewport);
      await page.goto('about:blank');
      await visitors.signedIn(context); // so many pages in a minute are too much for one session
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(path);
        await atRest(page);
        assert.deepEqual(await misread(), [], `${name} at ${viewport.width}`);
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(sideways <= 0, `${name} at ${viewport.width} scrolls sideways by ${sideways}`);
        await shot(name);
      }
    }
  });

  await part('a deployment that never ran has no uptime, and its reason one full stop', async () => {
    await page.setViewportSize(wide);
    await page.goto('/deployments?status=all');
    const row = page.getByRole('row').filter({ hasText: 'never-ran' });
    await row.getByText('failed').waitFor();
    const heads = await page.getByRole('columnheader').allTextContents();
    const cells = await row.getByRole('cell').allTextContents();
    assert.equal(cells[heads.findIndex((h) => h.startsWith('Uptime'))], '–');
    await page.goto(`/deployments/${soldOut.id}`);
    const alert = page.getByRole('alert').filter({ hasText: "You weren't charged" });
    assert.match((await alert.textContent()) ?? '', /[^.]\. You weren't charged/);
  });

  await part('other filters begin with no selection, and another order keeps it', async () => {
    await page.goto('/deployments');
    await page.getByRole('checkbox', { name: 'Select notebook' }).check();
    await page.getByText('1 selected').waitFor();
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
    await page.waitForURL(/sort=/);
    await page.getByText('1 selected').waitFor();
    await page.getByRole('searchbox', { name: 'Search deployments' }).fill('llama');
    await page.waitForURL(/search=llama/);
    await page.getByText('1 selected').waitFor({ state: 'hidden' });
  });

  await part('durations have units', async () => {
    await page.goto(`/deployments/${made.running}`);
    await page.getByText(/^in \d+ min( \d+ s)?$/).waitFor();
    const [cheap] = await api('GET', '/api/v1/inventory/offers?limit=1&available=true&sort=price');
    const young = await api('POST', '/api/v1/inventory/deployments', {
      offerId: cheap.id,
      name: 'young',
      operatingSystem: cheap.operatingSystems[0],
      ssh_public_key: made.publicKey,
    });
    await api('GET', `/api/v1/inventory/deployments/${young.id}?waitFor=running&timeoutSeconds=60`);
    await page.goto(`/deployments/${young.id}`);
    await page.getByRole('button', { name: 'Terminate', exact: true }).click();
    await page.getByRole('button', { name: /^Terminate in 2\d min$/ }).waitFor();
    assert.deepEqual(await misread(), []);
    await page.getByRole('button', { name: 'Cancel' }).click();
  });

  await part('the limits of a deployment end it, and can be set and cleared', async () => {
    await page.goto(`/deployments/${made.running}/settings`);
    const limits = page.getByRole('region', { name: 'Limits' });
    const [ends, endless] = ['Terminates', 'Runs until terminated or your balance runs out.'];
    await page.getByRole('status').filter({ hasText: endless }).waitFor();
    await limits.getByLabel('Maximum spend').fill('5000');
    await limits.getByLabel('Maximum runtime (minutes)').fill('1200');
    await limits.getByRole('button', { name: 'Save limits' }).click();
    await page.getByRole('status').filter({ hasText: ends }).waitFor();
    await clean(page, 'the limits of a deployment');
    await page.goto(`/deployments/${made.running}`);
    await page.getByText('Maximum spend', { exact: true }).waitFor();
    await page.getByText('20 h', { exact: true }).waitFor();
    await shot('limits-detail');
    await page.goto('/overview');
    await page.getByRole('listitem').filter({ hasText: 'llama-pretrain terminates' }).waitFor();
    for (const [size, colorScheme] of [
      [wide, 'dark'],
      [phone, 'light'],
      [phone, 'dark'],
      [wide, 'light'],
    ]) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await page.goto(`/deployments/${made.running}/settings`);
      await limits.waitFor();
      await clean(page, `the limits at ${size.width} pixels, ${colorScheme}`);
      await shot(`limits-${colorScheme}`);
    }
    await limits.getByLabel('Maximum spend').fill('');
    await limits.getByLabel('Maximum runtime (minutes)').fill('');
    await limits.getByRole('button', { name: 'Save limits' }).click();
    await page.getByRole('status').filter({ hasText: endless }).waitFor();
  });

  await part('phone cards name their figures', async () => {
    await page.setViewportSize(phone);
    await page.goto('/offers');
    const card = page.getByRole('list', { name: 'Offers' }).getByRole('listitem').first();
    const text = ((await card.innerText()) ?? '').replaceAll('\u00a0', ' ');
    assert.match(text, /\$[\d,.]+\/hr\n/);
    for (const figure of [/\/hr per GPU/, /GB GPU memory/, /vCPUs/, /[GT]B memory/, /[GT]B storage/])
      assert.match(text, figure);
    const cut = await card.evaluate(
      (e) => [...e.querySelectorAll('.truncate')].filter((t) => t.scrollWidth > t.clientWidth).length,
    );
    assert.equal(cut, 0, `${cut} lines of the card are cut off`);
    await page.goto('/wallet');
    await page.getByRole('list', { name: 'Transactions' }).getByText('Available:').first().waitFor();
  });

  await part('spending by deployment stays short, and labels under the chart do not overlap', async () => {
    await page.route('**/wallet/usage?*groupBy=deployment*', async (route) => {
      const answer = await (await route.fetch()).json();
      answer.data.groups = Array.from({ length: 122 }, (_, i) => ({
        ...answer.data.groups[0],
        key: `dep_${i}`,
        name: `run-${i}`,
        cost: i + 1,
      }));
      await route.fulfill({ json: answer });
    });
    for (const viewport of [phone, wide]) {
      await page.setViewportSize(viewport);
      await page.goto('/wallet');
      const chart = page.locator('.chart');
      await chart.waitFor();
      await page.waitForFunction(() => document.querySelectorAll('.chart-label').length > 1);
      const overlaps = await chart.evaluate((e) => {
        const boxes = [...e.querySelectorAll('.chart-label')].map((l) => l.getBoundingClientRect());
        const plot = e.getBoundingClientRect();
        return boxes.filter((b, i) => (i > 0 && b.left < boxes[i - 1].right) || b.right > plot.right + 1).length;
      });
      assert.equal(overlaps, 0, `at ${viewport.width}`);
      await page.getByRole('combobox', { name: 'Group by' }).click();
      await page.getByRole('option', { name: 'Deployment', exact: true }).click();
      await page.getByText('112 others').waitFor();
      const spending = page.getByRole('region', { name: /^Last \d+ days/ });
      assert.ok(((await spending.boundingBox())?.height ?? 9999) < 900, `at ${viewport.width}`);
      await shot('wallet-by-deployment');
      await page.getByRole('button', { name: 'Show all 122' }).click();
      assert.ok(((await spending.boundingBox())?.height ?? 9999) < 900, `all, at ${viewport.width}`);
      await clean(page, 'the wallet by deployment');
    }
    await page.unroute('**/wallet/usage?*groupBy=deployment*');
  });

  await part(
    'spending by day and group is a chart, a slider and a table, whose sums are those of the API',
    async () => {
      for (const viewport of [phone, wide]) {
        await page.setViewportSize(viewport);
        await page.goto('/wallet');
        const spending = page.getByRole('region', { name: /^Last \d+ days/ });
        await spending.getByRole('combobox', { name: 'Group by' }).click();
        const answered = page.waitForResponse((r) => r.url().includes('groupBy=gpuType&daily=true'));
        await page.getByRole('option', { name: 'GPU', exact: true }).click();
        const { data } = await (await answered).json();
        const slider = spending.getByRole('slider', { name: 'Cost by day (UTC) and GPU' });
        await slider.press('Home');
        await slider.press('ArrowRight');
        assert.equal(await slider.getAttribute('aria-valuenow'), '1');
        assert.match(await slider.getAttribute('aria-valuetext'), /^[A-Z][a-z]{2} \d+: \$/);
        await clean(page, `the chart by GPU at ${viewport.width}`);
        await spending.getByRole('button', { name: 'Show as table' }).click();
        const total = await spending.getByRole('row', { name: /^Total/ }).innerText();
        const usd = (n) => `$${n.toFixed(2).replace(/\B(?=(\d{3})+\.)/g, ',')}`;
        for (const amount of [...data.groups.map((g) => g.cost), data.total])
          assert.ok(total.includes(usd(amount)), `${usd(amount)} is not in ${total}`);
        await shot('wallet-by-gpu-table');
        await clean(page, `the table by GPU at ${viewport.width}`);
      }
    },
  );

  await part('a provider that is down is shown where it matters', async () => {
    await server.run('sim', 'fault', 'add', 'unavailable', '--provider', 'northgrid');
    await server.run('sim', 'advance', '30m');
    await page.goto('/offers');
    await notice.filter({ hasText: 'is not responding' }).waitFor({ timeout: 60_000 });
    await clean(page, 'an outage on the offers');
    await shot('outage-offers');
    await page.goto('/offers?provider=northgrid');
    await notice.waitFor();
    await page.goto('/offers?provider=northgrid&search=nothing-like-it');
    await notice.waitFor();
    await page.getByRole('heading', { name: /No offers match while .* is not responding/ }).waitFor();
    await shot('outage-none');
    await page.goto('/offers?provider=voltage-park');
    await page.getByRole('table', { name: 'Offers' }).waitFor();
    await pause(300);
    assert.equal(await notice.count(), 0, 'a notice where it does not matter');
    await page.goto('/deployments');
    await notice.filter({ hasText: 'Machines there' }).waitFor();
    await shot('outage-deployments');
    await page.getByRole('link', { name: 'notebook' }).click();
    await notice.filter({ hasText: 'The machine may be running' }).waitFor();
    await clean(page, 'an outage on a deployment');
    await shot('outage-detail');
    await page.goto(`/deployments/${made.running}`);
    await page.getByRole('tab', { name: 'Overview' }).waitFor();
    await pause(300);
    assert.equal(await notice.count(), 0, 'a notice on another provider’s deployment');
    await server.run('sim', 'fault', 'clear');
    await server.run('sim', 'advance', '5m');
  });

  await part('a past-due account sees the right notice at each moment', async () => {
    // The demo account's owner runs the cloud as well; a tenant does not.
    await page.route('**/api/v1/account/me', async (route) => {
      const response = await route.fetch();
      const answer = await response.json();
      if (answer.success) answer.data.user.operator = false;
      await route.fulfill({ response, json: answer });
    });
    const { account } = (await (await context.request.get('/api/v1/account/me')).json()).data;
    await server.run('wallet', 'credit', '--account', account.id, '--amount', '-5000', '--note', 'charged back');
    await page.goto('/wallet');
    await banner.filter({ hasText: /deployments will be terminated in / }).waitFor({ timeout: 60_000 });
    // The hour is whole at first, and so are the seven days.
    await server.run('sim', 'advance', '5m');
    await page.reload();
    await banner
      .filter({ hasText: /deployments will be terminated in \d+ min \(.*volumes will be deleted in 6 d/ })
      .waitFor({ timeout: 60_000 });
    const text = (await page.locator('#root').textContent()) ?? '';
    assert.match(text, /Contact the operator to add credit/);
    assert.doesNotMatch(text, /billetd /, 'an operator’s command is shown to a tenant');
    await clean(page, 'past due');
    await shot('past-due');
    await server.run('sim', 'advance', '2h');
    await api('GET', `/api/v1/inventory/deployments/${made.running}?waitFor=terminated&timeoutSeconds=60`);
    await page.reload();
    await banner
      .filter({ hasText: /All deployments were terminated on .* volumes will be deleted in/ })
      .waitFor({ timeout: 60_000 });
    assert.doesNotMatch((await banner.textContent()) ?? '', /will be terminated/);
    // The session ends on the way, and no open page is to meet that.
    await page.goto('about:blank');
    await server.run('sim', 'advance', '8d');
    await visitors.signedIn(context);
    await page.goto('/wallet');
    await banner.filter({ hasText: /All volumes were deleted on .* to deploy again/ }).waitFor({ timeout: 60_000 });
    assert.doesNotMatch((await banner.textContent()) ?? '', /will be/);
    await shot('past-due-over');
    await server.run('wallet', 'credit', '--account', account.id, '--amount', '9000');
    await banner.waitFor({ state: 'hidden', timeout: 60_000 });
  });
  assert.deepEqual(faults, []);
} catch (error) {
  await page.screenshot({ path: join(shots ?? server.data, 'pages-failed.png') }).catch(() => {});
  console.error(`at ${page.url()}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  throw error;
} finally {
  await browser.close();
  await server.stop();
}
