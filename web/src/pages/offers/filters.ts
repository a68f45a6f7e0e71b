// The filters of the offers are in the URL, so that a search can be kept and shared.

import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';
import type { Offer, OfferQuery } from '../../api/offers';

const names = [
  'search',
  'provider',
  'gpuType',
  'region',
  'instanceType',
  'gpuCount',
  'maxHourlyPrice',
  'available',
  'sort',
] as const;
type Name = (typeof names)[number];

/** Clears every filter but the sort. */
export const noFilters = Object.fromEntries(names.filter((n) => n !== 'sort').map((n) => [n, null]));

export type Filters = Partial<Record<Name, string>>;

export const compareMost = 4;

export function useFilters() {
  const [params, setParams] = useSearchParams();
  const filters = useMemo(() => {
    const found: Filters = {};
    for (const name of names) {
      const value = params.get(name);
      if (value) found[name] = value;
    }
    return found;
  }, [params]);
  const compare = useMemo(() => (params.get('compare') ?? '').split(',').filter(Boolean), [params]);

  const set = useCallback(
    (changes: Partial<Record<Name | 'compare', string | null>>) =>
      setParams(
        (old) => {
          const next = new URLSearchParams(old);
          for (const [name, value] of Object.entries(changes)) {
            if (value) next.set(name, value);
            else next.delete(name);
          }
          return next;
        },
        // Back leaves the page rather than undoing one letter of the search.
        { replace: true },
      ),
    [setParams],
  );
  const toggle = useCallback(
    (id: string) => {
      const next = compare.includes(id) ? compare.filter((c) => c !== id) : [...compare, id];
      if (next.length <= compareMost) set({ compare: next.join(',') });
    },
    [compare, set],
  );
  return { filters, compare, set, toggle };
}

/** Every instance type and its label. A missing or unknown one fails the type check. */
export const typeNames: Record<Offer['instanceType'], string> = {
  BARE_METAL: 'Bare metal',
  VM: 'VM',
  SPOT: 'Spot',
  CLUSTER: 'Cluster',
};
const instanceTypes = Object.keys(typeNames) as Offer['instanceType'][];

/** The API's query. Invalid values in the URL are ignored. */
export function queryOf(f: Filters): OfferQuery {
  const count = Number(f.gpuCount);
  const most = Number(f.maxHourlyPrice);
  return {
    search: f.search,
    provider: f.provider,
    gpuType: f.gpuType,
    region: f.region,
    instanceType: instanceTypes.find((t) => t === f.instanceType),
    gpuCount: Number.isInteger(count) && count > 0 ? count : undefined,
    maxHourlyPrice: most > 0 ? most : undefined,
    // Sold-out offers are shown on request only.
    available: f.available === 'all' ? undefined : true,
    // The server names the keys that exist, if a link has another.
    sort: f.sort?.split(',') as OfferQuery['sort'],
  };
}
