import { useDebouncedCallback } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';

/**
 * The text of a field whose value is elsewhere (in the URL) and follows with a delay. The field
 * follows changes of the value from outside, but not the echo of its own, which would undo letters
 * typed since.
 */
export function useDebouncedText(value: string, onChange: (text: string) => void, delay = 200) {
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
  const type = (next: string, reported = next.trim()) => {
    setText(next);
    later(reported);
  };
  return [text, type] as const;
}
