import type { Role } from '../../api/session';

/** Every role, most powerful first. A missing or unknown one fails the type check. */
const descriptions: Record<Role, string> = {
  owner: 'Full access, including owners',
  admin: 'Full access except owners',
  member: 'Deploy and manage resources',
  viewer: 'Read-only',
  billing: 'Billing only',
};
export const roles = Object.entries(descriptions).map(([value, text]) => ({ value: value as Role, text }));
