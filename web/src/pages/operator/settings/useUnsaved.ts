import { useCallback, useRef } from 'react';
import type { Track } from '../../../api/settings';
import { useLeaveGuard } from '../../../parts/leaveGuard';

/** Asks before the user leaves a page whose forms have changes that are not saved. */
export function useUnsaved(): Track {
  const forms = useRef(new Set<string>());
  useLeaveGuard({
    needed: () => forms.current.size > 0,
    title: 'Leave without saving?',
    body: 'Your changes to the settings are not saved.',
    action: 'Leave',
  });
  return useCallback((form, unsaved) => {
    if (unsaved) forms.current.add(form);
    else forms.current.delete(form);
  }, []);
}
