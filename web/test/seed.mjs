// Test data: keys, volumes, and deployments in several states, created with the demo API key.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function makeKey() {
  const folder = mkdtempSync(join(tmpdir(), 'billet-key-'));
  try {
    const file = join(folder, 'id');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'my-laptop', '-f', file]);
    return { publicKey: readFileSync(`${file}.pub`, 'utf8').trim(), privateKey: readFileSync(file, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function apiOf(server) {
  return async (method, path, body) => {
    const response = await fetch(server.url + path, {
      method,
      headers: { Authorization: `Bearer ${server.demo.apiKey}`, 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = await response.json();
    if (!answer.success) throw new Error(`${method} ${path}: ${JSON.stringify(answer.error)}`);
    return answer.data;
  };
}

export async function seed(server) {
  const api = apiOf(server);
  const base = '/api/v1/inventory';
  const { publicKey } = makeKey();
  const key = await api('POST', `${base}/ssh-keys`, { name: 'my-laptop', publicKey });
  await api('POST', `${base}/ssh-keys`, { name: 'ci-runner', publicKey: makeKey().publicKey });
  await api('POST', `${base}/webhooks`, {
    url: 'https://example.com/billet',
    description: 'scheduler',
    types: ['deployment.*'],
    enabled: false, // nothing leaves this machine
  });
  const offers = await api('GET', `${base}/offers?limit=100&available=true`);
  const cheap = offers.find((o) => o.capabilities.volumes && o.provider === 'northgrid');
  const deploy = (offer, name, more = {}) =>
    api('POST', `${base}/deployments`, {
      offerId: offer.id,
      name,
      sshKeyIds: [key.id],
      operatingSystem: offer.operatingSystems[0],
      ...more,
    });
  const settled = (d) => api('GET', `${base}/deployments/${d.id}?waitFor=running&timeoutSeconds=60`);
  const gone = await settled(await deploy(offers[0], 'render-test'));
  await server.run('sim', 'advance', '26m');
  await api('DELETE', `${base}/deployments/${gone.id}`);
  const running = await settled(
    await deploy(
      offers.find((o) => o.id === 'off_abc123'),
      'llama-pretrain',
      { tags: ['training', 'team-a'] },
    ),
  );
  await settled(await deploy(cheap, 'notebook', { tags: ['research'] }));
  await api('POST', `${base}/volumes`, {
    name: 'datasets',
    sizeGb: 2000,
    provider: 'voltage-park',
    region: 'dallas-usa-5',
  });
  await api('POST', `${base}/volumes`, {
    name: 'checkpoints',
    sizeGb: 500,
    provider: 'voltage-park',
    region: 'dallas-usa-5',
  });
  await server.run('sim', 'advance', '5h');
  const volumes = await api('GET', `${base}/volumes`);
  await api('POST', `${base}/volumes/${volumes[0].id}/attach`, { deploymentId: running.id });
  const b200 = offers.filter((o) => o.gpuType === 'NVIDIA B200').slice(0, 3);
  return { running: running.id, ended: gone.id, offers: b200.map((o) => o.id), publicKey };
}
