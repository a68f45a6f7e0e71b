// How this cloud presents itself: name, logo, color and links, for pages with and without a
// session.

import type { Schema } from './client';
import { useGet } from './hooks';
import { sitePath } from './queries';

export type Site = Schema['SiteInfo'];

const key = 'billet-site';

/** The site as it was at the last visit, so that a page does not change its face while it loads. */
export function storedSite(): Site | undefined {
  try {
    const site: unknown = JSON.parse(localStorage.getItem(key) ?? 'null');
    if (site && typeof site === 'object' && 'name' in site && 'publicPages' in site) return site as Site;
  } catch {
    // Storage may be blocked; then the page waits for the server.
  }
  return undefined;
}

export function storeSite(site: Site) {
  try {
    localStorage.setItem(key, JSON.stringify(site));
  } catch {
    // As above.
  }
}

/** The site; undefined until it is known. */
export function useSite(): Site | undefined {
  return useGet(sitePath, undefined, { staleTime: 60_000 }).data ?? storedSite();
}
