import { Checkbox, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import { promoCodesPath } from '../../api/operator';
import { useSettings } from '../../api/settings';
import { parseCount } from '../../parts/count';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, formatMoney, micro, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';
import { beginOf, endOf, firstDay, lastDay } from '../../parts/utcDays';
import { amountHint } from './CreateAccountDialog';
import type { PromoCode } from './promoCode';

interface Props {
  /** The code to change; null for a new one. */
  of: PromoCode | null;
  onCreated: (c: PromoCode) => void;
  onClose: () => void;
}

/** Creates or changes a promo code. */
export function PromoCodeDialog({ of: c, onCreated, onClose }: Props) {
  const create = useSend('post', promoCodesPath);
  const update = useSend('patch', `${promoCodesPath}/{id}`);
  const above = useSettings().data?.value.wallet.approvalAbove ?? 0;
  const first = {
    code: '',
    amount: c ? String(c.amount) : '',
    most: String(c?.maxRedemptions ?? ''),
    days: String(c?.creditDays ?? ''),
    from: firstDay(c?.validFrom ?? null),
    until: lastDay(c?.validUntil ?? null),
  };
  const [texts, setTexts] = useState(first);
  const [newOnly, setNewOnly] = useState(c?.newAccountsOnly ?? false);
  const amount = parseMoney(texts.amount);
  const most = parseCount(texts.most, 1_000_000);
  const days = parseCount(texts.days, 3650);
  const backwards = texts.from !== '' && texts.until !== '' && texts.until < texts.from;
  const errors = fieldErrors(create.error ?? update.error);
  const field = (name: keyof typeof first) => ({
    value: texts[name],
    onChange: (e: { currentTarget: { value: string } }) => {
      const text = e.currentTarget.value;
      setTexts((old) => ({ ...old, [name]: text }));
    },
    autoComplete: 'off',
  });
  const submit = () => {
    if (amount === null || most === undefined || days === undefined) return;
    if (!c) {
      const body = {
        ...(texts.code.trim() && { code: texts.code.trim() }),
        amount: dollars(amount),
        ...(most !== null && { maxRedemptions: most }),
        ...(days !== null && { creditDays: days }),
        ...(texts.from && { validFrom: beginOf(texts.from) }),
        ...(texts.until && { validUntil: endOf(texts.until) }),
        newAccountsOnly: newOnly,
      };
      create.mutate(
        { body },
        {
          onSuccess: (made) => {
            onClose();
            onCreated(made);
          },
        },
      );
      return;
    }
    const body = {
      amount: dollars(amount),
      maxRedemptions: most,
      creditDays: days,
      // An exact time that was set by the API stays as it is unless its day changes.
      ...(texts.from !== first.from && { validFrom: texts.from ? beginOf(texts.from) : null }),
      ...(texts.until !== first.until && { validUntil: texts.until ? endOf(texts.until) : null }),
      newAccountsOnly: newOnly,
    };
    update.mutate(
      { ...withId(c.id), body },
      {
        onSuccess: () => {
          toast(`${c.code} saved`);
          onClose();
        },
      },
    );
  };
  const limit = above > 0 ? ` At most ${formatMoney(micro(above))}: more needs the approval of another operator.` : '';
  return (
    <FormDialog
      title={c ? `Edit ${c.code}` : 'Create promo code'}
      submit={c ? 'Save promo code' : 'Create promo code'}
      size="lg"
      disabled={!amount || most === undefined || days === undefined || backwards}
      busy={create.isPending || update.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      {!c && (
        <TextInput
          label="Code"
          description={
            '4 to 40 letters, digits, hyphens and underscores, in any case. ' +
            'If empty, a code is generated that cannot be guessed.'
          }
          placeholder="WELCOME50"
          maxLength={40}
          {...field('code')}
          error={errors.at('code')}
          data-autofocus
        />
      )}
      <div className="split">
        <TextInput
          label="Credit (USD)"
          description={`For each account that redeems it.${limit}`}
          inputMode="decimal"
          {...field('amount')}
          error={texts.amount.trim() && amount === null ? amountHint : errors.at('amount')}
          required
          data-autofocus={c ? true : undefined}
        />
        <TextInput
          label="Credit expires after (days)"
          description="Counted from the redemption. Never if empty."
          inputMode="numeric"
          {...field('days')}
          error={days === undefined ? 'Enter a number from 1 to 3,650, or nothing.' : errors.at('creditDays')}
        />
      </div>
      <TextInput
        label="Maximum redemptions"
        description={
          above > 0 ? 'How many accounts can redeem it.' : 'How many accounts can redeem it. No limit if empty.'
        }
        inputMode="numeric"
        {...field('most')}
        error={most === undefined ? 'Enter a number from 1 to 1,000,000, or nothing.' : errors.at('maxRedemptions')}
        required={above > 0}
      />
      <div className="split">
        <TextInput
          type="date"
          label="First day"
          description="In UTC. At once if empty."
          {...field('from')}
          error={errors.at('validFrom')}
        />
        <TextInput
          type="date"
          label="Last day"
          description="In UTC, until its end. No end if empty."
          {...field('until')}
          error={backwards ? 'Choose the first day or a later one.' : errors.at('validUntil')}
        />
      </div>
      <Checkbox
        label="Only for new accounts"
        description="Accounts that were created in the last 30 days"
        checked={newOnly}
        onChange={(e) => setNewOnly(e.currentTarget.checked)}
        error={errors.at('newAccountsOnly')}
      />
      {c && c.redemptions > 0 && <p className="dim small">Credit that was given before stays as it is.</p>}
    </FormDialog>
  );
}
