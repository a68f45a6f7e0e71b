import { Input, SegmentedControl, TextInput } from '@mantine/core';
import { useNow } from '../../api/clock';
import type { Offer } from '../../api/offers';
import { formatMoney, micro, times } from '../../parts/money';
import { localTime } from '../../parts/time';
import { endOf } from './body';

interface Props {
  offer: Offer;
  end: string;
  onChange: (end: string) => void;
  error?: string;
}

const presets = ['', '1', '4', '12', '24', '72'];

/** When it ends by itself: the limit on what a forgotten machine can cost. */
export function End({ offer: o, end, onChange, error }: Props) {
  const now = useNow(60_000);
  const exact = end !== '' && !/^\d+$/.test(end);
  const at = endOf(end, now);
  const hours = at === null ? null : Math.ceil((at - now) / 3_600_000);
  return (
    <Input.Wrapper
      label="Ends by itself"
      description="Terminated then, whatever else happens"
      error={error}
      labelElement="div"
    >
      <div style={{ display: 'grid', gap: 8, marginTop: 6 }}>
        <SegmentedControl
          aria-label="Ends by itself"
          className="end-choices"
          value={exact ? 'at' : presets.includes(end) ? end : 'at'}
          onChange={(v) => onChange(v === 'at' ? localInput(now + 8 * 3_600_000) : v)}
          data={[
            { value: '', label: 'Never' },
            ...presets.slice(1).map((h) => ({ value: h, label: Number(h) < 48 ? `${h} h` : `${Number(h) / 24} days` })),
            { value: 'at', label: 'At…' },
          ]}
        />
        {exact && (
          <TextInput
            type="datetime-local"
            aria-label="Ends at, in your time zone"
            value={end}
            min={localInput(now)}
            onChange={(e) => e.currentTarget.value && onChange(e.currentTarget.value)}
            aria-invalid={!!error}
            style={{ maxWidth: 240 }}
          />
        )}
        {at !== null && hours !== null && hours > 0 && (
          <div className="small dim">
            {localTime(at)} your time; at most {formatMoney(times(micro(o.hourlyPrice), hours), 2, 2)} until then.
          </div>
        )}
      </div>
    </Input.Wrapper>
  );
}

/** The value of a datetime-local field, in the reader's zone. */
function localInput(at: number): string {
  const d = new Date(at);
  return new Date(at - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
