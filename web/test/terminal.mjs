// The web terminal: full-screen programs, copy and paste, leaving, a network that breaks or
// freezes, the shell that outlives it, and files.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBilletd } from './billetd.mjs';
import { ending, launch } from './browser.mjs';
import { apiOf, makeKey } from './seed.mjs';
import { clean, part, phone, visitorsOf, wide } from './visit.mjs';

/**
 * A proxy that can freeze: its open connections stay open, and nothing passes on them. It can also
 * cut them off, and refuse new ones.
 */
async function freezable(port) {
  const pairs = new Set();
  let refusing = false;
  const proxy = createServer((near) => {
    if (refusing) return near.destroy();
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
    cut: () => {
      refusing = true;
      for (const pair of pairs) for (const s of pair) s.destroy();
    },
    restore: () => {
      refusing = false;
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
const shot = async (name) => {
  if (!process.env.WALK_SHOTS) return;
  for (const [size, viewport] of Object.entries({ wide: { width: 1280, height: 900 }, phone }))
    for (const scheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.evaluate((s) => document.documentElement.setAttribute('data-mantine-color-scheme', s), scheme);
      await page.screenshot({ path: join(process.env.WALK_SHOTS, `${name}-${size}-${scheme}.png`), fullPage: true });
    }
  await page.evaluate(() => document.documentElement.setAttribute('data-mantine-color-scheme', 'light'));
  await page.setViewportSize(wide);
};
/** Asserts that axe finds nothing in both themes, wide and on a phone. */
const cleanEverywhere = async (where) => {
  for (const viewport of [wide, phone])
    for (const scheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.evaluate((s) => document.documentElement.setAttribute('data-mantine-color-scheme', s), scheme);
      await clean(page, `${where}, ${viewport.width} px, ${scheme}`);
    }
  await page.evaluate(() => document.documentElement.setAttribute('data-mantine-color-scheme', 'light'));
  await page.setViewportSize(wide);
};
/** Presses the button, unless the terminal reconnects by itself first. */
const reconnectNow = () =>
  page
    .getByRole('button', { name: 'Reconnect now' })
    .click({ timeout: 5000 })
    .catch(() => {});
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
  const unlock = async () => {
    await page.getByRole('textbox', { name: 'Private key' }).fill(key.privateKey);
    await page.getByRole('button', { name: 'Open terminal' }).click();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
  };
  await unlock();
  await page.getByText('The shell runs in tmux on the machine.').waitFor();
  await cleanEverywhere('the terminal');

  await part('the last row of a full-screen program is visible at every size', async () => {
    await type("PS1='ready# '\n");
    // It asks for the size itself: bash may lose one of several signals in a row.
    await type(
      'draw() { set -- $1; printf "\\e[2J\\e[1;1HFIRST-%s\\e[%s;1HLAST-%s" $1 $1 $1; }; ' +
        'printf "\\e[?1049h"; until read -rsn1 -t 0.2 k && [ "$k" = q ]; do ' +
        's=$(stty size); [ "$s" = "$o" ] || { o=$s; draw "$s"; }; done; printf "\\e[?1049l"\n',
    );
    const drawn = () =>
      page.waitForFunction(
        () => {
          const rows = [...document.querySelectorAll('.console-rows .xterm-rows > div')];
          return rows.length > 0 && rows.at(-1)?.textContent?.startsWith(`LAST-${rows.length}`);
        },
        null,
        { timeout: 60_000 },
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
      await drawn();
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
    await page.setViewportSize(wide);
    await drawn(); // a key during the last resize would be lost
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

    await page.evaluate(() => navigator.clipboard.writeText('echo button-$((6*6))'));
    await page.getByRole('button', { name: 'Paste', exact: true }).click();
    await page.waitForFunction(() => document.activeElement?.classList.contains('xterm-helper-textarea'));
    await page.keyboard.press('Enter');
    await shows('button-36');
    await type('clear; echo numbat-ok\n');
    await page.waitForFunction(() =>
      [...document.querySelectorAll('.console-rows .xterm-rows > div')].some((r) =>
        r.textContent?.startsWith('numbat-ok'),
      ),
    );
    const at = await find('numbat-ok');
    await page.mouse.dblclick(at.x, at.y);
    await page.getByRole('button', { name: 'Copy', exact: true }).click();
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).trim() === 'numbat-ok');
  });

  await part('a paste of several lines asks, and cannot end itself', async () => {
    const question = page.getByRole('dialog', { name: 'Paste 3 lines?' });
    // The hidden end of a bracketed paste would have the shell run the rest.
    const text = 'echo one-$((1+1))\n\u001b[201~echo two-$((1+2))\necho three-$((2+2))';
    const pasteIt = async () => {
      await page.evaluate((t) => navigator.clipboard.writeText(t), text);
      await page.locator('.console-rows textarea').focus();
      await page.keyboard.press('Control+Shift+V');
      await question.waitFor();
    };
    await type('clear\n');
    await pasteIt();
    await cleanEverywhere('the question before a paste');
    await shot('paste');
    await question.getByRole('button', { name: 'Cancel' }).click();
    await question.waitFor({ state: 'hidden' });
    await pasteIt();
    assert.match((await question.textContent()) ?? '', /\[201~echo two/);
    await page.keyboard.press('Tab');
    await question.getByRole('button', { name: 'Paste' }).focus();
    await page.keyboard.press('Enter');
    await question.waitFor({ state: 'hidden' });
    await page.waitForFunction(() => document.activeElement?.classList.contains('xterm-helper-textarea'));
    await page.keyboard.press('Enter');
    await shows('three-4');
    assert.ok(!(await screenText()).join('\n').includes('two-3\ntwo-3'));
  });

  await part('a connection that is cut returns to the same shell, with what it printed', async () => {
    await type("clear; PS1='ready# '; ANIMAL=capybara; for i in $(seq 1 150); do echo row-$i-$((i*3)); done\n");
    await shows('row-150-450');
    visitors.allowed = [/^\/api\//]; // they fail while the line is cut
    line.cut();
    await status.filter({ hasText: 'Connection lost' }).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Reconnect now' }).waitFor();
    await shot('reconnecting');
    line.restore();
    await reconnectNow();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await shows('row-150-450');
    await page.locator('.console-rows textarea').focus();
    // What was printed is sent again after "Connected" and moves the screen back to its end, so a
    // key that was pressed before that is pressed again.
    for (let i = 0; i < 24 && !(await screenText()).some((r) => r.startsWith('row-1-3')); i++) {
      const before = (await screenText())[0];
      await page.keyboard.press('Shift+PageUp');
      await page
        .waitForFunction((b) => document.querySelector('.console-rows .xterm-rows > div')?.textContent !== b, before, {
          timeout: 5_000,
        })
        .catch(() => {});
    }
    await shows('row-1-3');
    await type('clear; echo it-is-$ANIMAL\n');
    await shows('it-is-capybara');
    assert.ok(!(await screenText()).join('').includes('This is a new shell'));
  });

  await part('a frozen network is reported, and the same shell goes on', async () => {
    await type('clear; echo before-$((40+2)); sleep 15; echo after-$((40+3))\n');
    await shows('before-42');
    const frozen = Date.now();
    line.freeze();
    await status.filter({ hasText: 'Connection lost' }).waitFor({ timeout: 60_000 });
    console.log(`   reported after ${((Date.now() - frozen) / 1000).toFixed(1)} s`);
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    console.log(`   reconnected after ${((Date.now() - frozen) / 1000).toFixed(1)} s`);
    await shows('after-43');
    await type('clear; echo still-$ANIMAL\n');
    await shows('still-capybara');
  });

  await part('a reload and another page return to the same shell, without a question', async () => {
    await type('sleep 1000\n');
    await page.getByRole('tab', { name: 'Overview' }).click();
    await page.getByRole('tab', { name: 'Terminal' }).click();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await shows('sleep 1000');
    await page.reload();
    await unlock();
    await shows('sleep 1000');
    await type('');
    await page.keyboard.press('Control+C');
    await type('clear; echo reloaded-$ANIMAL\n');
    await shows('reloaded-capybara');
  });

  await part('two tabs do not fight for one shell', async () => {
    const other = await context.newPage();
    await other.goto(page.url());
    const names = await page.evaluate(() => ({ ...sessionStorage }));
    await other.evaluate((all) => Object.assign(sessionStorage, all), names);
    await other.reload();
    await other.getByRole('textbox', { name: 'Private key' }).fill(key.privateKey);
    await other.getByRole('button', { name: 'Open terminal' }).click();
    await status.filter({ hasText: 'opened in another tab' }).waitFor({ timeout: 60_000 });
    await other.close();
    await page.getByRole('button', { name: 'Reconnect', exact: true }).click();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await type('clear; echo back-$ANIMAL\n');
    await shows('back-capybara');
  });

  const folder = mkdtempSync(join(tmpdir(), 'billet-files-'));
  const large = process.env.BILLET_SHORT_FILES ? 4_000_000 : 64_000_000;
  const files = page.getByRole('region', { name: 'Files on terminal-run' });
  const menu = async (name, action) => {
    await files.getByRole('button', { name: `Actions for ${name}` }).click();
    await page.getByRole('menuitem', { name: action }).click();
  };
  const transfer = (name) => files.getByRole('list', { name: 'File transfers' }).locator('li', { hasText: name });
  const dialog = page.getByRole('dialog');

  await part('files: folders, names and refusals', async () => {
    await type('clear; mkdir -p /root/work; cd /root/work; rm -rf *; ln -s / root-link\n');
    await type('printf x > "$(printf "evil\\e[31m\\u202etxt.exe")"\n');
    await page.getByRole('button', { name: 'Show files' }).click();
    await files.getByRole('textbox', { name: 'Folder' }).waitFor();
    await page.waitForFunction(() => document.querySelector('.files input')?.value === '/root');
    assert.ok(await page.evaluate(() => document.activeElement?.querySelector('.files') !== null), 'the focus');
    await files.getByRole('button', { name: 'work/' }).click();
    await files.getByText('evil\ufffd[31m\ufffdtxt.exe').first().waitFor();
    await files.getByRole('button', { name: 'New folder' }).click();
    await dialog.getByRole('textbox', { name: 'Name' }).fill('a/b');
    await dialog.getByRole('button', { name: 'Create folder' }).click();
    await dialog.getByText('Enter a name without a slash').waitFor();
    await dialog.getByRole('textbox', { name: 'Name' }).fill('data');
    await page.keyboard.press('Enter');
    await files.getByRole('button', { name: 'data/' }).waitFor();
    await menu('data', 'Rename');
    await dialog.getByRole('textbox', { name: 'Name' }).fill('sets');
    await page.keyboard.press('Enter');
    await files.getByRole('button', { name: 'sets/' }).waitFor();
    await files.getByRole('textbox', { name: 'Folder' }).fill('/nowhere');
    await page.keyboard.press('Enter');
    await files.getByText('“/nowhere” does not exist on the machine.').waitFor();
    await files.getByRole('button', { name: 'Refresh' }).click();
    await files.getByText('“/nowhere” does not exist').waitFor({ state: 'hidden' });
    await cleanEverywhere('the files');
    await shot('files');
  });

  await part('files: a large one both ways, by picker, and one by drop', async () => {
    const bytes = Buffer.alloc(large);
    for (let i = 0; i < large; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
    const sum = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(folder, 'large.bin'), bytes);
    await files.getByRole('button', { name: 'sets/' }).click();
    await page.waitForFunction(() => document.querySelector('.files input')?.value === '/root/work/sets');
    let began = Date.now();
    await files.locator('input[type=file]').setInputFiles(join(folder, 'large.bin'));
    await transfer('large.bin').getByText('Uploaded', { exact: true }).waitFor({ timeout: 240_000 });
    console.log(`   ${large / 1e6} MB uploaded in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await transfer('large.bin').getByRole('button', { name: 'Dismiss' }).click();
    await type('clear; sha256sum /root/work/sets/large.bin | cut -c1-20\n');
    await shows(sum.slice(0, 20));

    // Into the browser's memory, as where a page cannot write files.
    await page.evaluate(() => {
      window.showSaveFilePicker = undefined;
    });
    began = Date.now();
    const saving = page.waitForEvent('download', { timeout: 240_000 });
    await menu('large.bin', 'Download');
    const saved = await saving;
    assert.equal(saved.suggestedFilename(), 'large.bin');
    await saved.saveAs(join(folder, 'saved.bin'));
    console.log(`   ${large / 1e6} MB downloaded in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(folder, 'saved.bin')))
        .digest('hex'),
      sum,
    );
    await transfer('large.bin').getByText('Downloaded', { exact: true }).waitFor();

    // Into a file that the user picks: one of the browser's own file system stands in for it.
    await page.evaluate(() => {
      window.showSaveFilePicker = async ({ suggestedName }) => {
        const root = await navigator.storage.getDirectory();
        return root.getFileHandle(suggestedName, { create: true });
      };
    });
    await transfer('large.bin').getByRole('button', { name: 'Dismiss' }).click();
    await menu('large.bin', 'Download');
    await transfer('large.bin').getByText('Downloaded', { exact: true }).waitFor({ timeout: 240_000 });
    const written = await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const file = await (await root.getFileHandle('large.bin')).getFile();
      const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
      return [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, '0')).join('');
    });
    assert.equal(written, sum);
    await transfer('large.bin').getByRole('button', { name: 'Dismiss' }).click();

    const dropped = await page.evaluateHandle(() => {
      const data = new DataTransfer();
      data.items.add(new File(['dropped here'], 'note.txt'));
      return data;
    });
    await files.dispatchEvent('dragover', { dataTransfer: dropped });
    await files.dispatchEvent('drop', { dataTransfer: dropped });
    await transfer('note.txt').getByText('Uploaded', { exact: true }).waitFor();
    await shot('transfers');
  });

  await part('files: replacing asks, canceling leaves what was there, deleting asks', async () => {
    const question = page.getByRole('dialog', { name: 'Replace the file?' });
    writeFileSync(join(folder, 'note.txt'), 'another text');
    await files.locator('input[type=file]').setInputFiles(join(folder, 'note.txt'));
    await question.getByRole('button', { name: 'Cancel' }).click();
    await type('clear; cat note.txt sets/note.txt\n');
    await shows('dropped here');
    await files.locator('input[type=file]').setInputFiles(join(folder, 'note.txt'));
    await question.getByRole('button', { name: 'Replace' }).click();
    await transfer('note.txt').nth(1).getByText('Uploaded', { exact: true }).waitFor();
    await type('clear; cat sets/note.txt\n');
    await shows('another text');

    await files.locator('input[type=file]').setInputFiles(join(folder, 'large.bin'));
    await question.getByRole('button', { name: 'Replace' }).click();
    await page.evaluate(() => {
      const stop = new MutationObserver(() =>
        [...document.querySelectorAll('.transfers button')].find((b) => b.textContent === 'Cancel')?.click(),
      );
      stop.observe(document.body, { subtree: true, childList: true, characterData: true });
      setTimeout(() => stop.disconnect(), 20_000);
    });
    await transfer('large.bin').getByText('Canceled', { exact: true }).waitFor();
    await type('clear; ls -A sets | wc -l; stat -c size-%s sets/large.bin\n');
    await shows(`size-${large}`);
    assert.ok(
      (await screenText()).some((r) => r.trim() === '2'),
      (await screenText()).join('\n').trim(),
    );

    await menu('note.txt', 'Delete');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await files.getByText('note.txt').last().waitFor();
    await files.getByRole('button', { name: 'Up', exact: true }).click();
    await menu('sets', 'Delete');
    await dialog.getByText('The folder is deleted with everything in it.').waitFor();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await files.getByRole('button', { name: 'sets/' }).waitFor({ state: 'hidden' });
    await type('clear; ls -d sets 2>&1 | tail -c 15\n');
    await shows('or directory');
  });

  await part('files wait for the connection', async () => {
    line.cut();
    await files.getByText('Files are available while the terminal is connected.').waitFor({ timeout: 60_000 });
    line.restore();
    await reconnectNow();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await files.getByText('root-link').first().waitFor();
    await page.getByRole('button', { name: 'Hide files' }).click();
    rmSync(folder, { recursive: true, force: true });
  });

  await part('another host key is refused, and the page says what it means', async () => {
    const here = page.url();
    const wrong = makeKey().publicKey.split(' ').slice(0, 2).join(' ');
    const lie = async (route) => {
      const answer = await route.fetch();
      const body = (await answer.text()).replace(/(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256) [A-Za-z0-9+/=]+/g, wrong);
      await route.fulfill({ response: answer, body });
    };
    await page.route(`**/deployments/${id}`, lie);
    await page.goto('/deployments');
    await page.goto(here);
    await page.getByRole('textbox', { name: 'Private key' }).fill(key.privateKey);
    await page.getByRole('button', { name: 'Open terminal' }).click();
    await page.getByRole('alert').filter({ hasText: 'Host key changed' }).waitFor({ timeout: 60_000 });
    await status.filter({ hasText: 'The host key does not match.' }).waitFor();
    await cleanEverywhere('the changed host key');
    await shot('host-key');
    await page.unroute(`**/deployments/${id}`);
    await page.goto('/deployments');
    await page.getByRole('link', { name: 'terminal-run' }).click();
    await page.getByRole('tab', { name: 'Terminal' }).click();
    await unlock();
  });

  await part('a shell that is not kept, by choice', async () => {
    await page.getByRole('checkbox', { name: 'Keep the shell when the connection is lost (tmux)' }).uncheck();
    await page.getByText('When the connection is lost, the shell and its programs end.').waitFor();
    await status.filter({ hasText: 'Connected' }).waitFor({ timeout: 60_000 });
    await type("PS1='ready# '; clear; echo other-[$ANIMAL]\n");
    await shows('other-[]');
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

  await part('a frozen network ends a shell that is not kept, and says so', async () => {
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
