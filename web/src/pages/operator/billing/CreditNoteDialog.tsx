import { ActionIcon, Button, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { InvoiceSummary } from '../../../api/billing';
import { fieldErrors, useAll, useSend } from '../../../api/hooks';
import { useIdempotencyKey } from '../../../api/idempotency';
import { allInvoicesPath, useAccountName } from '../../../api/operator';
import { FormDialog } from '../../../parts/FormDialog';
import { dollars, formatMoney, micro, minus, parseMoney, sum } from '../../../parts/money';
import { toast } from '../../../parts/toast';
import { amountHint } from '../CreateAccountDialog';
import { parseLines, sumOfLines, type TypedLine } from './creditLines';
import './operatorBilling.css';

/** Corrects an invoice by a credit note. */
export function CreditNoteDialog({ of: invoice, onClose }: { of: InvoiceSummary; onClose: () => void }) {
  const notes = useAll(allInvoicesPath, { corrects: invoice.id });
  const create = useSend('post', `${allInvoicesPath}/{id}/credit-note`);
  const keyFor = useIdempotencyKey();
  const accountName = useAccountName();
  const [kind, setKind] = useState<'lines' | 'rest'>('lines');
  const [lines, setLines] = useState<TypedLine[]>([{ id: 0, text: '', amount: '' }]);
  const [reason, setReason] = useState('');
  const left = notes.data && minus(micro(invoice.total), sum(...notes.data.map((n) => micro(n.total))));
  const parsed = parseLines(lines);
  const total = kind === 'rest' ? left : sumOfLines(lines);
  const tooMuch = total !== undefined && left !== undefined && total > left;
  const errors = fieldErrors(create.error);
  const change = (id: number, part: Partial<TypedLine>) =>
    setLines((old) => old.map((l) => (l.id === id ? { ...l, ...part } : l)));
  const submit = () => {
    const body = {
      reason: reason.trim(),
      ...(kind === 'lines' && { lines: parsed?.map((l) => ({ text: l.text, amount: dollars(l.amount) })) }),
    };
    const params = { path: { id: invoice.id }, header: { 'Idempotency-Key': keyFor(body, create.error) } };
    create.mutate(
      { params, body },
      {
        onSuccess: (note) => {
          toast(`Credit note ${note.number} issued`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={`Issue a credit note for ${invoice.number}`}
      submit={total ? `Issue credit note of ${formatMoney(total)}` : 'Issue credit note'}
      size="lg"
      disabled={!total || tooMuch || !reason.trim() || (kind === 'lines' && parsed === null)}
      busy={create.isPending}
      error={errors.general ?? notes.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <div>
        {accountName(invoice.accountId)}, {invoice.month}. The invoice has a total of{' '}
        {formatMoney(micro(invoice.total))}
        {left !== undefined && `, of which ${formatMoney(left)} can be credited`}. A credit note moves no money: add
        credit to the account to give it back.
      </div>
      <SegmentedControl
        aria-label="What is credited"
        value={kind}
        onChange={(v) => setKind(v as 'lines' | 'rest')}
        data={[
          { value: 'lines', label: 'Certain amounts' },
          { value: 'rest', label: 'All that is left' },
        ]}
      />
      {kind === 'lines' && (
        <div className="stack">
          {lines.map((l, i) => (
            <div key={l.id} className="credit-line">
              <TextInput
                label={`Text of line ${i + 1}`}
                placeholder="One hour of an outage"
                maxLength={128}
                value={l.text}
                onChange={(e) => change(l.id, { text: e.currentTarget.value })}
                error={errors.at(`lines[${i}].text`)}
                autoComplete="off"
                required
              />
              <TextInput
                label="Amount with tax (USD)"
                inputMode="decimal"
                value={l.amount}
                onChange={(e) => change(l.id, { amount: e.currentTarget.value })}
                error={
                  errors.at(`lines[${i}].amount`) ??
                  (l.amount.trim() && parseMoney(l.amount) === null ? amountHint : undefined)
                }
                autoComplete="off"
                required
              />
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                disabled={lines.length === 1}
                onClick={() => setLines((old) => old.filter((o) => o.id !== l.id))}
                aria-label={`Remove line ${i + 1}`}
              >
                ✕
              </ActionIcon>
            </div>
          ))}
          <div>
            <Button
              variant="default"
              size="xs"
              disabled={lines.length >= 100}
              onClick={() =>
                setLines((old) => [...old, { id: Math.max(...old.map((o) => o.id)) + 1, text: '', amount: '' }])
              }
            >
              Add line
            </Button>
          </div>
        </div>
      )}
      {tooMuch && (
        <div role="alert" className="field-wrong">
          At most {formatMoney(left)} of the invoice can be credited.
        </div>
      )}
      <Textarea
        label="Reason"
        description="Shown on the credit note."
        maxLength={500}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={errors.at('reason')}
        required
      />
    </FormDialog>
  );
}
