// What an operator sets while the server runs. All groups are one resource with one version.

import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { call, read, type Schema } from './client';
import { ApiError } from './error';
import { fieldErrors } from './hooks';
import { queryClient } from './queries';

export const settingsPath = '/api/v1/operator/settings';

export type Change = Schema['SettingsChange'];
export type Group = keyof Change;
type GroupChange<G extends Group> = NonNullable<Change[G]>;

const query = { queryKey: [settingsPath], queryFn: () => read(settingsPath) };

export function useSettings() {
  return useQuery(query);
}

const conflict = () =>
  new ApiError(
    412,
    'PRECONDITION_FAILED',
    'Another operator has changed these settings since you began. Load the current values, then repeat your change.',
  );

/**
 * Saves the change of a group as it was read before. A change of another group in the meantime
 * does no harm; one of this group is refused.
 */
async function save<G extends Group>(group: G, change: GroupChange<G>, before: string) {
  let now = await queryClient.ensureQueryData(query);
  for (let first = true; ; first = false) {
    if (JSON.stringify(now.value[group]) !== before) throw conflict();
    try {
      const params = { header: { 'If-Match': now.etag } };
      return await call('patch', settingsPath, { params, body: { [group]: change } });
    } catch (thrown) {
      if (!first || !(thrown instanceof ApiError) || thrown.code !== 'PRECONDITION_FAILED') throw thrown;
      now = await queryClient.fetchQuery({ ...query, staleTime: 0 });
    }
  }
}

/** Hears whether a form has changes that are not saved. */
export type Track = (form: string, unsaved: boolean) => void;

/** The fields of a group that a form edits, over what is stored. */
export function useSettingsGroup<G extends Group>(group: G, track: Track) {
  const settings = useSettings().data?.value;
  const stored = settings?.[group] as Record<string, unknown> | undefined;
  const [draft, setDraft] = useState<Record<string, unknown>>({});
  // The group as it was when the draft began.
  const before = useRef('');
  const changed = Object.fromEntries(
    Object.entries(draft).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(stored?.[name])),
  );
  const unsaved = Object.keys(changed).length > 0;
  useEffect(() => {
    track(group, unsaved);
    return () => track(group, false);
  }, [track, group, unsaved]);
  const mutation = useMutation({
    mutationFn: () => save(group, changed as GroupChange<G>, before.current),
    onSuccess: async () => {
      await queryClient.fetchQuery({ ...query, staleTime: 0 });
      setDraft({});
    },
  });
  const errors = fieldErrors(mutation.error);
  return {
    /** Undefined until the settings are read. */
    ready: stored !== undefined,
    get: (name: string) => (name in draft ? draft[name] : stored?.[name]),
    set: (name: string, value: unknown) => {
      if (!unsaved) before.current = JSON.stringify(stored);
      setDraft((old) => ({ ...old, [name]: value }));
    },
    unsaved,
    save: mutation,
    /** The message for a field of the group. */
    error: (name: string) => errors.at(`${group}.${name}`),
    /** What is about no field. */
    general: errors.general,
    conflict: mutation.error instanceof ApiError && mutation.error.code === 'PRECONDITION_FAILED',
    /** Forgets what was typed, and reads the current values. */
    reload: async () => {
      setDraft({});
      mutation.reset();
      await queryClient.fetchQuery({ ...query, staleTime: 0 });
    },
  };
}

export type SettingsGroup = ReturnType<typeof useSettingsGroup>;
