// The notice for a past-due account: what has happened, what happens when, and what to do.

import type { Schema } from '../api/client';
import { formatMoney, type Micro, micro } from '../parts/money';
import { localTime, roughly } from '../parts/time';

type Wallet = Pick<Schema['Wallet'], 'available' | 'pastDue' | 'activeDeployments' | 'volumes' | 'minimumToDeploy'>;

export interface Notice {
  /** What has happened and what happens when. */
  facts: string[];
  /** What the tenant can do. */
  advice: string;
}

/** What happens when to an account whose runway is a day or less; now is the server's time. */
export function lowBalanceNotice(
  w: Pick<Schema['Wallet'], 'runsDryAt' | 'lowBalance' | 'activeDeployments' | 'volumes'>,
  now: number,
): { when: string; facts: string } | null {
  if (!w.runsDryAt || !w.lowBalance) return null;
  const facts: string[] = [];
  const { deploymentsEndAt, volumesDeletedAt } = w.lowBalance;
  if (w.activeDeployments.length > 0) facts.push(`Deployments end on ${localTime(deploymentsEndAt)}`);
  if (w.volumes.length > 0) facts.push(`volumes are deleted on ${localTime(volumesDeletedAt)}`);
  const left = Date.parse(w.runsDryAt) - now;
  return {
    when: left > 0 ? `in ${roughly(left)} (${localTime(w.runsDryAt)})` : 'now',
    facts: `${facts.join(', and ')}${facts.length > 0 ? ', unless you add funds before.' : 'Add funds before then.'}`,
  };
}

/** The notice at a moment of the server's time, or null where nothing is past due. */
export function pastDueNotice(w: Wallet, now: number): Notice | null {
  const due = w.pastDue;
  if (!due) return null;
  const facts: string[] = [];
  const running = w.activeDeployments.length;
  const volumeCount = w.volumes.length;
  const when = (at: string) => `in ${roughly(Date.parse(at) - now)} (${localTime(at)})`;
  const deployments = stage(running, Date.parse(due.deploymentsEndAt) <= now, {
    many: running === 1 ? '1 deployment' : `${running} deployments`,
    ahead: (what) => `${what} will be terminated ${when(due.deploymentsEndAt)}.`,
    now: (what) => `${what} ${running === 1 ? 'is' : 'are'} being terminated.`,
    done: `All deployments were terminated on ${localTime(due.deploymentsEndAt)}.`,
  });
  const volumes = stage(volumeCount, Date.parse(due.volumesDeletedAt) <= now, {
    many: volumeCount === 1 ? '1 volume' : `${volumeCount} volumes`,
    ahead: (what) => `${what} will be deleted ${when(due.volumesDeletedAt)}.`,
    now: (what) => `${what} ${volumeCount === 1 ? 'is' : 'are'} being deleted.`,
    done: `All volumes were deleted on ${localTime(due.volumesDeletedAt)}.`,
  });
  for (const fact of [deployments, volumes]) if (fact) facts.push(fact);
  const owed = micro(-w.available);
  const ahead =
    (running > 0 && Date.parse(due.deploymentsEndAt) > now) ||
    (volumeCount > 0 && Date.parse(due.volumesDeletedAt) > now);
  const least = formatMoney(owed, 2, 6);
  if (ahead) {
    const stop = running > 0 ? ' Terminating deployments stops further charges.' : '';
    return { facts, advice: `Add at least ${least} before then to prevent this.${stop}` };
  }
  const toDeploy = formatMoney((owed + micro(w.minimumToDeploy)) as Micro, 2, 6);
  return { facts, advice: `Add ${toDeploy} to deploy again (${least} is past due).` };
}

/** One kind of resource: what happens to the ones that are left, or when they ended. */
function stage(
  left: number,
  over: boolean,
  text: { many: string; ahead: (what: string) => string; now: (what: string) => string; done: string },
): string | null {
  if (left > 0) return over ? text.now(text.many) : text.ahead(text.many);
  // Before the deadline there is nothing to report where nothing is left.
  return over ? text.done : null;
}
