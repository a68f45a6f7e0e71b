// The input of the deploy form, kept for the life of the tab. It outlives an ended session, a
// reload and a visit to the offers.

import { useCallback, useState } from 'react';

export interface Draft {
  name: string;
  operatingSystem: string;
  /** The account's own image to install instead of the operating system; "" for none. */
  imageId: string;
  sshKeyIds: string[];
  volumeIds: string[];
  cloudInit: string;
  tags: string[];
  project: string;
  /**
   * Auto-terminate: hours from now, a local date and time ("2026-11-23T20:00"), or "" for never.
   */
  end: string;
  /** US dollars that it may cost; "" for any. */
  maxSpend: string;
  /** Minutes that it may run; "" for any. */
  maxRuntimeMinutes: string;
  /** The offers to try after the first, in order. */
  fallbackIds: string[];
  /** The quote that locks the price; "" for none. */
  quoteId: string;
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
          // Storage may be blocked; then the draft lives as long as the page.
        }
        return next;
      }),
    [offerId],
  );
  const forget = useCallback(() => sessionStorage.removeItem(storage(offerId)), [offerId]);
  return { draft, change, forget };
}
