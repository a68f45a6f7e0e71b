import type { Scope } from '../../api/apiKeys';

export const allScopes: Scope[] = [
  'offers:read',
  'deployments:read',
  'deployments:write',
  'ssh-keys:read',
  'ssh-keys:write',
  'volumes:read',
  'volumes:write',
  'wallet:read',
  'webhooks:read',
  'webhooks:write',
];

export const presets: { name: string; text: string; scopes: Scope[] }[] = [
  { name: 'Everything', text: 'Deploy, terminate, manage keys and volumes', scopes: allScopes },
  { name: 'Read only', text: 'See everything, change nothing', scopes: allScopes.filter((s) => s.endsWith(':read')) },
  {
    name: 'Deployer',
    text: 'Deploy and terminate, for CI and schedulers',
    scopes: ['offers:read', 'deployments:read', 'deployments:write', 'ssh-keys:read', 'volumes:read'],
  },
  { name: 'Prices', text: 'Offers, prices and stock', scopes: ['offers:read'] },
];

/** What a set of scopes is called: a preset's name, or how many they are. */
export function presetOf(scopes: readonly string[]): string {
  const found = presets.find((p) => p.scopes.length === scopes.length && p.scopes.every((s) => scopes.includes(s)));
  return found?.name ?? (scopes.length === 1 ? (scopes[0] ?? '') : `${scopes.length} scopes`);
}
