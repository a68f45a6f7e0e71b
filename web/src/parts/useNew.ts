import { useSearchParams } from 'react-router';

/** Whether a page's dialog for something new is open. It is in the address: links open it. */
export function useNew() {
  const [params, setParams] = useSearchParams();
  const set = (open: boolean) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (open) next.set('new', '1');
        else next.delete('new');
        return next;
      },
      { replace: true },
    );
  return [params.has('new'), { open: () => set(true), close: () => set(false) }] as const;
}
