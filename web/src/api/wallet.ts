import { useQuery } from '@tanstack/react-query';
import { api, data, type Pagination, page, type Schema } from './client';
import { learnServerTime, serverNow } from './clock';
import { useLive } from './events';
import { key } from './queries';
import type { paths } from './schema';

export type Transaction = Schema['Transaction'];
export type TransactionQuery = NonNullable<
  paths['/api/v1/inventory/wallet/transactions']['get']['parameters']['query']
>;
type StatementAnswer = Promise<{
  data?: { data: Transaction[]; pagination: Pagination };
  error?: unknown;
  response: Response;
}>;
export type UsageGroup = Schema['UsageGroup'];
export type GroupBy = Schema['Usage']['groupBy'];

export function useWallet(enabled = true) {
  const live = useLive();
  return useQuery({
    queryKey: [...key.wallet, 'now'],
    queryFn: () => data(api.GET('/api/v1/inventory/wallet')),
    refetchInterval: live ? 60_000 : 20_000,
    enabled,
  });
}

export function transactionsPage(query: TransactionQuery) {
  return {
    queryKey: [...key.wallet, 'transactions', query],
    // Without ?format=csv the answer is never the CSV text that the document allows too.
    queryFn: () =>
      page(api.GET('/api/v1/inventory/wallet/transactions', { params: { query } }) as unknown as StatementAnswer),
  };
}

/**
 * Keeps to the server's clock: its usage until "now" says what now is. Money and countdowns are in sight on most pages,
 * and both are wrong by a computer's wrong clock.
 */
export function useServerClock(enabled: boolean) {
  useQuery({
    queryKey: ['clock'],
    queryFn: async () => {
      const query = { groupBy: 'provider', from: new Date(serverNow()).toISOString() } as const;
      const { to } = await data(api.GET('/api/v1/inventory/wallet/usage', { params: { query } }));
      learnServerTime(to);
      return to;
    },
    enabled,
    refetchInterval: 60_000,
  });
}

export function useUsage(groupBy: GroupBy, from?: string, to?: string) {
  return useQuery({
    queryKey: [...key.wallet, 'usage', groupBy, from, to],
    queryFn: async () => {
      const usage = await data(api.GET('/api/v1/inventory/wallet/usage', { params: { query: { groupBy, from, to } } }));
      if (!to) learnServerTime(usage.to);
      return usage;
    },
  });
}
