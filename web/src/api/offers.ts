import { useQuery } from '@tanstack/react-query';
import type { Query, Schema } from './client';
import { learnServerTimeAfter } from './clock';
import { getQuery, pageQuery, useAll } from './hooks';

export type Offer = Schema['Offer'];
export type OfferQuery = Query<'/api/v1/inventory/offers'>;
export type ProviderHealth = Schema['ProviderFacet'];

/** How often price and stock are read again while the page is in view. */
export const priceInterval = 15_000;

export function offersPage(query: OfferQuery) {
  const { queryKey, queryFn } = pageQuery('/api/v1/inventory/offers', { params: { query } });
  return {
    queryKey,
    queryFn: async () => {
      const answer = await queryFn();
      for (const offer of answer.rows) learnServerTimeAfter(offer.asOf);
      return answer;
    },
    refetchInterval: priceInterval,
  };
}

export function offerQuery(offerId: string) {
  const query = getQuery('/api/v1/inventory/offers/{offerId}', { params: { path: { offerId } } });
  return { ...query, refetchInterval: priceInterval, enabled: offerId !== '' };
}

export function useOffer(offerId: string) {
  return useQuery(offerQuery(offerId));
}

/** Every provider, and whether it responds. */
export function useProviders(enabled = true) {
  return useAll('/api/v1/inventory/providers', {}, { refetchInterval: priceInterval, enabled });
}

export function useRegions() {
  return useAll('/api/v1/inventory/regions', {}, { staleTime: 60_000 });
}

/** A region's display name where it is known, else its slug. */
export function useRegionName(): (slug: string) => string {
  const regions = useRegions().data;
  return (slug) => regions?.find((r) => r.slug === slug)?.name ?? slug;
}
