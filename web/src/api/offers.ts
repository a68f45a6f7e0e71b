import { useQuery } from '@tanstack/react-query';
import { api, data, everything, page, type Schema } from './client';
import { learnServerTimeAfter } from './clock';
import { key } from './queries';
import type { paths } from './schema';

export type Offer = Schema['Offer'];
export type OfferQuery = NonNullable<paths['/api/v1/inventory/offers']['get']['parameters']['query']>;

/** Price and stock are looked at again this often, as long as the page is in sight. */
export const livePrices = 15_000;

export function offersPage(query: OfferQuery) {
  return {
    queryKey: [...key.offers, 'page', query],
    queryFn: async () => {
      const found = await page(api.GET('/api/v1/inventory/offers', { params: { query } }));
      for (const offer of found.rows) learnServerTimeAfter(offer.asOf);
      return found;
    },
    refetchInterval: livePrices,
  };
}

export function useOffer(offerId: string) {
  return useQuery({
    queryKey: [...key.offers, 'one', offerId],
    queryFn: () => data(api.GET('/api/v1/inventory/offers/{offerId}', { params: { path: { offerId } } })),
    refetchInterval: livePrices,
    enabled: offerId !== '',
  });
}

export function usePriceHistory(offerId: string) {
  return useQuery({
    queryKey: [...key.offers, 'history', offerId],
    queryFn: () => data(api.GET('/api/v1/inventory/offers/{offerId}/price-history', { params: { path: { offerId } } })),
    staleTime: 60_000,
  });
}

export type ProviderHealth = Schema['ProviderFacet'];

/** Every provider, and whether it answers. */
export function useProviders(enabled = true) {
  return useQuery({
    queryKey: key.providers,
    queryFn: () =>
      everything((n) => api.GET('/api/v1/inventory/providers', { params: { query: { page: n, limit: 100 } } })),
    refetchInterval: livePrices,
    enabled,
  });
}

export function useFacets() {
  return useQuery({
    queryKey: key.facets,
    queryFn: async () => {
      const [gpuTypes, regions] = await Promise.all([
        everything((n) => api.GET('/api/v1/inventory/gpu-types', { params: { query: { page: n, limit: 100 } } })),
        everything((n) => api.GET('/api/v1/inventory/regions', { params: { query: { page: n, limit: 100 } } })),
      ]);
      return { gpuTypes, regions };
    },
    staleTime: 60_000,
  });
}

/** A region's name in words, where it is known. */
export function useRegionName(): (slug: string) => string {
  const regions = useFacets().data?.regions;
  return (slug) => regions?.find((r) => r.slug === slug)?.name ?? slug;
}
