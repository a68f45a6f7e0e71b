import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, everything, type Schema } from './client';
import { key, queryClient } from './queries';

export type APIKey = Schema['APIKey'];
export type NewAPIKey = Schema['NewAPIKey'];
export type Scope = NonNullable<Schema['CreateAPIKey']['scopes']>[number];

const changed = () => queryClient.invalidateQueries({ queryKey: key.apiKeys });
const path = '/api/v1/account/api-keys/{id}';

export function useApiKeys() {
  return useQuery({
    queryKey: key.apiKeys,
    queryFn: () =>
      everything((n) => api.GET('/api/v1/account/api-keys', { params: { query: { page: n, limit: 100 } } })),
    refetchInterval: 60_000,
  });
}

export function useCreateApiKey() {
  return useMutation({
    mutationFn: (body: Schema['CreateAPIKey']) => data(api.POST('/api/v1/account/api-keys', { body })),
    onSuccess: changed,
  });
}

export function useUpdateApiKey(id: string) {
  return useMutation({
    mutationFn: (body: Schema['UpdateAPIKey']) => data(api.PATCH(path, { params: { path: { id } }, body })),
    onSuccess: changed,
  });
}

export function useRevokeApiKey() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE(path, { params: { path: { id } } })),
    onSuccess: changed,
  });
}
