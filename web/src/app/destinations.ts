import type { Scope } from '../api/session';

/** Where the command palette can go, or what it can begin. */
export interface Destination {
  text: string;
  to: string;
  /** More words that find it. */
  words?: string;
  scope?: Scope;
  /** Set where only an operator may go. */
  operator?: true;
}

export const pageDestinations: Destination[] = [
  { text: 'Overview', to: '/overview', words: 'home dashboard' },
  { text: 'Offers', to: '/offers', words: 'gpus prices', scope: 'offers:read' },
  { text: 'Deployments', to: '/deployments', words: 'machines', scope: 'deployments:read' },
  { text: 'Volumes', to: '/volumes', words: 'storage disks', scope: 'volumes:read' },
  { text: 'Images', to: '/images', words: 'disk operating system os custom', scope: 'deployments:read' },
  { text: 'SSH keys', to: '/ssh-keys', scope: 'ssh-keys:read' },
  { text: 'Wallet', to: '/wallet', words: 'balance billing transactions usage cost', scope: 'wallet:read' },
  { text: 'Billing', to: '/billing', words: 'invoices top up pay card payments vat', scope: 'wallet:read' },
  { text: 'Budgets', to: '/budgets', words: 'limits spending alerts cost', scope: 'wallet:read' },
  { text: 'API keys', to: '/settings/api-keys', words: 'settings tokens', scope: 'api-keys:read' },
  { text: 'Webhooks', to: '/settings/webhooks', words: 'settings', scope: 'webhooks:read' },
  { text: 'Team', to: '/settings/members', words: 'settings members invitations users', scope: 'members:read' },
  { text: 'Profile & security', to: '/settings/profile', words: 'settings password passkeys email sessions' },
  { text: 'Audit log', to: '/settings/audit', words: 'settings history', scope: 'audit:read' },
  { text: 'Operator: accounts', to: '/operator', words: 'administration credit quotas', operator: true },
  { text: 'Operator: adjustments', to: '/operator/adjustments', words: 'credit approval', operator: true },
  { text: 'Operator: service credits', to: '/operator/service-credits', words: 'downtime sla refund', operator: true },
  { text: 'Operator: promo codes', to: '/operator/promo-codes', words: 'credit vouchers coupons', operator: true },
  { text: 'Operator: deployments', to: '/operator/deployments', words: 'administration', operator: true },
  { text: 'Operator: volumes', to: '/operator/volumes', words: 'administration', operator: true },
  { text: 'Operator: providers', to: '/operator/providers', words: 'administration clouds', operator: true },
  { text: 'Operator: machines', to: '/operator/machines', words: 'racks servers bmc own hardware', operator: true },
  { text: 'Operator: price rules', to: '/operator/price-rules', words: 'administration markup', operator: true },
  { text: 'Operator: top-ups', to: '/operator/top-ups', words: 'payments transfers refunds', operator: true },
  { text: 'Operator: invoices', to: '/operator/invoices', words: 'credit notes preview', operator: true },
  { text: 'Operator: billing settings', to: '/operator/billing', words: 'tax vat seller stripe bank', operator: true },
  { text: 'Operator: issues', to: '/operator/issues', words: 'administration orphaned', operator: true },
  { text: 'Operator: failing jobs', to: '/operator/jobs', words: 'administration', operator: true },
  { text: 'Operator: emails', to: '/operator/mails', words: 'administration mails', operator: true },
  { text: 'Operator: announcements', to: '/operator/announcements', words: 'banner maintenance', operator: true },
  { text: 'Operator: setup', to: '/operator/setup', words: 'administration first run', operator: true },
  { text: 'Operator: settings', to: '/operator/settings', words: 'administration sign-up smtp terms', operator: true },
  { text: 'Operator: margins', to: '/operator/margins', words: 'administration revenue', operator: true },
];

export const actionDestinations: Destination[] = [
  { text: 'Deploy', to: '/offers', words: 'new deployment machine create', scope: 'deployments:write' },
  { text: 'Create volume', to: '/volumes?new=1', words: 'new storage', scope: 'volumes:write' },
  { text: 'Add image', to: '/images?new=1', words: 'new create operating system', scope: 'deployments:write' },
  { text: 'Add SSH key', to: '/ssh-keys?new=1', words: 'new create', scope: 'ssh-keys:write' },
  { text: 'Top up', to: '/billing?new=1', words: 'pay add money credit card', scope: 'wallet:write' },
  { text: 'Redeem code', to: '/wallet?new=1', words: 'promo code voucher coupon credit', scope: 'wallet:write' },
  { text: 'Create budget', to: '/budgets?new=1', words: 'new limit spending', scope: 'deployments:write' },
  { text: 'Create API key', to: '/settings/api-keys?new=1', words: 'new token', scope: 'api-keys:write' },
  { text: 'Create webhook', to: '/settings/webhooks?new=1', words: 'new', scope: 'webhooks:write' },
  { text: 'Invite member', to: '/settings/members?new=1', words: 'new member team', scope: 'members:write' },
  { text: 'Authorize device', to: '/device', words: 'cli login code', scope: 'api-keys:write' },
];

/** Reports whether every word of the text is in the destination's. */
export function matches(d: Destination, text: string): boolean {
  const all = `${d.text} ${d.words ?? ''}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
