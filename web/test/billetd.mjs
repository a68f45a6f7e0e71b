// Starts and stops a server for a test, with the simulator and the demo account.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export const binary = process.env.BILLETD ?? new URL('../../bin/billetd', import.meta.url).pathname;

/**
 * A free port below those that the system gives to sockets that ask for any, so that none of them
 * takes it meanwhile.
 */
async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise((done) => {
      const server = createServer();
      server.on('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (free) return port;
  }
}

// Simulated machines outlive their server on purpose, but not the test. Their records are at one
// depth, machines/PROVIDER/DEPLOYMENT/node*/state.json. Nothing below is read: a machine's disk has
// links to the host's own directories.
function endMachines(data) {
  const folders = (path) =>
    existsSync(path)
      ? readdirSync(path, { withFileTypes: true })
          .filter((e) => e.isDirectory())
          .map((e) => join(path, e.name))
      : [];
  for (const provider of folders(join(data, 'sim', 'machines')))
    for (const deployment of folders(provider))
      for (const node of folders(deployment)) {
        const state = join(node, 'state.json');
        if (!/^node(-\d+)?$/.test(basename(node)) || !existsSync(state)) continue;
        const { PID: pid } = JSON.parse(readFileSync(state, 'utf8'));
        try {
          if (pid > 0) process.kill(pid, 'SIGKILL');
        } catch {
          // The machine has already ended.
        }
      }
}

/**
 * Starts a server, with simulated providers and the demo account unless providers is false. The
 * flags may be a function of the server's URL.
 */
export async function startBilletd(flags = [], { providers = true } = {}) {
  const data = mkdtempSync(join(tmpdir(), 'billet-web-'));
  const port = await freePort();
  const url = `http://localhost:${port}`;
  let log = '';
  const keep = (chunk) => {
    log = (log + chunk).slice(-200_000);
  };
  const demoFile = join(data, 'demo.json');
  let child;
  let exit;
  const start = async () => {
    child = spawn(
      binary,
      [
        'serve',
        ...(providers ? ['--sim', '--demo'] : []),
        '--listen',
        `127.0.0.1:${port}`,
        '--metrics-listen',
        '',
        '--data-dir',
        data,
        ...(typeof flags === 'function' ? flags(url) : flags),
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    exit = new Promise((done) => child.on('exit', done));
    for (const end = Date.now() + 60_000; ; ) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`the server did not start:\n${log}`);
      const ready =
        (existsSync(demoFile) || !providers) &&
        (await fetch(`http://127.0.0.1:${port}/readyz`).then(
          (r) => r.ok,
          () => false,
        ));
      if (ready) return;
      await pause(100);
    }
  };
  const end = async () => {
    child.kill('SIGTERM');
    await exit;
  };
  await start();
  const demo = providers ? JSON.parse(readFileSync(demoFile, 'utf8')) : null;
  return {
    url,
    data,
    demo,
    log: () => log,
    /** Runs a billetd command on this server's data, such as `sim advance 26m`. */
    run: (...args) =>
      new Promise((done, fail) => {
        const tool = spawn(binary, [...args, '--data-dir', data], { stdio: ['ignore', 'pipe', 'pipe'] });
        let out = '';
        tool.stdout.on('data', (c) => {
          out += c;
        });
        tool.stderr.on('data', (c) => {
          out += c;
        });
        tool.on('exit', (code) => (code === 0 ? done(out) : fail(new Error(`billetd ${args.join(' ')}: ${out}`))));
      }),
    /** Stop the server and start it again on the same data and port. */
    end,
    start,
    stop: async () => {
      await end();
      endMachines(data);
      rmSync(data, { recursive: true, force: true });
    },
  };
}
