// Rents a machine with a client that @hey-api/openapi-ts generated from docs/openapi.json.
import { client } from './hey/client.gen.js';
import {
  createDeployment,
  createQuote,
  getDeployment,
  listDeployments,
  listOffers,
  terminateDeployment,
} from './hey/index.js';

const env = process.env as Record<'BILLET_URL' | 'BILLET_API_KEY' | 'SSH_PUBLIC_KEY', string>;
client.setConfig({
  baseUrl: env.BILLET_URL,
  auth: (scheme) => (scheme.scheme === 'bearer' ? env.BILLET_API_KEY : undefined),
  throwOnError: true,
});
const throwOnError = true;

const offers = await listOffers({ throwOnError, query: { gpuType: 'NVIDIA B200', available: true } });
if (offers.data.data.length === 0) throw new Error('no offers');
const quote = await createQuote({ throwOnError, body: { offerId: 'off_abc123' } });
const made = await createDeployment({
  throwOnError,
  headers: { 'Idempotency-Key': 'hey-api' },
  body: {
    name: 'hey',
    quoteId: quote.data.data.quoteId,
    operatingSystem: 'Ubuntu 22.04',
    ssh_public_key: env.SSH_PUBLIC_KEY,
  },
});
const path = { id: made.data.data.id };

async function wait(status: 'running' | 'terminated') {
  for (let n = 0; n < 20; n++) {
    const d = await getDeployment({ throwOnError, path, query: { waitFor: status, timeoutSeconds: 20 } });
    if (d.data.data.status === status) return;
  }
  throw new Error(`the deployment did not become ${status}`);
}

await wait('running');
const list = await listDeployments({ throwOnError, query: { status: ['running', 'failed'] } });
if (list.data.data.length !== 1) throw new Error(`${list.data.data.length} in the list`);
const none = await getDeployment({ throwOnError: false, path: { id: 'dep_none' } });
if (none.error?.error.code !== 'NOT_FOUND') throw new Error(`none: ${JSON.stringify(none.error)}`);
const end = await terminateDeployment({ throwOnError, path, query: { when: 'earliest' } });
if (end.data.data.autoTerminateAt === null) throw new Error('autoTerminateAt is null');
console.log('queued', path.id);
await wait('terminated');
