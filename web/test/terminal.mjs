// The web terminal: full-screen programs, copy and paste, leaving, and a network that freezes.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, makeKey } from './seed.mjs';
import { part, visitorsOf } from './visit.mjs';

/** A proxy that can freeze: its open connections stay open, and nothing passes on them. */
async function freezable(port) {
  const pairs = new Set();
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const pair = [near, far];
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        pairs.delete(pair);
        for (const s of pair) s.destroy();
      });
    }
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  return {
    url: `http://localhost:${proxy.address().port}`,
    freeze: () => {
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
    close: async () => {
      for (const pair of pairs) for (const s of pair) s.destroy();
      proxy.close();
    },
  };
}

const server = await startBilletd();
const browser = await launch();
const line = await freezable(new URL(server.url).port);
ending(
  () => browser.close(),
  () => line.close(),
  () => server.stop(),
);
const visitors = visitorsOf(browser, server, line.url);
const { page, context, faults } = await visitors.open();
const status = page.locator('.console-head [role=status]');

const screenText = () =>
  page.evaluate(() =>
    [...document.querySelectorAll('.console-rows .xterm-rows > div')].map((r) => r.textContent ?? ''),
  );
const shows = (text) =>
  page.waitForFunction(
    (t) => [...document.querySelectorAll('.console-rows .xterm-rows > div')].some((r) => r.textContent?.includes(t)),
    text,
    { timeout: 60_000 },
  );
const type = async (text) => {
  await page.locator('.console-rows textarea').focus();
  await page.keyboard.type(text);
};
/** The position of a text on the screen. */
const find = (text) =>
  page.evaluate((t) => {
    const row = [...document.querySelectorAll('.console-rows .xterm-rows > div')].find((r) =>
      r.textContent?.includes(t),
    );
    const span = row && ([...row.querySelectorAll('span')].find((s) => s.textContent?.includes(t)) ?? row);
    const r = span?.getBoundingClientRect();
    return r && { x: r.x + 20, y: r.y + r.height / 2 };
  }, text);

