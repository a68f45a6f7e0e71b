// Shapes of calls that docs/openapi.json does not have yet, as they are designed. Each entry goes, and its calls
// move to the typed client, once the document has it.

import type { Schema } from './client';

export type Role = 'owner' | 'admin' | 'member' | 'viewer' | 'billing';

export interface Person {
  id: string;
  email: string;
  createdAt: string;
  name?: string;
  operator?: boolean;
  totp?: boolean;
  passkeys?: number;
}

export interface Membership {
  id: string;
  name: string;
  role: Role;
}

export interface Me {
  person: Person;
  account: Schema['Account'];
  role?: Role;
  scopes?: string[];
  accounts?: Membership[];
}

export interface SignInWays {
  password: boolean;
  passkeys: boolean;
  oidc: { name: string; startUrl: string } | null;
  demo: { email: string } | null;
}

export interface PersonSession {
  id: string;
  createdAt: string;
  seenAt: string;
  expiresAt: string;
  address: string;
  userAgent: string;
  current: boolean;
}

export interface Passkey {
  id: string;
  name: string;
  createdAt: string;
  lastUsedAt: string | null;
}

export interface Member {
  id: string;
  email: string;
  name: string;
  role: Role;
  totp: boolean;
  lastSeenAt: string | null;
  joinedAt: string;
}

export interface Invitation {
  id: string;
  role: Role;
  email: string | null;
  expiresAt: string;
  createdAt?: string;
  invitedBy?: string;
}

export interface AuditEntry {
  id: string;
  at: string;
  actor: { kind: 'person' | 'key' | 'operator' | 'system'; id: string; name: string };
  action: string;
  subject: string;
  address: string;
  requestId: string;
}

export interface Finding {
  id: string;
  kind: string;
  provider: string;
  state: 'open' | 'ended' | 'dismissed' | 'settled';
  [more: string]: unknown;
}

export interface OperatorAccount {
  id: string;
  name: string;
  createdAt: string;
  balance: number;
  held: number;
  available: number;
  negativeSince: string | null;
  runningDeployments: number;
  hourlyCost: number;
}

export interface OperatorProvider {
  slug: string;
  name: string;
  lastSyncAt: string | null;
  lastError: string | null;
  consecutiveFailures: number;
  stale: boolean;
  offers: number;
  available: number;
  machines: number;
  deployments: number;
  markupPercent: number;
}

export interface FailingJob {
  kind: string;
  subject: string;
  attempts: number;
  lastError: string;
  nextAt: string;
}

export interface MarginRow {
  key: string;
  revenue: number;
  cost: number;
  margin: number;
  marginPercent: number | null;
  hours: number;
}
