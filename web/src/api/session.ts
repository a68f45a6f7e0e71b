import { useQuery } from '@tanstack/react-query';
import { api, data, type Schema } from './client';
import { asApiError } from './error';
import { closeEvents } from './events';
import { key, queryClient, startOver } from './queries';

export type Me = Schema['SignedInUser'];
export type Role = Me['role'];
export type Scope = Me['scopes'][number];

let left = false;

/** Keeps for boot.js whether somebody is signed in: without a session it asks for nothing. */
function remember(signedIn: boolean) {
  try {
    if (signedIn) localStorage.setItem('billet-signed-in', '1');
    else localStorage.removeItem('billet-signed-in');
  } catch {
    // Storage may be forbidden; then nothing is asked for early.
  }
}

/** Who is signed in; null for nobody. */
export function useMe() {
  return useQuery({
    queryKey: key.me,
    queryFn: async (): Promise<Me | null> => {
      try {
        const me = await data(api.GET('/api/v1/account/me'));
        left = false;
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

/** What the signed-in user may do here. The server decides; this only keeps from offering what it would refuse. */
export function useCan(): (scope: Scope) => boolean {
  const me = useMe().data;
  return (scope) => !!me?.scopes.includes(scope);
}

/** Which ways in the server has. */
export function useSignInOptions() {
  return useQuery({
    queryKey: key.signIn,
    queryFn: () => data(api.GET('/api/v1/account/sign-in')),
    staleTime: 300_000,
  });
}

export async function signIn(body: Schema['PasswordSignIn']) {
  await data(api.POST('/api/v1/account/sessions', { body }));
  await startOver();
}

/** Whether nobody is signed in because somebody signed out: then nobody wants to come back to where that was. */
export function leftOnPurpose(): boolean {
  return left;
}

export async function signOut() {
  closeEvents();
  await data(api.DELETE('/api/v1/account/sessions'));
  left = true;
  remember(false);
  queryClient.setQueryData(key.me, null);
  // The pages unmount first; then nothing of them is asked again.
  setTimeout(() => queryClient.removeQueries({ type: 'inactive' }));
}
