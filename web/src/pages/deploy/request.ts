import type { CreateDeployment } from '../../api/deployments';
import type { Offer } from '../../api/offers';
import { limitsOf } from '../../parts/limits';
import type { Draft } from './draft';

/** The auto-terminate time of a draft in milliseconds; null for never, NaN for an invalid one. */
export function endOf(end: string, now: number): number | null {
  if (end === '') return null;
  if (/^\d+$/.test(end)) return now + Number(end) * 3_600_000;
  return new Date(end).getTime();
}

/** The operating system for another offer: the chosen one, or its first where it lacks that. */
export function systemFor(o: Offer, chosen: string): string {
  return o.operatingSystems.includes(chosen) ? chosen : (o.operatingSystems[0] ?? chosen);
}

/**
 * What the request is for: the offers in order, or one offer, at a locked price or at most at the
 * shown one.
 */
function targetOf(o: Offer, d: Draft, more: Offer[], quoteId: string | undefined): Partial<CreateDeployment> {
  if (more.length > 0)
    return {
      candidates: [o, ...more].map((c) => {
        const system = systemFor(c, d.operatingSystem);
        const other = !d.imageId && system !== d.operatingSystem;
        return { offerId: c.id, ...(other && { operatingSystem: system }) };
      }),
      maxHourlyPrice: Math.max(...[o, ...more].map((c) => c.hourlyPrice)),
    };
  if (quoteId) return { quoteId };
  // The price shown is the most that the user agrees to. A higher one is refused.
  return { offerId: o.id, maxHourlyPrice: o.hourlyPrice };
}

/**
 * The body of POST /deployments, without what is empty or follows from the offer. more are the
 * offers to try after the first.
 */
export function bodyOf(o: Offer, d: Draft, now: number, more: Offer[] = [], quoteId?: string): CreateDeployment {
  const end = endOf(d.end, now);
  const limits = limitsOf(d);
  return {
    ...targetOf(o, d, more, quoteId),
    name: d.name.trim(),
    ...(d.imageId ? { imageId: d.imageId } : { operatingSystem: d.operatingSystem }),
    sshKeyIds: d.sshKeyIds,
    ...(d.volumeIds.length > 0 && { volumeIds: d.volumeIds }),
    ...(d.cloudInit.trim() && { cloudInit: d.cloudInit }),
    ...(d.tags.length > 0 && { tags: d.tags }),
    ...(d.project.trim() && { project: d.project.trim() }),
    ...(end !== null &&
      Number.isFinite(end) && { autoTerminateAt: new Date(end).toISOString().replace(/\.\d+Z$/, 'Z') }),
    ...(limits.maxSpend !== null && { maxSpend: limits.maxSpend }),
    ...(limits.maxRuntimeMinutes !== null && { maxRuntimeMinutes: limits.maxRuntimeMinutes }),
  };
}

/** A suggested name from GPU and place, such as "b200-dallas". */
export function suggestName(o: Offer): string {
  const gpu = o.gpuType.split(' ').slice(1).join('-') || o.gpuType;
  const place = o.region.split('-')[0] ?? '';
  return `${gpu}-${place}`.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
}
