// Shapes of calls that docs/openapi.json does not have yet, as they are designed. Each entry goes, and its calls
// move to the typed client, once the document has it.

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
