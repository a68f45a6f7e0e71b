import type { Schema } from './client';
import { useAll, useGet } from './hooks';

export type TopUp = Schema['TopUp'];
export type AutoTopUp = Schema['AutoTopUp'];
export type PaymentMethod = Schema['PaymentMethod'];
export type InvoiceSummary = Schema['InvoiceSummary'];
export type BillingDetails = Schema['BillingDetails'];

export const topUpsPath = '/api/v1/inventory/wallet/top-ups';
export const invoicesPath = '/api/v1/inventory/invoices';

/** Reads a top-up, and again while its payment is not decided. */
export function useTopUp(id: string | null) {
  return useGet(
    `${topUpsPath}/{id}`,
    { params: { path: { id: id ?? '' } } },
    {
      enabled: id !== null,
      refetchInterval: (q) => (q.state.data && q.state.data.status !== 'pending' ? false : 3000),
    },
  );
}

export function useAutoTopUp() {
  return useGet('/api/v1/inventory/wallet/auto-top-up');
}

export function usePaymentMethods() {
  return useAll('/api/v1/inventory/wallet/payment-methods');
}

export function useBillingDetails() {
  return useGet('/api/v1/inventory/wallet/billing-details');
}

/** The address of a receipt of a top-up, or of one of its refunds. */
export function receiptURL(topUp: string, refund?: string): string {
  const query = new URLSearchParams({ format: 'pdf', ...(refund && { refund }) });
  return `${topUpsPath}/${encodeURIComponent(topUp)}/receipt?${query}`;
}

/** The address of a document in a format. */
export function documentURL(id: string, format: 'pdf' | 'html' | 'xml'): string {
  return `${invoicesPath}/${encodeURIComponent(id)}?format=${format}`;
}
