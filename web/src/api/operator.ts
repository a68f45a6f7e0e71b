// What only the operator of the cloud may see.

import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query';
import { allPages, call, type Init, type Query, type Schema } from './client';
import { learnServerTime } from './clock';
import { asApiError } from './error';
import { pageQuery, useAll, useGet, withId } from './hooks';

export type Issue = Schema['Issue'];
export type OperatorAccount = Schema['OperatorAccount'];
export type OperatorDeployment = Schema['OperatorDeployment'];
export type OperatorVolume = Schema['OperatorVolume'];
export type PriceRule = Schema['PriceRule'];
export type OperatorTopUp = Schema['OperatorTopUp'];
export type TopUpDetails = Schema['TopUpDetails'];

export const issuesPath = '/api/v1/operator/issues';
export const allDeploymentsPath = '/api/v1/operator/deployments';
export const allVolumesPath = '/api/v1/operator/volumes';
export const mailsPath = '/api/v1/operator/mails';
export const allTopUpsPath = '/api/v1/operator/top-ups';
export const allInvoicesPath = '/api/v1/operator/invoices';
export const jobsPath = '/api/v1/operator/jobs';
export const adjustmentsPath = '/api/v1/operator/adjustments';
export const serviceCreditsPath = '/api/v1/operator/service-credits';
export const promoCodesPath = '/api/v1/operator/promo-codes';
const simulatorPath = '/api/v1/operator/simulator';

export function issuesPage(query: Query<typeof issuesPath>) {
  return { ...pageQuery(issuesPath, { params: { query } }), refetchInterval: 20_000 };
}

export function allDeploymentsPage(query: Query<typeof allDeploymentsPath>) {
  return { ...pageQuery(allDeploymentsPath, { params: { query } }), refetchInterval: 10_000 };
}

export function allVolumesPage(query: Query<typeof allVolumesPath>) {
  return { ...pageQuery(allVolumesPath, { params: { query } }), refetchInterval: 20_000 };
}

export function adjustmentsPage(query: Query<typeof adjustmentsPath>) {
  return { ...pageQuery(adjustmentsPath, { params: { query } }), refetchInterval: 20_000 };
}

export function serviceCreditsPage(query: Query<typeof serviceCreditsPath>) {
  return { ...pageQuery(serviceCreditsPath, { params: { query } }), refetchInterval: 20_000 };
}

export function promoCodesPage(query: Query<typeof promoCodesPath>) {
  return { ...pageQuery(promoCodesPath, { params: { query } }), refetchInterval: 20_000 };
}

export function mailsPage(query: Query<typeof mailsPath>) {
  return { ...pageQuery(mailsPath, { params: { query } }), refetchInterval: 20_000 };
}

export function allTopUpsPage(query: Query<typeof allTopUpsPath>) {
  return { ...pageQuery(allTopUpsPath, { params: { query } }), refetchInterval: 20_000 };
}

/** A top-up of any account, read again while what becomes of its money is open. */
export function useAnyTopUp(id: string) {
  return useGet(`${allTopUpsPath}/{id}`, withId(id), { refetchInterval: 10_000 });
}

export function allInvoicesPage(query: Query<typeof allInvoicesPath>) {
  return { ...pageQuery(allInvoicesPath, { params: { query } }), refetchInterval: 60_000 };
}

/** The address of any account's document in a format. */
export function anyDocumentURL(id: string, format: 'pdf' | 'html' | 'xml'): string {
  return `${allInvoicesPath}/${encodeURIComponent(id)}?format=${format}`;
}

/** The name of an account; its ID while it is not known. */
export function useAccountName(): (id: string) => string {
  const accounts = useOperatorAccounts().data;
  return (id) => accounts?.find((a) => a.id === id)?.name ?? id;
}

/** Sends a mail at once that waits for its next attempt; false where none waits anymore. */
export function useRetryMail() {
  return useMutation({
    mutationFn: async (id: string) => {
      const [job] = await allPages(jobsPath, { state: 'failing', subject: id });
      if (job) await call('post', `${jobsPath}/{id}/retry`, { params: { path: { id: job.id } } });
      return job !== undefined;
    },
  });
}

export function useOperatorAccounts() {
  return useAll('/api/v1/operator/accounts', {}, { refetchInterval: 30_000 });
}

export function useOperatorProviders() {
  return useAll('/api/v1/operator/provider-accounts', {}, { refetchInterval: 20_000 });
}

const priceRulesPath = '/api/v1/operator/price-rules';
const previewPath = `${priceRulesPath}/preview` as const;

/** The price rules in their order. */
export function usePriceRules() {
  return useAll(priceRulesPath, {}, { refetchInterval: 30_000 });
}

/** What a price rule does to the offers; not asked while it is null. Nothing is stored. */
export function usePriceRulePreview(rule: Init<typeof previewPath, 'post'>['body'] | null) {
  return useQuery({
    queryKey: [previewPath, rule],
    queryFn: () => call('post', previewPath, { body: rule ?? {} }),
    enabled: rule !== null,
    placeholderData: keepPreviousData,
  });
}

/** The simulator's state; null where the server runs none. */
export function useSimulator() {
  return useQuery({
    queryKey: [simulatorPath],
    queryFn: async () => {
      try {
        const state = await call('get', simulatorPath);
        learnServerTime(state.now);
        return state;
      } catch (thrown) {
        if (asApiError(thrown).status === 404) return null;
        throw thrown;
      }
    },
    refetchInterval: 30_000,
  });
}

export function useAdvanceClock() {
  return useMutation({
    mutationFn: (seconds: number) => call('post', `${simulatorPath}/advance`, { body: { seconds } }),
    onSuccess: (state) => learnServerTime(state.now),
  });
}

/** Clears one injected fault, or all of them. */
export function useClearFaults() {
  return useMutation({
    mutationFn: (id?: string) =>
      id
        ? call('delete', `${simulatorPath}/faults/{id}`, { params: { path: { id } } })
        : call('delete', `${simulatorPath}/faults`),
  });
}
