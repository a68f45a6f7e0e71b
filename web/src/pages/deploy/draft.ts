// What has been typed into the deploy form, kept for as long as the tab lives: an ended session, a reload or a way
// back to the offers must not cost anybody their cloud-init.

import { useCallback, useState } from 'react';

export interface Draft {
  name: string;
  operatingSystem: string;
  sshKeyIds: string[];
  volumeIds: string[];
  cloudInit: string;
  tags: string[];
  /** Hours after which it ends by itself, or a local date and time ("2026-11-23T20:00"), or "" for never. */
  end: string;
}

const storage = (offerId: string) => `billet-deploy-${offerId}`;

function load(offerId: string): Partial<Draft> {
  try {
    return JSON.parse(sessionStorage.getItem(storage(offerId)) ?? '{}') as Partial<Draft>;
  } catch {
    return {};
  }
}

export function useDraft(offerId: string, first: Draft) {
  const [draft, setDraft] = useState<Draft>(() => ({ ...first, ...load(offerId) }));
  const change = useCallback(
    (part: Partial<Draft>) =>
      setDraft((old) => {
        const next = { ...old, ...part };
        try {
          sessionStorage.setItem(storage(offerId), JSON.stringify(next));
        } catch {
          // Without storage the draft lives as long as the page does.
        }
        return next;
      }),
    [offerId],
  );
  const forget = useCallback(() => sessionStorage.removeItem(storage(offerId)), [offerId]);
  return { draft, change, forget };
}
