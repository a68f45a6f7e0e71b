import { useDebouncedCallback } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';

/**
 * The text of a field whose value lives elsewhere (in the address) and follows with a delay. The field follows the value
 * when somebody else changes it; never the echo of what was just typed, which would take letters away.
 */
export function useTyped(value: string, onChange: (text: string) => void, delay = 200) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const later = useDebouncedCallback((next: string) => {
    sent.current = next;
    onChange(next);
  }, delay);
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);
  const type = (next: string, tell = next.trim()) => {
    setText(next);
    later(tell);
  };
  return [text, type] as const;
}
