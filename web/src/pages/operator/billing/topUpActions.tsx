import { useState } from 'react';
import type { OperatorTopUp } from '../../../api/operator';
import type { RowAction } from '../../../parts/RowMenu';
import { CloseTopUpDialog } from './CloseTopUpDialog';
import { ConfirmTransferDialog } from './ConfirmTransferDialog';
import { RefundDialog } from './RefundDialog';

export function canConfirm(t: OperatorTopUp): boolean {
  return t.processor === 'transfer' && t.received === 0 && t.reference !== '';
}

export function canRefund(t: OperatorTopUp): boolean {
  return t.received > t.refunded && t.status !== 'disputed';
}

/** Reports whether its money was paid and is not credited. */
export function canClose(t: OperatorTopUp): boolean {
  return t.problem !== '' && t.received === 0;
}

type Open = { of: OperatorTopUp; what: 'confirm' | 'refund' | 'close' } | null;

/** What can be done with a top-up, and the dialog that does it. */
export function useTopUpActions() {
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  return {
    actions: (t: OperatorTopUp): RowAction[] => [
      ...(canConfirm(t) ? [{ text: 'Confirm transfer', run: () => setOpen({ of: t, what: 'confirm' }) }] : []),
      ...(canRefund(t) ? [{ text: 'Refund', danger: true, run: () => setOpen({ of: t, what: 'refund' }) }] : []),
      ...(canClose(t) ? [{ text: 'Close', danger: true, run: () => setOpen({ of: t, what: 'close' }) }] : []),
    ],
    dialog: open && (
      <>
        {open.what === 'confirm' && <ConfirmTransferDialog of={open.of} onClose={close} />}
        {open.what === 'close' && <CloseTopUpDialog of={open.of} onClose={close} />}
        {open.what === 'refund' && <RefundDialog of={open.of} onClose={close} />}
      </>
    ),
  };
}
