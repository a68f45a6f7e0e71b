// People, invitations, second factors, sessions and the audit log of the account.

import { useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query';
import { send } from './client';
import type { AuditEntry, Invitation, Me, Member, Passkey, PersonSession, Role, SignInWays } from './coming';
import { asApiError } from './error';
import { key, queryClient, startOver } from './queries';

const base = '/api/v1/account';
const again = (...keys: (readonly string[])[]) => {
  for (const queryKey of keys) void queryClient.invalidateQueries({ queryKey });
};
const rows = async <T>(path: string) => (await send<T[]>('GET', `${base}${path}?limit=100`)).data;
const call = async <T>(method: string, path: string, body?: unknown) => (await send<T>(method, base + path, body)).data;

/** Which ways in the server has. A server without this call has the password only. */
export function useSignInWays() {
  return useQuery({
    queryKey: key.signIn,
    queryFn: async (): Promise<SignInWays> => {
      try {
        return await call<SignInWays>('GET', '/sign-in');
      } catch (thrown) {
        if (asApiError(thrown).status === 404) return { password: true, passkeys: false, oidc: null, demo: null };
        throw thrown;
      }
    },
    staleTime: 300_000,
  });
}

export function useSwitchAccount() {
  return useMutation({
    mutationFn: (accountId: string) => call<Me>('PUT', '/me/account', { accountId }),
    onSuccess: startOver,
  });
}

export function usePeople() {
  return useQuery({ queryKey: key.people, queryFn: () => rows<Member>('/people') });
}

export function useInvitations(enabled: boolean) {
  return useQuery({ queryKey: key.invitations, queryFn: () => rows<Invitation>('/invitations'), enabled });
}

export function useChangeRole() {
  return useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) => call<Member>('PATCH', `/people/${id}`, { role }),
    onSuccess: () => again(key.people, key.me),
  });
}

export function useRemovePerson() {
  return useMutation({
    mutationFn: (id: string) => call('DELETE', `/people/${id}`),
    onSuccess: () => again(key.people, key.apiKeys),
  });
}

export function useInvite() {
  return useMutation({
    mutationFn: (body: { role: Role; email?: string }) =>
      call<Invitation & { url: string }>('POST', '/invitations', body),
    onSuccess: () => again(key.invitations),
  });
}

export function useRevokeInvitation() {
  return useMutation({
    mutationFn: (id: string) => call('DELETE', `/invitations/${id}`),
    onSuccess: () => again(key.invitations),
  });
}

export interface InvitationLook {
  accountName: string;
  role: Role;
  email: string | null;
  invitedBy: string;
}

export function useInvitation(token: string) {
  return useQuery({
    queryKey: ['invitation', token],
    queryFn: () => call<InvitationLook>('POST', '/invitations/look', { token }),
    enabled: token !== '',
    retry: false,
  });
}

export function useAcceptInvitation() {
  return useMutation({
    mutationFn: (body: { token: string; email?: string; name?: string; password?: string }) =>
      call('POST', '/invitations/accept', body),
    onSuccess: startOver,
  });
}

export function useRename() {
  return useMutation({
    mutationFn: (name: string) => call<Me>('PATCH', '/me', { name }),
    onSuccess: () => again(key.me, key.people),
  });
}

export function useChangePassword() {
  return useMutation({
    mutationFn: (body: { currentPassword: string; newPassword: string }) => call('PUT', '/me/password', body),
    onSuccess: () => again(key.sessions),
  });
}

export function useStartTotp() {
  return useMutation({ mutationFn: () => call<{ secret: string; otpauthUrl: string }>('POST', '/me/totp', {}) });
}

export function useConfirmTotp() {
  return useMutation({
    mutationFn: (code: string) => call<{ recoveryCodes: string[] }>('POST', '/me/totp/confirm', { code }),
    onSuccess: () => again(key.me),
  });
}

export function useRemoveTotp() {
  return useMutation({
    mutationFn: (password: string) => call('DELETE', '/me/totp', { password }),
    onSuccess: () => again(key.me),
  });
}

export function usePasskeys() {
  return useQuery({ queryKey: key.passkeys, queryFn: () => rows<Passkey>('/me/passkeys') });
}

export function useRenamePasskey() {
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) => call('PATCH', `/me/passkeys/${id}`, { name }),
    onSuccess: () => again(key.passkeys),
  });
}

export function useRemovePasskey() {
  return useMutation({
    mutationFn: (id: string) => call('DELETE', `/me/passkeys/${id}`),
    onSuccess: () => again(key.passkeys, key.me),
  });
}

export function useSessions() {
  return useQuery({ queryKey: key.sessions, queryFn: () => rows<PersonSession>('/sessions') });
}

/** Ends one session, or with "others" all but this one. */
export function useEndSession() {
  return useMutation({
    mutationFn: (id: string) => call('DELETE', `/sessions/${id}`),
    onSuccess: () => again(key.sessions),
  });
}

export interface AuditFilter {
  actor?: string;
  action?: string;
  subject?: string;
  from?: string;
  to?: string;
}

export function useAudit(filter: AuditFilter) {
  return useInfiniteQuery({
    queryKey: [...key.audit, filter],
    initialPageParam: 1,
    queryFn: async ({ pageParam }) => {
      const query = new URLSearchParams({ page: String(pageParam), limit: '50' });
      for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
      return send<AuditEntry[]>('GET', `${base}/audit?${query}`);
    },
    getNextPageParam: ({ pagination: p }) => (p && p.page < p.totalPages ? p.page + 1 : undefined),
  });
}
