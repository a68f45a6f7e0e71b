// Asks before an action. Any component can ask; the one dialog is shown by ConfirmDialog.

import { type ReactNode, useCallback, useEffect, useRef, useSyncExternalStore } from 'react';

export interface ConfirmRequest {
  title: string;
  /** What the action does. It may hold form fields, whose values `run` receives. */
  body: ReactNode;
  /** The label of the button: the action, not "OK". */
  action: string;
  danger?: boolean;
  /** Text to type first, for what cannot be undone. */
  typed?: string;
  /** The action. The dialog closes when it succeeds, and shows the error when it fails. */
  run: (form: FormData) => unknown;
}

let current: ConfirmRequest | null = null;
const listeners = new Set<() => void>();

function show(next: ConfirmRequest | null) {
  current = next;
  for (const notify of listeners) notify();
}

/** Opens the dialog. Without a component, such as for a navigation; else useConfirm. */
export function confirm(request: ConfirmRequest) {
  show(request);
}

/** Closes the dialog if it shows this request. */
export function dismiss(request: ConfirmRequest | null) {
  if (request && current === request) show(null);
}

/** Returns a function that opens the dialog. The dialog closes when the component goes away. */
export function useConfirm(): (request: ConfirmRequest) => void {
  const last = useRef<ConfirmRequest | null>(null);
  useEffect(() => () => dismiss(last.current), []);
  return useCallback((request) => {
    last.current = request;
    confirm(request);
  }, []);
}

export function useConfirmRequest(): ConfirmRequest | null {
  return useSyncExternalStore(
    (notify) => {
      listeners.add(notify);
      return () => listeners.delete(notify);
    },
    () => current,
  );
}
