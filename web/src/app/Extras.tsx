import { lazy, Suspense, useEffect, useState } from 'react';
import { useConfirmRequest } from '../parts/confirm';
import { onFirstToast } from '../parts/toast';
import { Shortcuts } from './Shortcuts';

// Dialogs and messages load when the first one opens.
const ConfirmDialog = lazy(() => import('../parts/ConfirmDialog'));
const Messages = lazy(() => import('./Messages'));

/** Messages, keyboard shortcuts and the confirm dialog, of every page. */
export function Extras() {
  const [messages, setMessages] = useState(false);
  const asking = useConfirmRequest() !== null;
  useEffect(() => onFirstToast(() => setMessages(true)), []);
  return (
    <Suspense fallback={null}>
      {messages && <Messages />}
      <Shortcuts />
      {asking && <ConfirmDialog />}
    </Suspense>
  );
}
