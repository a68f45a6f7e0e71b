import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, everything, type Schema } from './client';
import { key, queryClient } from './queries';

export type SSHKey = Schema['SSHKey'];

const changed = () => queryClient.invalidateQueries({ queryKey: key.sshKeys });
const path = '/api/v1/inventory/ssh-keys/{id}';

export function useSshKeys() {
  return useQuery({
    queryKey: key.sshKeys,
    queryFn: () =>
      everything((n) => api.GET('/api/v1/inventory/ssh-keys', { params: { query: { page: n, limit: 100 } } })),
  });
}

export function useAddSshKey() {
  return useMutation({
    mutationFn: (body: Schema['CreateSSHKey']) => data(api.POST('/api/v1/inventory/ssh-keys', { body })),
    onSuccess: changed,
  });
}

export function useRenameSshKey() {
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) =>
      data(api.PATCH(path, { params: { path: { id } }, body: { name } })),
    onSuccess: changed,
  });
}

export function useDeleteSshKey() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE(path, { params: { path: { id } } })),
    onSuccess: changed,
  });
}
