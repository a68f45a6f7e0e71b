import { useQuery } from '@tanstack/react-query';
import { call, type Query, type Schema } from './client';
import { learnServerTime, serverNow } from './clock';
import { useLive } from './events';
import { pageQuery, useGet } from './hooks';

export type Transaction = Schema['Transaction'];
export type TransactionQuery = Query<'/api/v1/inventory/wallet/transactions'>;
export type GroupBy = Schema['Usage']['groupBy'];

export const walletPath = '/api/v1/inventory/wallet';
export const creditsPath = '/api/v1/inventory/wallet/credits';
const usagePath = '/api/v1/inventory/wallet/usage';

export function useWallet(enabled = true) {
  const live = useLive();
  return useGet(walletPath, undefined, { refetchInterval: live ? 60_000 : 20_000, enabled });
}

export function transactionsPage(query: TransactionQuery) {
  return pageQuery('/api/v1/inventory/wallet/transactions', { params: { query } });
}

/**
 * Keeps to the server's clock, from the end of its usage until now. Most pages show money and
 * countdowns, and a computer's wrong clock makes both wrong.
 */
export function useServerClock(enabled: boolean) {
  useQuery({
    queryKey: ['clock'],
    queryFn: async () => {
      const query = { groupBy: 'provider', from: new Date(serverNow()).toISOString() } as const;
      const { to } = await call('get', usagePath, { params: { query } });
      learnServerTime(to);
      return to;
    },
    enabled,
    refetchInterval: 60_000,
  });
}

export type UsageQuery = Query<'/api/v1/inventory/wallet/usage'>;

export function useUsage(query: UsageQuery, enabled = true) {
  return useGet(usagePath, { params: { query } }, { enabled });
}

/** The usage as a file. */
export function usageFile(query: Record<string, string>): string {
  return `${usagePath}?${new URLSearchParams(query)}`;
}
