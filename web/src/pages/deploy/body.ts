import type { CreateDeployment } from '../../api/deployments';
import type { Offer } from '../../api/offers';
import type { Draft } from './draft';

/** The time at which a draft ends by itself, in milliseconds; null for never, NaN for what is no time. */
export function endOf(end: string, now: number): number | null {
  if (end === '') return null;
  if (/^\d+$/.test(end)) return now + Number(end) * 3_600_000;
  return new Date(end).getTime();
}

/** The body of POST /deployments. What the offer decides is left to it; what is empty is left out. */
export function bodyOf(o: Offer, d: Draft, now: number): CreateDeployment {
  const end = endOf(d.end, now);
  return {
    offerId: o.id,
    name: d.name.trim(),
    operatingSystem: d.operatingSystem,
    sshKeyIds: d.sshKeyIds,
    ...(d.volumeIds.length > 0 && { volumeIds: d.volumeIds }),
    ...(d.cloudInit.trim() && { cloudInit: d.cloudInit }),
    ...(d.tags.length > 0 && { tags: d.tags }),
    ...(end !== null &&
      Number.isFinite(end) && { autoTerminateAt: new Date(end).toISOString().replace(/\.\d+Z$/, 'Z') }),
    // The price on the page is the most that is agreed to: dearer since then is refused, not paid.
    maxHourlyPrice: o.hourlyPrice,
  };
}

/** A name to begin with: what and where, such as "b200-dallas". */
export function suggestName(o: Offer): string {
  const gpu = o.gpuType.split(' ').slice(1).join('-') || o.gpuType;
  const place = o.region.split('-')[0] ?? '';
  return `${gpu}-${place}`.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
}
