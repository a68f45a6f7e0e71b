import type { Schema } from '../../api/client';

export type Scope = NonNullable<Schema['CreateAPIKey']['scopes']>[number];

/** Every scope of an API key. A missing or unknown one fails the type check. */
const descriptions: Record<Scope, string> = {
  'offers:read': 'List offers and prices',
  'deployments:read': 'List deployments',
  'deployments:write': 'Deploy and terminate',
  'ssh-keys:read': 'List SSH keys',
  'ssh-keys:write': 'Add and remove SSH keys',
  'volumes:read': 'List volumes',
  'volumes:write': 'Create, attach and delete volumes',
  'wallet:read': 'See balance and transactions',
  'wallet:write': 'Create top-ups, set the automatic top-up',
  'webhooks:read': 'List webhooks',
  'webhooks:write': 'Create and change webhooks',
};
export const scopes = Object.entries(descriptions).map(([value, text]) => ({ value: value as Scope, text }));
export const keyScopes = scopes.map((s) => s.value);
/** The scopes of full access. A key gets wallet:write only if it is chosen. */
export const allScopes: Scope[] = keyScopes.filter((s) => s !== 'wallet:write');
/** The scopes that a key of a project can have. */
export const projectScopes = allScopes.filter((s) => !/^(wallet|webhooks):/.test(s));

export const presets: { name: string; text: string; scopes: Scope[] }[] = [
  { name: 'Full access', text: 'Deploy, terminate, manage keys and volumes', scopes: allScopes },
  { name: 'Read-only', text: 'See everything, change nothing', scopes: allScopes.filter((s) => s.endsWith(':read')) },
  {
    name: 'Deploy',
    text: 'Deploy and terminate, for CI and schedulers',
    scopes: ['offers:read', 'deployments:read', 'deployments:write', 'ssh-keys:read', 'volumes:read'],
  },
  { name: 'Prices', text: 'Offers, prices and stock', scopes: ['offers:read'] },
];

/** The name of a set of scopes: a preset's, or their number. */
export function presetOf(chosen: readonly string[]): string {
  const preset = presets.find((p) => p.scopes.length === chosen.length && p.scopes.every((s) => chosen.includes(s)));
  return preset?.name ?? (chosen.length === 1 ? (chosen[0] ?? '') : `${chosen.length} scopes`);
}
