import { Input, SegmentedControl, TextInput } from '@mantine/core';
import { useNow } from '../../api/clock';
import type { Offer } from '../../api/offers';
import { formatTotal, micro, times } from '../../parts/money';
import { localTime } from '../../parts/time';
import { endOf } from './request';

interface Props {
  /** Whose price gives the maximum cost. */
  offer?: Offer;
  end: string;
  onChange: (end: string) => void;
  error?: string;
}

const presets = ['', '1', '4', '12', '24', '72'];

/** The auto-terminate time: the limit on what a forgotten machine can cost. */
export function AutoTerminate({ offer: o, end, onChange, error }: Props) {
  const now = useNow(60_000);
  const exact = end !== '' && !/^\d+$/.test(end);
  const at = endOf(end, now);
  const hours = at === null ? null : Math.ceil((at - now) / 3_600_000);
  return (
    <Input.Wrapper
      label="Auto-terminate"
      description="Terminates automatically at this time"
      error={error}
      labelElement="div"
    >
      <div style={{ display: 'grid', gap: 8, marginTop: 6 }}>
        <SegmentedControl
          aria-label="Auto-terminate"
          className="end-choices"
          value={exact ? 'at' : presets.includes(end) ? end : 'at'}
          onChange={(v) => onChange(v === 'at' ? localInput(now + 8 * 3_600_000) : v)}
          data={[
            { value: '', label: 'Never' },
            ...presets.slice(1).map((h) => ({ value: h, label: Number(h) < 48 ? `${h} h` : `${Number(h) / 24} days` })),
            { value: 'at', label: 'Custom' },
          ]}
        />
        {exact && (
          <TextInput
            type="datetime-local"
            aria-label="Terminate at (your time zone)"
            value={end}
            min={localInput(now)}
            onChange={(e) => e.currentTarget.value && onChange(e.currentTarget.value)}
            aria-invalid={!!error}
            style={{ maxWidth: 240 }}
          />
        )}
        {at !== null && hours !== null && hours > 0 && (
          <div className="small dim">
            {localTime(at)}
            {o && <> · maximum cost {formatTotal(times(micro(o.hourlyPrice), hours))}</>}
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
