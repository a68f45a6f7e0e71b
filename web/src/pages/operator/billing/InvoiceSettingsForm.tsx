import { Button, Group, Radio, Stack, Switch, Textarea, TextInput } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import {
  type InvoiceSettings,
  reloadInvoiceSettings,
  useInvoiceSettings,
  useSaveInvoiceSettings,
} from '../../../api/billingSettings';
import { ApiError } from '../../../api/error';
import { fieldErrors } from '../../../api/hooks';
import type { Track } from '../../../api/settings';
import { ErrorBox } from '../../../parts/ErrorBox';
import { Loaded } from '../../../parts/Loaded';
import { toast } from '../../../parts/toast';

interface Field<K> {
  name: K;
  label: string;
  description?: string;
  most: number;
  placeholder?: string;
}

type SellerField = Field<keyof InvoiceSettings['seller']>;

const seller: SellerField[] = [
  { name: 'name', label: 'Company', most: 128 },
  { name: 'addressLine1', label: 'Street and number', most: 128 },
  { name: 'addressLine2', label: 'Address, continued', most: 128 },
  { name: 'postalCode', label: 'Postal code', most: 40 },
  { name: 'city', label: 'City', most: 128 },
  { name: 'state', label: 'State or province', most: 128 },
  { name: 'country', label: 'Country', description: 'Two-letter code, such as DE or US', most: 2 },
  { name: 'vatId', label: 'VAT ID', description: 'Or another tax number outside the EU', most: 40 },
  { name: 'taxNumber', label: 'Tax number', description: 'Of a seller without a VAT ID', most: 40 },
  { name: 'registration', label: 'Registration', description: 'Of the company, such as HRB 12345', most: 128 },
  { name: 'email', label: 'Email', description: 'For questions about invoices', most: 254 },
  { name: 'taxCurrency', label: 'Tax currency', description: 'Such as EUR, to state the tax in it, too', most: 3 },
  { name: 'bankDetails', label: 'Bank details', description: 'In one line', most: 500 },
  { name: 'note', label: 'Note', description: 'At the end of each document, in one line', most: 500 },
];

type TextName = 'reverseChargeText' | 'outsideText' | 'exemptText';

const texts: Field<TextName>[] = [
  { name: 'reverseChargeText', label: 'Text for reverse charge', most: 500 },
  { name: 'outsideText', label: 'Text outside the scope of the tax', most: 500 },
  { name: 'exemptText', label: 'Text where you charge no tax', most: 500 },
];

const outside: Record<InvoiceSettings['outsideRule'], string> = {
  none: 'No tax is charged',
  seller_rate: "The rate of the seller's country applies",
};

/** The seller on invoices, their numbers, and when tax is charged. */
const firstMonthHint =
  'In UTC; leave empty to issue no invoices. If the month is over, its invoices and those of all later months that ' +
  'are over are issued at once. This cannot be undone.';

export function InvoiceSettingsForm({ track }: { track: Track }) {
  const settings = useInvoiceSettings();
  return <Loaded query={settings}>{(s) => <Form stored={s.value} etag={s.etag} track={track} />}</Loaded>;
}

