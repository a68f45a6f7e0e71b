// Programs that ask for an API key by a code.

import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, type Schema } from './client';
import { key, queryClient } from './queries';

export type WaitingLogin = Schema['WaitingLogin'];

/** What asks with that code. It is asked once: a code that leads nowhere counts as a guess, and one that was answered leads nowhere. */
export function useLogin(code: string) {
  return useQuery({
    queryKey: [...key.login, code],
    queryFn: () => data(api.POST('/api/v1/account/logins/look', { body: { userCode: code } })),
    enabled: code !== '',
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

export function useAllowLogin() {
  return useMutation({
    mutationFn: (body: Schema['AllowLogin']) => data(api.POST('/api/v1/account/logins/allow', { body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: key.apiKeys }),
  });
}

export function useDenyLogin() {
  return useMutation({
    mutationFn: (userCode: string) => data(api.POST('/api/v1/account/logins/deny', { body: { userCode } })),
  });
}
