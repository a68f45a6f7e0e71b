// Rents a machine with openapi-fetch and the types that openapi-typescript generated from
// docs/openapi.json.
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

const env = process.env as Record<'BILLET_URL' | 'BILLET_API_KEY' | 'SSH_PUBLIC_KEY', string>;
const api = createClient<paths>({
  baseUrl: env.BILLET_URL,
  headers: { Authorization: `Bearer ${env.BILLET_API_KEY}` },
});
const at = '/api/v1/inventory/deployments/{id}';

/** Returns a call's data, or throws its error. */
function good<T>(what: string, answer: { data?: T; error?: components['schemas']['Failure'] }): T {
  if (answer.data === undefined) throw new Error(`${what}: ${answer.error?.error.code} ${answer.error?.error.message}`);
  return answer.data;
}

const offers = good(
  'offers',
  await api.GET('/api/v1/inventory/offers', {
    params: { query: { gpuType: 'NVIDIA B200', available: true } },
  }),
);
if (offers.data.length === 0) throw new Error('no offers');
const quote = good('quote', await api.POST('/api/v1/inventory/quotes', { body: { offerId: 'off_abc123' } })).data;
const made = good(
  'deploy',
  await api.POST('/api/v1/inventory/deployments', {
    params: { header: { 'Idempotency-Key': 'openapi-fetch' } },
    body: {
      name: 'fetch',
      quoteId: quote.quoteId,
      operatingSystem: 'Ubuntu 22.04',
      ssh_public_key: env.SSH_PUBLIC_KEY,
    },
  }),
).data;
const path = { id: made.id };

async function wait(status: 'running' | 'terminated') {
  for (let n = 0; n < 20; n++) {
    const answer = await api.GET(at, { params: { path, query: { waitFor: status, timeoutSeconds: 20 } } });
    const d = good(status, answer).data;
    if (d.status === status) return;
  }
  throw new Error(`the deployment did not become ${status}`);
}

await wait('running');
const list = good(
  'list',
  await api.GET('/api/v1/inventory/deployments', { params: { query: { status: ['running', 'failed'] } } }),
);
if (list.data.length !== 1) throw new Error(`${list.data.length} in the list`);
const none = await api.GET(at, { params: { path: { id: 'dep_none' } } });
if (none.error?.error.code !== 'NOT_FOUND') throw new Error(`none: ${JSON.stringify(none.error)}`);
const end = good('terminate', await api.DELETE(at, { params: { path, query: { when: 'earliest' } } })).data;
if (end.autoTerminateAt === null) throw new Error('autoTerminateAt is null');
console.log('queued', made.id);
await wait('terminated');
