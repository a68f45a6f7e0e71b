import { TextInput } from '@mantine/core';
import type { LimitTexts } from './limits';

interface Props {
  texts: LimitTexts;
  onChange: (part: Partial<LimitTexts>) => void;
  errors: Partial<LimitTexts>;
}

/** The fields for the limits of a deployment. Both are optional. */
export function LimitFields({ texts, onChange, errors }: Props) {
  return (
    <>
      <TextInput
        label="Maximum spend"
        description="Terminates before an hour begins that would pass this amount"
        placeholder="No limit"
        inputMode="decimal"
        leftSection="$"
        value={texts.maxSpend}
        onChange={(e) => onChange({ maxSpend: e.currentTarget.value })}
        error={errors.maxSpend}
        autoComplete="off"
      />
      <TextInput
        label="Maximum runtime (minutes)"
        description="Terminates this long after the first hour begins"
        placeholder="No limit"
        inputMode="numeric"
        value={texts.maxRuntimeMinutes}
        onChange={(e) => onChange({ maxRuntimeMinutes: e.currentTarget.value })}
        error={errors.maxRuntimeMinutes}
        autoComplete="off"
      />
    </>
  );
}
