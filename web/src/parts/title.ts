import { useEffect } from 'react';
import { useSite } from '../api/site';

/** Sets the browser tab's title: the page's, and the name of this cloud. */
export function useTitle(title: string) {
  const name = useSite()?.name;
  useEffect(() => {
    document.title = name ? `${title} · ${name}` : title;
  }, [title, name]);
}
