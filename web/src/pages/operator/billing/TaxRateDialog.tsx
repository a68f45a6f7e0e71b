import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { type TaxRate, useSaveTaxRates } from '../../../api/billingSettings';
import { fieldErrors } from '../../../api/hooks';
import { FormDialog } from '../../../parts/FormDialog';
import { countryName } from '../../../parts/locale';
import { toast } from '../../../parts/toast';
import { parseRate, sameRate } from './rates';
import './operatorBilling.css';

export interface RateEdit {
  kind: 'add' | 'edit' | 'end';
  /** The rate that is changed, or that is followed by another. */
  of?: TaxRate;
}

interface Props {
  edit: RateEdit;
  /** All rates, as they were read with this version. */
  rates: TaxRate[];
  etag: string;
  /** The day from which a new rate applies unless another is entered. */
  today: string;
  onClose: () => void;
}

const titles: Record<RateEdit['kind'], [string, string, string]> = {
  add: ['Add a tax rate', 'Add tax rate', 'Tax rate added'],
  edit: ['Edit a tax rate', 'Save tax rate', 'Tax rate saved'],
  end: ['End a tax rate', 'End tax rate', 'Tax rate ended'],
};

/** Adds, changes or ends the rate of a country. */
export function TaxRateDialog({ edit, rates, etag, today, onClose }: Props) {
  const { kind, of: old } = edit;
  const save = useSaveTaxRates();
  const [country, setCountry] = useState(old?.country ?? '');
  const [from, setFrom] = useState((kind === 'edit' ? old?.from : undefined) ?? today);
  const [text, setText] = useState(kind === 'edit' && old ? String(old.percent) : '');
  const ends = kind === 'end' || (kind === 'edit' && old?.ended === true);
  const percent = ends ? 0 : parseRate(text);
  const [title, action, done] = titles[kind];
  // The refused rate is the last of those that are sent.
  const kept = kind === 'edit' && old ? rates.filter((r) => !sameRate(r, old)) : rates;
  const errors = fieldErrors(save.error);
  const at = (field: string) => errors.at(`rates[${kept.length}].${field}`);
  const submit = () => {
    if (percent === null) return;
    const rate = { country: country.trim().toUpperCase(), from: from.trim(), percent, ...(ends && { ended: true }) };
    save.mutate(
      { rates: [...kept, rate], etag },
      {
        onSuccess: () => {
          toast(done);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={title}
      submit={action}
      danger={kind === 'end'}
      disabled={percent === null || !country.trim() || !from.trim()}
      busy={save.isPending}
      error={errors.general ?? (errors.at(`rates[${kept.length}]`) ? null : save.error)}
      onSubmit={submit}
      onClose={onClose}
    >
      {kind === 'end' && old ? (
        <div>
          {countryName(old.country)} has no rate from this day on. Buyers there are then taxed by the rules for a
          country without a rate. That is not a rate of 0 percent.
        </div>
      ) : (
        <div>
          The rate of the last day of a month applies to the month&apos;s invoice. Documents that were issued keep
          theirs.
        </div>
      )}
      <div className="rate-fields">
        {kind !== 'end' && (
          <TextInput
            label="Country"
            description="Two-letter code, such as DE"
            maxLength={2}
            value={country}
            onChange={(e) => setCountry(e.currentTarget.value)}
            error={at('country')}
            autoComplete="off"
            required
            data-autofocus
          />
        )}
        {!ends && (
          <TextInput
            label="Rate (%)"
            description="From 0 to 50, with at most two decimals"
            inputMode="decimal"
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
            error={at('percent') ?? (text.trim() && percent === null ? 'Enter a rate such as 19 or 8.1.' : undefined)}
            autoComplete="off"
            required
          />
        )}
        <TextInput
          label={ends ? 'First day without a rate' : 'First day'}
          description="In UTC, such as 2028-01-31"
          placeholder="2028-01-31"
          maxLength={10}
          value={from}
          onChange={(e) => setFrom(e.currentTarget.value)}
          error={at('from')}
          autoComplete="off"
          required
        />
      </div>
    </FormDialog>
  );
}
