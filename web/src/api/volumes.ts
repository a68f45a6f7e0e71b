import type { Schema } from './client';
import { useLive } from './events';
import { useAll } from './hooks';

export type Volume = Schema['Volume'];

export const volumesPath = '/api/v1/inventory/volumes';
export const volumePath = '/api/v1/inventory/volumes/{id}';

function isChanging(v: Volume): boolean {
  return ['creating', 'attaching', 'detaching', 'deleting'].includes(v.status) || v.growingToGb !== null;
}

export function useVolumes(enabled = true) {
  const live = useLive();
  return useAll(
    volumesPath,
    {},
    {
      enabled,
      refetchInterval: ({ state }) => (live ? 60_000 : state.data?.some(isChanging) ? 2_000 : 15_000),
    },
  );
}
