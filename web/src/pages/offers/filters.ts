// The filters of the offers live in the address, so that a search can be kept, shared, and gone back to.

import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';
import type { OfferQuery } from '../../api/offers';

type Name =
  | 'search'
  | 'provider'
  | 'gpuType'
  | 'region'
  | 'instanceType'
  | 'gpuCount'
  | 'maxHourlyPrice'
  | 'available'
  | 'sort';
const names: Name[] = [
  'search',
  'provider',
  'gpuType',
  'region',
  'instanceType',
  'gpuCount',
  'maxHourlyPrice',
  'available',
  'sort',
];

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
        // Going back leaves the page rather than undoing one letter of the search.
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

const instanceTypes = ['BARE_METAL', 'VM', 'SPOT', 'CLUSTER'] as const;

/** As the API wants it; what somebody mistyped in the address is left out instead of failing the page. */
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
    // What cannot be had is shown only on demand.
    available: f.available === 'all' ? undefined : true,
    sort: f.sort,
  };
}

export const typeNames: Record<string, string> = {
  BARE_METAL: 'Bare metal',
  VM: 'Virtual',
  SPOT: 'Spot',
  CLUSTER: 'Cluster',
};