function Form({ stored, etag, track }: { stored: InvoiceSettings; etag: string; track: Track }) {
  const save = useSaveInvoiceSettings();
  const [draft, setDraft] = useState<InvoiceSettings | null>(null);
  // The version that the draft began with.
  const began = useRef(etag);
  const now = draft ?? stored;
  const unsaved = draft !== null && JSON.stringify(draft) !== JSON.stringify(stored);
  useEffect(() => {
    track('invoices', unsaved);
    return () => track('invoices', false);
  }, [track, unsaved]);
  const change = (part: Partial<InvoiceSettings>) => {
    if (draft === null) began.current = etag;
    setDraft({ ...now, ...part });
  };
  const reload = async () => {
    try {
      await reloadInvoiceSettings();
    } finally {
      setDraft(null); // not before: the values from before the change would be seen meanwhile
      save.reset();
    }
  };
  const errors = fieldErrors(save.error);
  const conflict = save.error instanceof ApiError && save.error.code === 'PRECONDITION_FAILED';
  const submit = () =>
    save.mutate(
      { value: trimmed(now), etag: began.current },
      {
        onSuccess: async () => {
          await reload();
          toast('Saved. Documents that were issued keep what they have.');
        },
      },
    );
  return (
    <form
      className="stack"
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
      noValidate
    >
      <div className="rate-fields">
        {seller.map((f) => (
          <TextInput
            key={f.name}
            label={f.label}
            description={f.description}
            maxLength={f.most}
            value={now.seller[f.name] ?? ''}
            onChange={(e) => change({ seller: { ...now.seller, [f.name]: e.currentTarget.value } })}
            error={errors.at(`seller.${f.name}`)}
            autoComplete="off"
          />
        ))}
      </div>
      <div className="rate-fields">
        <TextInput
          label="First month"
          description={firstMonthHint}
          placeholder="2026-12"
          maxLength={7}
          value={now.firstMonth}
          onChange={(e) => change({ firstMonth: e.currentTarget.value })}
          error={errors.at('firstMonth')}
          autoComplete="off"
        />
        <TextInput
          label="Tax name"
          description="As documents call it"
          placeholder="VAT"
          maxLength={40}
          value={now.taxName}
          onChange={(e) => change({ taxName: e.currentTarget.value })}
          error={errors.at('taxName')}
          autoComplete="off"
        />
        <TextInput
          label="Invoice number format"
          description={`{year} and {number} are replaced: ${example(now.numberFormat)}`}
          maxLength={40}
          value={now.numberFormat}
          onChange={(e) => change({ numberFormat: e.currentTarget.value })}
          error={errors.at('numberFormat')}
          autoComplete="off"
        />
        <TextInput
          label="Credit note number format"
          description={`They have their own count: ${example(now.creditNoteFormat)}`}
          maxLength={40}
          value={now.creditNoteFormat}
          onChange={(e) => change({ creditNoteFormat: e.currentTarget.value })}
          error={errors.at('creditNoteFormat')}
          autoComplete="off"
        />
      </div>
      <Switch
        label="Prices include tax"
        description="Documents show the tax by the rates below. Off: no tax is charged to anyone."
        checked={now.chargesTax}
        onChange={(e) => change({ chargesTax: e.currentTarget.checked })}
      />
      {now.chargesTax && (
        <Radio.Group
          label="Buyers in a country without a rate, if the seller or the buyer is outside the EU"
          value={now.outsideRule}
          onChange={(v) => change({ outsideRule: v as InvoiceSettings['outsideRule'] })}
          error={errors.at('outsideRule')}
        >
          <Stack gap={10} mt={8}>
            {Object.entries(outside).map(([value, label]) => (
              <Radio key={value} size="md" value={value} label={label} />
            ))}
          </Stack>
        </Radio.Group>
      )}
      {texts
        .filter((f) => (f.name === 'exemptText') !== now.chargesTax)
        .map((f) => (
          <Textarea
            key={f.name}
            label={f.label}
            description="A built-in text if empty"
            maxLength={f.most}
            value={now[f.name]}
            onChange={(e) => change({ [f.name]: e.currentTarget.value })}
            error={errors.at(f.name)}
          />
        ))}
      <ErrorBox error={errors.general} />
      <Group gap="xs">
        <Button type="submit" disabled={!unsaved} loading={save.isPending}>
          Save invoice settings
        </Button>
        {conflict ? (
          <Button variant="default" onClick={() => void reload()}>
            Load current values
          </Button>
        ) : (
          unsaved && (
            <Button variant="subtle" color="gray" onClick={() => void reload()}>
              Discard changes
            </Button>
          )
        )}
      </Group>
    </form>
  );
}

/** The first number of a format in a year. */
function example(format: string): string {
  return format.replace('{year}', '2028').replace('{number}', '000001') || '–';
}

function trimmed(s: InvoiceSettings): InvoiceSettings {
  const inner = Object.fromEntries(
    Object.entries(s.seller).map(([name, text]) => [name, text.trim()]),
  ) as InvoiceSettings['seller'];
  return {
    ...s,
    seller: { ...inner, country: inner.country.toUpperCase(), taxCurrency: inner.taxCurrency.toUpperCase() },
    firstMonth: s.firstMonth.trim(),
    numberFormat: s.numberFormat.trim(),
    creditNoteFormat: s.creditNoteFormat.trim(),
    taxName: s.taxName.trim(),
  };
}
