// What an operator sets about invoices and tax. Each is replaced as a whole, as it was read.

import { useMutation, useQuery } from '@tanstack/react-query';
import { call, type Query, read, type Schema } from './client';
import { pageQuery, useSend } from './hooks';
import { queryClient } from './queries';

export type InvoiceSettings = Schema['InvoiceSettings'];
export type TaxRate = Schema['TaxRate'];
export type ExchangeRate = Schema['ExchangeRate'];

const invoiceSettingsPath = '/api/v1/operator/invoice-settings';
const taxRatesPath = '/api/v1/operator/tax-rates';
const exchangeRatesPath = '/api/v1/operator/exchange-rates';

const invoiceSettings = { queryKey: [invoiceSettingsPath, 'version'], queryFn: () => read(invoiceSettingsPath) };
const taxRates = { queryKey: [taxRatesPath, 'version'], queryFn: () => read(taxRatesPath) };

export function useInvoiceSettings() {
  return useQuery(invoiceSettings);
}

/** Replaces the settings of invoices that were read with this version. */
export function useSaveInvoiceSettings() {
  return useMutation({
    mutationFn: ({ value, etag }: { value: InvoiceSettings; etag: string }) =>
      call('put', invoiceSettingsPath, { params: { header: { 'If-Match': etag } }, body: value }),
  });
}

export function useTaxRates() {
  return useQuery(taxRates);
}

/** Replaces the tax rates that were read with this version. */
export function useSaveTaxRates() {
  return useMutation({
    mutationFn: ({ rates, etag }: { rates: TaxRate[]; etag: string }) =>
      call('put', taxRatesPath, { params: { header: { 'If-Match': etag } }, body: { rates } }),
    // Where another operator was first, the next attempt is about what is stored now.
    onError: () => void queryClient.invalidateQueries({ queryKey: taxRates.queryKey }),
  });
}

/** Reads the settings of invoices again. */
export function reloadInvoiceSettings() {
  return queryClient.fetchQuery({ ...invoiceSettings, staleTime: 0 });
}

export function exchangeRatesPage(query: Query<typeof exchangeRatesPath>) {
  return pageQuery(exchangeRatesPath, { params: { query } });
}

/** Adds exchange rates, or replaces those of the same currency and day. */
export function useAddExchangeRates() {
  return useSend('post', exchangeRatesPath);
}

export function useImportExchangeRates() {
  return useSend('post', `${exchangeRatesPath}/import`);
}

export function useDeleteExchangeRate() {
  return useSend('delete', `${exchangeRatesPath}/{id}`);
}
