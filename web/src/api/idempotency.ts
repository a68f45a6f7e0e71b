import { useRef } from 'react';
import { ApiError } from './error';

/**
 * The Idempotency-Key of a form: one intent, one key. A second press after a lost response carries
 * the same key and gets the first result. The key changes when the body changes or the server has
 * answered.
 */
export function useIdempotencyKey(): (body: unknown, lastError: unknown) => string {
  const last = useRef({ body: '', key: '' });
  return (body, lastError) => {
    const text = JSON.stringify(body);
    const answered = lastError instanceof ApiError && !lastError.outage;
    if (last.current.body !== text || answered) last.current = { body: text, key: crypto.randomUUID() };
    return last.current.key;
  };
}
