import { CloseButton } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../api/client';
import { useAll } from '../api/hooks';
import { useCan } from '../api/session';

type Notice = Schema['Notice'];

const classes: Record<Notice['level'], string> = { info: 'banner-info', warning: '', critical: 'banner-bad' };

const key = 'billet-announcements-dismissed';

/** What identifies an announcement to this browser: a changed one is shown again. */
function version(n: Notice): string {
  return `${n.id} ${n.changedAt}`;
}

function dismissed(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
    return Array.isArray(stored) ? stored.map(String) : [];
  } catch {
    // Storage may be blocked; then an announcement is back after a reload.
    return [];
  }
}

/** What the operator announces. Each can be dismissed in this browser. */
export function Announcements() {
  const can = useCan();
  const all = useAll(
    '/api/v1/inventory/announcements',
    {},
    {
      enabled: can('deployments:read'),
      staleTime: 60_000,
      refetchInterval: 120_000,
    },
  ).data;
  const [gone, setGone] = useState(dismissed);
  const dismiss = (n: Notice) => {
    const next = [...gone, version(n)].slice(-100);
    setGone(next);
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // As above.
    }
  };
  return (
    <>
      {all
        ?.filter((n) => !gone.includes(version(n)))
        .map((n) => (
          <section key={n.id} className={`banner announcement ${classes[n.level]}`} aria-label="Announcement">
            <span className="announcement-text">
              <b>{n.title}</b>
              {n.text && <span> {n.text}</span>}
            </span>
            <CloseButton size="sm" aria-label={`Dismiss ${n.title}`} onClick={() => dismiss(n)} />
          </section>
        ))}
    </>
  );
}
