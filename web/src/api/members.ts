// People, invitations, second factors, sessions and the audit log of the account.

import { useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query';
import { api, data, everything, page, type Schema } from './client';
import { key, queryClient, startOver } from './queries';
import type { paths } from './schema';
import type { Role } from './session';

export type Member = Schema['Member'];
export type Invitation = Schema['Invitation'];
export type Passkey = Schema['Passkey'];
export type SessionInfo = Schema['SessionInfo'];
export type AuditEntry = Schema['AuditEntry'];
export type AuditFilter = NonNullable<paths['/api/v1/account/audit']['get']['parameters']['query']>;

const all = (n: number) => ({ params: { query: { page: n, limit: 100 } } });
const again = (...keys: (readonly string[])[]) => {
  for (const queryKey of keys) void queryClient.invalidateQueries({ queryKey });
};

export function useSwitchAccount() {
  return useMutation({
    mutationFn: (accountId: string) => data(api.PUT('/api/v1/account/me/account', { body: { accountId } })),
    // Nothing of the account before may be shown in this one.
    onSuccess: startOver,
  });
}

export function usePeople() {
  return useQuery({
    queryKey: key.people,
    queryFn: () => everything((n) => api.GET('/api/v1/account/members', all(n))),
  });
}

export function useChangeRole() {
  return useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) =>
      data(api.PATCH('/api/v1/account/members/{id}', { params: { path: { id } }, body: { role } })),
    onSuccess: () => again(key.people, key.me),
  });
}

export function useRemoveUser() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE('/api/v1/account/members/{id}', { params: { path: { id } } })),
    onSuccess: () => again(key.people, key.apiKeys),
  });
}

export function useInvitations(enabled: boolean) {
  return useQuery({
    queryKey: key.invitations,
    queryFn: () => everything((n) => api.GET('/api/v1/account/invitations', all(n))),
    enabled,
  });
}

export function useInvite() {
  return useMutation({
    mutationFn: (body: Schema['CreateInvitation']) => data(api.POST('/api/v1/account/invitations', { body })),
    onSuccess: () => again(key.invitations),
  });
}

export function useRevokeInvitation() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE('/api/v1/account/invitations/{id}', { params: { path: { id } } })),
    onSuccess: () => again(key.invitations),
  });
}

export function useInvitation(token: string) {
  return useQuery({
    queryKey: [...key.invitation, token],
    queryFn: () => data(api.POST('/api/v1/account/invitations/preview', { body: { token } })),
    enabled: token !== '',
    retry: false,
  });
}

export function useAcceptInvitation() {
  return useMutation({
    mutationFn: (body: Schema['AcceptInvitation']) => data(api.POST('/api/v1/account/invitations/accept', { body })),
    onSuccess: startOver,
  });
}

export function useRename() {
  return useMutation({
    mutationFn: (name: string) => data(api.PATCH('/api/v1/account/me', { body: { name } })),
    onSuccess: () => again(key.me, key.people),
  });
}

export function useChangePassword() {
  return useMutation({
    mutationFn: (body: Schema['ChangePassword']) => data(api.PUT('/api/v1/account/me/password', { body })),
    onSuccess: () => again(key.sessions),
  });
}

export function useStartTotp() {
  return useMutation({ mutationFn: () => data(api.POST('/api/v1/account/me/totp', { body: {} })) });
}

export function useConfirmTotp() {
  return useMutation({
    mutationFn: (code: string) => data(api.POST('/api/v1/account/me/totp/confirm', { body: { code } })),
    onSuccess: () => again(key.me),
  });
}

export function useRemoveTotp() {
  return useMutation({
    mutationFn: (password: string) => data(api.DELETE('/api/v1/account/me/totp', { body: { password } })),
    onSuccess: () => again(key.me),
  });
}

export function usePasskeys() {
  return useQuery({
    queryKey: key.passkeys,
    queryFn: () => everything((n) => api.GET('/api/v1/account/me/passkeys', all(n))),
  });
}

export function useRenamePasskey() {
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) =>
      data(api.PATCH('/api/v1/account/me/passkeys/{id}', { params: { path: { id } }, body: { name } })),
    onSuccess: () => again(key.passkeys),
  });
}

export function useRemovePasskey() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE('/api/v1/account/me/passkeys/{id}', { params: { path: { id } } })),
    onSuccess: () => again(key.passkeys, key.me),
  });
}

export function useSessions() {
  return useQuery({
    queryKey: key.sessions,
    queryFn: () => everything((n) => api.GET('/api/v1/account/sessions', all(n))),
  });
}

export function useEndSession() {
  return useMutation({
    mutationFn: (id: string) => data(api.DELETE('/api/v1/account/sessions/{id}', { params: { path: { id } } })),
    onSuccess: () => again(key.sessions),
  });
}

export function useEndOtherSessions() {
  return useMutation({
    mutationFn: () => data(api.DELETE('/api/v1/account/sessions/others')),
    onSuccess: () => again(key.sessions),
  });
}

export function useAudit(filter: AuditFilter) {
  return useInfiniteQuery({
    queryKey: [...key.audit, filter],
    initialPageParam: 1,
    queryFn: ({ pageParam }) =>
      page(api.GET('/api/v1/account/audit', { params: { query: { ...filter, page: pageParam, limit: 50 } } })),
    getNextPageParam: ({ pagination: p }) => (p.page < p.totalPages ? p.page + 1 : undefined),
  });
}
