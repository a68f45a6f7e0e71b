import type { MouseEvent } from 'react';
import { type NavigateFunction, useNavigate } from 'react-router';

/**
 * Makes a whole row open a page, as its link does: a middle click, or one with Ctrl or Cmd, opens
 * it in a new tab. The row has a real link too, for the keyboard and for screen readers.
 */
export function useRowLink() {
  const navigate = useNavigate();
  return (to: string | null | undefined) =>
    to
      ? {
          'data-href': true,
          onClick: (e: MouseEvent) => open(e, to, navigate),
          onAuxClick: (e: MouseEvent) => open(e, to, navigate),
        }
      : {};
}

function open(e: MouseEvent, to: string, navigate: NavigateFunction) {
  if (!isOnRow(e) || e.button > 1) return;
  if (e.button === 1 || e.ctrlKey || e.metaKey) window.open(to, '_blank', 'noopener');
  else if (!e.shiftKey && !e.altKey) navigate(to);
}

/** Reports whether a click is on a row itself, and does not end a selection of text. */
function isOnRow(e: MouseEvent): boolean {
  const inside = (e.target as Element).closest('a, button, input, label, select, [role="menu"], [data-row="off"]');
  return !inside && !window.getSelection()?.toString();
}
