// What a past-due account is told: what has happened, what happens when, and what can be done about it.

import type { Schema } from '../api/client';
import { formatMoney, type Micro, micro } from '../parts/money';
import { localTime, roughly } from '../parts/time';

type Wallet = Pick<Schema['Wallet'], 'available' | 'pastDue' | 'activeDeployments' | 'volumes' | 'minimumToDeploy'>;

export interface Notice {
  /** What has happened, and what happens when. */
  facts: string[];
  /** What the tenant can do. */
  advice: string;
}

/** The notice at a moment of the server's time, or null where nothing is past due. */
export function pastDueNotice(w: Wallet, now: number): Notice | null {
  const due = w.pastDue;
  if (!due) return null;
  const facts: string[] = [];
  const running = w.activeDeployments.length;
  const kept = w.volumes.length;
  const when = (at: string) => `in ${roughly(Date.parse(at) - now)} (${localTime(at)})`;
  const deployments = stage(running, Date.parse(due.deploymentsEndAt) <= now, {
    many: running === 1 ? '1 deployment' : `${running} deployments`,
    ahead: (what) => `${what} will be terminated ${when(due.deploymentsEndAt)}.`,
    now: (what) => `${what} ${running === 1 ? 'is' : 'are'} being terminated.`,
    done: `All deployments were terminated on ${localTime(due.deploymentsEndAt)}.`,
  });
  const volumes = stage(kept, Date.parse(due.volumesDeletedAt) <= now, {
    many: kept === 1 ? '1 volume' : `${kept} volumes`,
    ahead: (what) => `${what} will be deleted ${when(due.volumesDeletedAt)}.`,
    now: (what) => `${what} ${kept === 1 ? 'is' : 'are'} being deleted.`,
    done: `All volumes were deleted on ${localTime(due.volumesDeletedAt)}.`,
  });
  for (const fact of [deployments, volumes]) if (fact) facts.push(fact);
  const owed = micro(-w.available);
  const ahead =
    (running > 0 && Date.parse(due.deploymentsEndAt) > now) || (kept > 0 && Date.parse(due.volumesDeletedAt) > now);
  const least = formatMoney(owed, 2, 6);
  if (ahead) {
    const stop = running > 0 ? ' Terminating deployments stops further charges.' : '';
    return { facts, advice: `To stop this, at least ${least} of credit must be added before then.${stop}` };
  }
  const toDeploy = formatMoney((owed + micro(w.minimumToDeploy)) as Micro, 2, 6);
  return { facts, advice: `To deploy again, ${toDeploy} of credit must be added (${least} is owed).` };
}

/** One kind of resource: what becomes of those that are left, or that there are none any more. */
function stage(
  left: number,
  over: boolean,
  say: { many: string; ahead: (what: string) => string; now: (what: string) => string; done: string },
): string | null {
  if (left > 0) return over ? say.now(say.many) : say.ahead(say.many);
  // Before the deadline there was nothing to lose, and nothing to tell.
  return over ? say.done : null;
}
