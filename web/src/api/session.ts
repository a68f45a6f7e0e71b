import { useQuery } from '@tanstack/react-query';
import { call, type Schema } from './client';
import { asApiError } from './error';
import { closeEvents } from './events';
import { useGet } from './hooks';
import { mePath, queryClient, signInPath, startOver } from './queries';

export type Me = Schema['SignedInUser'];
export type Role = Me['role'];
export type Scope = Me['scopes'][number];

let signedOut = false;

/** Stores for boot.js whether there is a session: without one it requests nothing. */
function remember(signedIn: boolean) {
  try {
    if (signedIn) localStorage.setItem('billet-signed-in', '1');
    else localStorage.removeItem('billet-signed-in');
  } catch {
    // Storage may be blocked; then nothing is requested early.
  }
}

/** The signed-in user; null without a session. */
export function useMe() {
  return useQuery({
    queryKey: [mePath],
    queryFn: async (): Promise<Me | null> => {
      try {
        const me = await call('get', mePath);
        signedOut = false;
        remember(true);
        return me;
      } catch (thrown) {
        if (asApiError(thrown).status !== 401) throw thrown;
        remember(false);
        return null;
      }
    },
    staleTime: 60_000,
  });
}

/**
 * What the signed-in user may do. The server decides; pages use this to hide what it would refuse.
 */
export function useCan(): (scope: Scope) => boolean {
  const me = useMe().data;
  return (scope) => !!me?.scopes.includes(scope);
}

/** The sign-in methods of this server. */
export function useSignInMethods() {
  return useGet(signInPath, undefined, { staleTime: 300_000 });
}

export async function signIn(body: Schema['PasswordSignIn']) {
  await call('post', '/api/v1/account/sessions', { body });
  await startOver();
}

/** Reports whether the user signed out, so that sign-in does not return to the page before. */
export function signedOutOnPurpose(): boolean {
  return signedOut;
}

export async function signOut() {
  closeEvents();
  await call('delete', '/api/v1/account/sessions');
  signedOut = true;
  remember(false);
  queryClient.setQueryData([mePath], null);
  // The pages unmount first, so that none of their queries run again.
  setTimeout(() => queryClient.removeQueries({ type: 'inactive' }));
}

/** Lets this session read an account as a viewer of it. */
export async function startView(id: string, reason: string, minutes: number) {
  await call('post', '/api/v1/operator/accounts/{id}/view', { params: { path: { id } }, body: { reason, minutes } });
  await startOver();
}

/** Leaves the read-only view of an account. Its time may be over already. */
export async function endView() {
  try {
    await call('delete', '/api/v1/account/view');
  } catch (thrown) {
    if (asApiError(thrown).status !== 404) throw thrown;
  }
  await startOver();
}

/** Switches to another of the user's accounts. */
export async function switchAccount(accountId: string) {
  await call('put', '/api/v1/account/me/account', { body: { accountId } });
  // Nothing of the previous account may be shown in this one.
  await startOver();
}
