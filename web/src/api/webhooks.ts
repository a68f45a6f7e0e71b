import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, everything, page, type Schema } from './client';
import { key, queryClient } from './queries';

export type Webhook = Schema['Webhook'];
export type NewWebhook = Schema['NewWebhook'];
export type Delivery = Schema['WebhookDelivery'];

const changed = () => queryClient.invalidateQueries({ queryKey: key.webhooks });
const sent = () => queryClient.invalidateQueries({ queryKey: key.deliveries });
const root = '/api/v1/inventory/webhooks';
const path = '/api/v1/inventory/webhooks/{id}';

export function useWebhooks() {
  return useQuery({
    queryKey: key.webhooks,
    queryFn: () => everything((n) => api.GET(root, { params: { query: { page: n, limit: 100 } } })),
    refetchInterval: 15_000,
  });
}

export function useCreateWebhook() {
  return useMutation({
    mutationFn: (body: Schema['CreateWebhook']) => data(api.POST(root, { body })),
    onSuccess: changed,
  });
}

export function useUpdateWebhook() {
  return useMutation({
    mutationFn: ({ id, ...body }: Schema['UpdateWebhook'] & { id: string }) =>
      data(api.PATCH(path, { params: { path: { id } }, body })),
    onSuccess: changed,
  });
}

export function useDeleteWebhook() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE(path, { params: { path: { id } } })),
    onSuccess: changed,
  });
}

export function useRotateSecret() {
  return useMutation({
    mutationFn: (id: string) =>
      data(api.POST('/api/v1/inventory/webhooks/{id}/rotate-secret', { params: { path: { id } } })),
    onSuccess: changed,
  });
}

export function useTestWebhook() {
  return useMutation({
    mutationFn: (id: string) => data(api.POST('/api/v1/inventory/webhooks/{id}/test', { params: { path: { id } } })),
    onSuccess: sent,
  });
}

/** One page of what was sent, newest first; asked for often, since who looks waits for an answer. */
export function useDeliveries(id: string, n: number) {
  return useQuery({
    queryKey: [...key.deliveries, id, n],
    queryFn: () =>
      page(
        api.GET('/api/v1/inventory/webhooks/{id}/deliveries', {
          params: { path: { id }, query: { page: n, limit: 20 } },
        }),
      ),
    refetchInterval: 3000,
  });
}

export function useReplay(id: string) {
  return useMutation({
    mutationFn: (deliveryId: string) =>
      data(
        api.POST('/api/v1/inventory/webhooks/{id}/deliveries/{deliveryId}/replay', {
          params: { path: { id, deliveryId } },
        }),
      ),
    onSuccess: sent,
  });
}