try {
  const api = apiOf(server);
  const key = makeKey();
  const { id } = await api('POST', '/api/v1/inventory/deployments', {
    offerId: 'off_abc123',
    name: 'terminal-run',
    operatingSystem: 'Ubuntu 22.04',
    ssh_public_key: key.publicKey,
  });
  await api('GET', `/api/v1/inventory/deployments/${id}?waitFor=running&timeoutSeconds=60`);
  await visitors.signedIn(context);
  await page.goto('/deployments');
  await page.getByRole('link', { name: 'terminal-run' }).click();
  await page.getByRole('tab', { name: 'Terminal' }).click();
  await page.getByRole('textbox', { name: 'Private key' }).fill(key.privateKey);
  await page.getByRole('button', { name: 'Open terminal' }).click();
  await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });

  await part('the last row of a full-screen program is visible at every size', async () => {
    await type("PS1='ready# '\n");
    await type(
      'draw() { set -- $(stty size); printf "\\e[2J\\e[1;1HFIRST-%s\\e[%s;1HLAST-%s" $1 $1 $1; }; trap draw WINCH; ' +
        'printf "\\e[?1049h"; draw; until read -rsn1 -t 0.2 k && [ "$k" = q ]; do :; done; ' +
        'printf "\\e[?1049l"; trap - WINCH\n',
    );
    for (const [width, height] of [
      [1440, 900],
      [1280, 720],
      [1024, 600],
      [1920, 1080],
      [390, 844],
      [844, 390],
    ]) {
      await page.setViewportSize({ width, height });
      await page.waitForFunction(
        () => {
          const rows = [...document.querySelectorAll('.console-rows .xterm-rows > div')];
          return rows.length > 0 && rows.at(-1)?.textContent?.startsWith(`LAST-${rows.length}`);
        },
        null,
        { timeout: 60_000 },
      );
      await page.locator('.console-box').evaluate((e) => e.scrollIntoView({ block: 'end' }));
      const seen = await page.evaluate(() => {
        const rows = [...document.querySelectorAll('.console-rows .xterm-rows > div')];
        const last = rows.at(-1).getBoundingClientRect();
        const box = document.querySelector('.console-box').getBoundingClientRect();
        const at = document.elementFromPoint(last.left + 10, last.bottom - 2);
        return {
          rows: rows.length,
          within: last.bottom <= box.bottom && last.bottom <= innerHeight && last.height > 10,
          uncovered: document.querySelector('.console-rows').contains(at),
          first: rows[0].getBoundingClientRect().top >= box.top,
        };
      });
      assert.deepEqual(
        { ...seen, rows: seen.rows > 5 },
        { rows: true, within: true, uncovered: true, first: true },
        `at ${width} × ${height}: ${JSON.stringify(seen)}`,
      );
      if (process.env.WALK_SHOTS)
        await page.screenshot({ path: join(process.env.WALK_SHOTS, `terminal-${width}x${height}.png`) });
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    await type('q');
    await shows('ready# ');
  });

  await part('copy and paste by keyboard', async () => {
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    for (const [word, keys] of [
      ['quokka', 'Control+Shift+C'],
      ['wombat', 'Control+C'],
    ]) {
      await type(`clear; echo ${word}-ok\n`);
      await page.waitForFunction(
        (w) =>
          [...document.querySelectorAll('.console-rows .xterm-rows > div')].some((r) =>
            r.textContent?.startsWith(`${w}-ok`),
          ),
        word,
      );
      const at = await find(`${word}-ok`);
      await page.mouse.dblclick(at.x, at.y);
      await page.keyboard.press(keys);
      await page.waitForFunction(async (w) => (await navigator.clipboard.readText()).includes(w), word, {
        timeout: 60_000,
      });
      assert.equal((await clipboard()).trim(), `${word}-ok`, keys);
    }
    // Without a selection, Ctrl+C interrupts.
    await type('sleep 300; echo slept\n');
    await page.keyboard.press('Control+C');
    await shows('^C');
    await type('echo again-$((6*7))\n');
    await shows('again-42');
    await page.evaluate(() => navigator.clipboard.writeText('echo pasted-$((6*8))'));
    await page.keyboard.press('Control+Shift+V');
    await page.keyboard.press('Enter');
    await shows('pasted-48');
  });

  await part('leaving asks while a command runs, and only then', async () => {
    const here = page.url();
    await type('clear; sleep 300\n');
    await page.waitForFunction(
      () => !document.querySelector('.console-rows .xterm-rows')?.textContent?.trim().endsWith('ready#'),
    );
    const question = page.getByRole('dialog', { name: 'Leave the terminal?' });
    const leaves = {
      link: () => page.getByRole('link', { name: 'Offers' }).click(),
      tab: () => page.getByRole('tab', { name: 'Overview' }).click(),
      back: () => page.evaluate(() => history.back()),
    };
    for (const [how, leave] of Object.entries(leaves)) {
      await leave();
      await question.waitFor();
      assert.match((await question.textContent()) ?? '', /A program is running in the terminal on terminal-run/, how);
      await question.getByRole('button', { name: 'Cancel' }).click();
      await question.waitFor({ state: 'hidden' });
      assert.equal(page.url(), here, how);
      assert.equal((await status.textContent()) ?? '', 'Connected', how);
    }
    const unload = new Promise((done) =>
      page.once('dialog', async (dialog) => {
        done(dialog.type());
        await dialog.dismiss();
      }),
    );
    await page.evaluate(() => setTimeout(() => location.reload()));
    assert.equal(await unload, 'beforeunload');
    await type('');
    await page.keyboard.press('Control+C');
    await shows('^C');
    await leaves.link();
    await page.getByRole('heading', { name: 'Offers', level: 1 }).waitFor();
    assert.equal(await question.count(), 0);
    await page.goBack();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
  });

  await part('a frozen network is reported, and the terminal reconnects', async () => {
    await type("PS1='ready# '; clear; echo $$ >/tmp/old-shell\n");
    await shows('ready# ');
    const frozen = Date.now();
    line.freeze();
    await status.filter({ hasText: 'Connection lost' }).waitFor({ timeout: 60_000 });
    console.log(`   reported after ${((Date.now() - frozen) / 1000).toFixed(1)} s`);
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    console.log(`   reconnected after ${((Date.now() - frozen) / 1000).toFixed(1)} s`);
    await shows('This is a new shell');
    // The server has closed the frozen session and ended its programs.
    await type('while kill -0 $(cat /tmp/old-shell) 2>/dev/null; do sleep 0.5; done; echo old-shell-$((40+2))\n');
    await shows('old-shell-42');
    console.log(`   the old shell ended within ${((Date.now() - frozen) / 1000).toFixed(1)} s`);
  });

  await part('the terminal survives a restart of the server', async () => {
    visitors.allowed = [/^\/api\//];
    await server.end();
    await server.start();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await type('clear; echo back-$((6*9))\n');
    await shows('back-54');
  });
  assert.deepEqual(
    faults.filter((f) => !/websocket/i.test(f)),
    [],
  );
} catch (error) {
  await page.screenshot({ path: join(process.env.WALK_SHOTS ?? server.data, 'terminal-failed.png') }).catch(() => {});
  console.error(`at ${page.url()}\n${(await screenText().catch(() => [])).join('\n').trimEnd()}`);
  if (faults.length) console.error(`faults:\n  ${faults.join('\n  ')}`);
  throw error;
} finally {
  await browser.close();
  await line.close();
  await server.stop();
}
