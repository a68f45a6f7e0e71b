import { formatNumber } from '../../parts/locale';

/** The size of a file, such as "619 MB" or "12.5 GB". */
export function fileSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  if (bytes < 1_000_000) return `${formatNumber(bytes / 1_000, 1)} kB`;
  return bytes < 1_000_000_000
    ? `${formatNumber(bytes / 1_000_000, 0)} MB`
    : `${formatNumber(bytes / 1_000_000_000, 1)} GB`;
}

/** What is wrong with an image for an offer; null if its machines can be installed with it. */
export function misfit(image: { sizeBytes: number }, offer: { storageGb: number }): string | null {
  if (offer.storageGb > 0 && image.sizeBytes > offer.storageGb * 1_000_000_000)
    return `Larger than the ${formatNumber(offer.storageGb)} GB of local storage`;
  return null;
}
