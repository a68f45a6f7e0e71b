import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, everything, type Schema } from './client';
import { deploymentsChanged } from './deployments';
import { useLive } from './events';
import { key } from './queries';

export type Volume = Schema['Volume'];
export type VolumePrice = Schema['VolumePrice'];

const path = '/api/v1/inventory/volumes/{id}';

export function volumeMoving(v: Volume): boolean {
  return ['creating', 'attaching', 'detaching', 'deleting'].includes(v.status) || v.growingToGb !== null;
}

export function useVolumes(enabled = true) {
  const live = useLive();
  return useQuery({
    queryKey: key.volumes,
    queryFn: () =>
      everything((n) => api.GET('/api/v1/inventory/volumes', { params: { query: { page: n, limit: 100 } } })),
    enabled,
    refetchInterval: (query) => (live ? 60_000 : query.state.data?.some(volumeMoving) ? 2_000 : 15_000),
  });
}

export function useVolumePricing() {
  return useQuery({
    queryKey: key.volumePricing,
    queryFn: () =>
      everything((n) => api.GET('/api/v1/inventory/volumes/pricing', { params: { query: { page: n, limit: 100 } } })),
    staleTime: 60_000,
  });
}

export function useCreateVolume() {
  return useMutation({
    mutationFn: ({ body, once }: { body: Schema['CreateVolume']; once: string }) =>
      data(api.POST('/api/v1/inventory/volumes', { body, params: { header: { 'Idempotency-Key': once } } })),
    onSuccess: deploymentsChanged,
  });
}

export function useUpdateVolume(id: string) {
  return useMutation({
    mutationFn: (body: Schema['UpdateVolume']) => data(api.PATCH(path, { params: { path: { id } }, body })),
    onSuccess: deploymentsChanged,
  });
}

export function useDeleteVolume() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE(path, { params: { path: { id } } })),
    onSuccess: deploymentsChanged,
  });
}

export function useAttach() {
  return useMutation({
    mutationFn: ({ id, deploymentId }: { id: string; deploymentId: string }) =>
      data(api.POST(`${path}/attach`, { params: { path: { id } }, body: { deploymentId } })),
    onSuccess: deploymentsChanged,
  });
}

export function useDetach() {
  return useMutation({
    mutationFn: (id: string) => data(api.POST(`${path}/detach`, { params: { path: { id } }, body: {} })),
    onSuccess: deploymentsChanged,
  });
}
