import type { CreateDeployment } from '../../api/deployments';
import type { Offer } from '../../api/offers';
import type { Draft } from './draft';

/** The auto-terminate time of a draft in milliseconds; null for never, NaN for an invalid one. */
export function endOf(end: string, now: number): number | null {
  if (end === '') return null;
  if (/^\d+$/.test(end)) return now + Number(end) * 3_600_000;
  return new Date(end).getTime();
}

/** The body of POST /deployments, without what is empty or follows from the offer. */
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
    ...(d.project.trim() && { project: d.project.trim() }),
    ...(end !== null &&
      Number.isFinite(end) && { autoTerminateAt: new Date(end).toISOString().replace(/\.\d+Z$/, 'Z') }),
    // The price shown is the most that the user agrees to. A higher one is refused.
    maxHourlyPrice: o.hourlyPrice,
  };
}

/** A suggested name from GPU and place, such as "b200-dallas". */
export function suggestName(o: Offer): string {
  const gpu = o.gpuType.split(' ').slice(1).join('-') || o.gpuType;
  const place = o.region.split('-')[0] ?? '';
  return `${gpu}-${place}`.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
}
