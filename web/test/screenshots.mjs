// Takes a screenshot of every page, light and dark, wide and on a phone, into bin/screenshots, and
// prints axe's issues.
//   npm run screenshots [-- part-of-a-page's-name …]

import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { startBilletd } from './billetd.mjs';
import { axe, ending, launch, watch } from './browser.mjs';
import { seed } from './seed.mjs';

const shots = new URL('../../bin/screenshots/', import.meta.url).pathname;
mkdirSync(shots, { recursive: true });
const wanted = process.argv.slice(2);

const server = await startBilletd();
const browser = await launch();
ending(
  () => browser.close(),
  () => server.stop(),
);
let bad = 0;
try {
  const made = await seed(server);
  const device = await fetch(`${server.url}/api/v1/account/device/authorize`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'billet on my-laptop' }),
  });
  const { user_code: userCode } = await device.json();
  const pages = {
    'sign-in': '/sign-in',
    overview: '/overview',
    offers: '/offers',
    'offers-filtered': '/offers?search=h100&available=all&sort=pricePerGpu',
    'offers-none': '/offers?search=nothing-like-it',
    offer: '/offers/off_abc123',
    compare: `/offers/compare?ids=${made.offers.join(',')}`,
    deploy: '/deploy/off_abc123',
    deployments: '/deployments',
    'deployments-all': '/deployments?status=all&sort=-hourlyPrice',
    detail: `/deployments/${made.running}`,
    'detail-events': `/deployments/${made.running}/events`,
    'detail-settings': `/deployments/${made.running}/settings`,
    'detail-ended': `/deployments/${made.ended}`,
    volumes: '/volumes',
    'volumes-new': '/volumes?new=1',
    images: '/images',
    'ssh-keys': '/ssh-keys',
    wallet: '/wallet',
    'api-keys': '/settings/api-keys',
    webhooks: '/settings/webhooks',
    device: '/device',
    'device-code': `/device#${userCode}`,
    team: '/settings/members',
    profile: '/settings/profile',
    audit: '/settings/audit',
    operator: '/operator',
    'operator-deployments': '/operator/deployments',
    'operator-volumes': '/operator/volumes',
    'operator-issues': '/operator/issues',
    'operator-providers': '/operator/providers',
    'operator-price-rules': '/operator/price-rules',
    'operator-service-credits': '/operator/service-credits',
    'operator-promo-codes': '/operator/promo-codes',
    'operator-mails': '/operator/mails',
    'operator-settings': '/operator/settings',
    'operator-setup': '/operator/setup',
    'operator-margins': '/operator/margins',
    'operator-jobs': '/operator/jobs',
    'operator-top-ups': '/operator/top-ups',
    'operator-invoices': '/operator/invoices',
    'operator-billing': '/operator/billing',
    'operator-announcements': '/operator/announcements',
    prices: '/prices',
    status: '/status',
    'operator-simulator': '/operator/simulator',
    'not-found': '/nowhere',
  };
  const context = await browser.newContext({ baseURL: server.url });
  await context.request.post('/api/v1/account/sessions', {
    data: { email: server.demo.email, password: server.demo.password },
    headers: { 'Sec-Fetch-Site': 'same-origin' },
  });
  const state = await context.storageState();
  for (const scheme of process.env.SCHEMES?.split(',') ?? ['light', 'dark']) {
    for (const width of [1440, 360]) {
      const visitor = await browser.newContext({
        baseURL: server.url,
        storageState: state,
        colorScheme: scheme,
        viewport: { width, height: width === 360 ? 740 : 900 },
        reducedMotion: 'reduce',
      });
      for (const [name, path] of Object.entries(pages)) {
        if (wanted.length && !wanted.some((w) => name.includes(w))) continue;
        const page = await visitor.newPage();
        // A refusal without a session is expected; the browser logs it all the same.
        const faults = watch(page, new URL(server.url).host, { allow: (_, url) => url.endsWith('/account/me') });
        if (name === 'sign-in') await visitor.clearCookies();
        await page.goto(path, { waitUntil: 'load' });
        await page
          .waitForFunction(() => document.querySelector('h1') && !document.querySelector('[aria-busy=true]'), null, {
            timeout: 8000,
          })
          .catch(() => faults.push('never settled'));
        await pause(500);
        await page.screenshot({
          path: `${shots}${name}-${scheme}-${width}.png`,
          fullPage: width === 360 && !(await page.$('.table-box')),
        });
        const sideways = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        if (sideways > 0) faults.push(`scrolls sideways by ${sideways} px`);
        faults.push(...(await axe(page)));
        for (const f of faults) {
          bad++;
          console.log(`${name} ${scheme} ${width}: ${f}`);
        }
        await page.close();
        if (name === 'sign-in') await visitor.addCookies(state.cookies);
      }
      await visitor.close();
    }
  }
  console.log(bad ? `${bad} faults` : 'no faults');
} finally {
  await browser.close();
  await server.stop();
}
