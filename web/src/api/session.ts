import { useQuery } from '@tanstack/react-query';
import { api, data } from './client';
import type { Me } from './coming';
import { asApiError } from './error';
import { key, queryClient, startOver } from './queries';

/** Who is signed in; null for nobody. */
export function useMe() {
  return useQuery({
    queryKey: key.me,
    queryFn: async (): Promise<Me | null> => {
      try {
        return await data(api.GET('/api/v1/account/me'));
      } catch (thrown) {
        if (asApiError(thrown).status === 401) return null;
        throw thrown;
      }
    },
    staleTime: 60_000,
  });
}

/** What the signed-in person may do here; offering less than the server allows is an annoyance, never a danger. */
export function useCan(): (scope: string) => boolean {
  const me = useMe().data;
  return (scope) => !!me && (me.scopes === undefined || me.scopes.includes(scope));
}

export async function signIn(body: { email: string; password: string; code?: string }) {
  await data(api.POST('/api/v1/account/sessions', { body }));
  await startOver();
}

export async function signOut() {
  await data(api.DELETE('/api/v1/account/sessions'));
  queryClient.setQueryData(key.me, null);
  // The pages unmount first; then nothing of them is asked again.
  setTimeout(() => queryClient.removeQueries({ type: 'inactive' }));
}
