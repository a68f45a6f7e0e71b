import type { Role } from '../../api/session';

export const roles: { value: Role; text: string }[] = [
  { value: 'owner', text: 'Everything, also other owners' },
  { value: 'admin', text: 'Everything except owners' },
  { value: 'member', text: 'Deploys, and works with what is there' },
  { value: 'viewer', text: 'Sees everything, changes nothing' },
  { value: 'billing', text: 'Wallet and costs' },
];
