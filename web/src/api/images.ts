import { queryOptions } from '@tanstack/react-query';
import { allPages, type Schema } from './client';
import { useAll } from './hooks';

export type Image = Schema['Image'];

const path = '/api/v1/inventory/images';

/** The query of useImages, for what reads them only when it needs them. */
export const imagesQuery = queryOptions({ queryKey: [path, 'all', {}], queryFn: () => allPages(path, {}) });

/** The account's own disk images, newest first: an account has at most about a hundred. */
export function useImages(enabled: boolean) {
  return useAll(path, {}, { enabled });
}
