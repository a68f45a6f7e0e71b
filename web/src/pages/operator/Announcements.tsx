import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { useAll, useSend, withId } from '../../api/hooks';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { AnnouncementDialog } from './AnnouncementDialog';

type Announcement = Schema['Announcement'];

const tones = { info: 'busy', warning: 'warn', critical: 'bad' } as const;

/** What is announced to accounts: before, now and later. */
export function Announcements() {
  const [editing, setEditing] = useState<Announcement | 'new' | null>(null);
  const confirm = useConfirm();
  const now = useNow(10_000);
  const update = useSend('patch', '/api/v1/operator/announcements/{id}');
  const remove = useSend('delete', '/api/v1/operator/announcements/{id}');
  const rows = useListRows(useAll('/api/v1/operator/announcements', {}, { refetchInterval: 60_000 }), {
    sorts: { startsAt: (a) => a.startsAt, endsAt: (a) => a.endsAt },
    text: (a) => `${a.title} ${a.text} ${a.provider}`,
  });
  return (
    <>
      <div className="filters-row">
        <Button onClick={() => setEditing('new')}>Create announcement</Button>
      </div>
      <ResourceTable
        label="Announcements"
        columns={columns(now)}
        rows={rows}
        rowKey={(a) => a.id}
        name={(a) => a.title}
        quiet={(a) => Date.parse(a.endsAt) <= now}
        actions={(a) => [
          { text: 'Edit announcement', run: () => setEditing(a) },
          ...(Date.parse(a.startsAt) <= now && Date.parse(a.endsAt) > now
            ? [
                {
                  text: 'End now',
                  run: () =>
                    update.mutate(
                      { ...withId(a.id), body: { endsAt: new Date(now).toISOString() } },
                      { onSuccess: () => toast(`${a.title} ended`) },
                    ),
                },
              ]
            : []),
          {
            text: 'Delete announcement',
            danger: true,
            run: () =>
              confirm({
                title: `Delete ${a.title}?`,
                body: 'It is no longer shown. Messages that are already queued are still sent.',
                action: 'Delete announcement',
                danger: true,
                run: () => remove.mutateAsync(withId(a.id)),
              }),
          },
        ]}
        empty={
          <EmptyState
            title="No announcements"
            action={<Button onClick={() => setEditing('new')}>Create announcement</Button>}
          >
            Announce maintenance or news to all accounts, or to those with machines at one provider: as a banner in the
            dashboard, by email, or both.
          </EmptyState>
        }
      />
      {editing && <AnnouncementDialog of={editing === 'new' ? undefined : editing} onClose={() => setEditing(null)} />}
    </>
  );
}

function state(a: Announcement, now: number): string {
  if (Date.parse(a.endsAt) <= now) return 'Ended';
  return Date.parse(a.startsAt) > now ? 'Scheduled' : 'Shown';
}

function columns(now: number): Column<Announcement>[] {
  return [
    {
      key: 'title',
      head: 'Announcement',
      cell: (a) => (
        <>
          <span className="cell-main strong">{a.title}</span>
          <span className="cell-sub">{a.text}</span>
        </>
      ),
    },
    {
      key: 'level',
      head: 'Level',
      width: '100px',
      cell: (a) => <Chip tone={tones[a.level]}>{a.level}</Chip>,
    },
    { key: 'state', head: 'State', width: '110px', cell: (a) => state(a, now) },
    {
      key: 'audience',
      head: 'For',
      width: '150px',
      from: 1150,
      cell: (a) => (a.provider ? [a.provider, a.region].filter(Boolean).join(' / ') : 'All accounts'),
    },
    {
      key: 'ways',
      head: 'Shown by',
      width: '120px',
      from: 1000,
      cell: (a) => [a.banner && 'Banner', a.mail && (a.mailedAt ? 'Mail (queued)' : 'Mail')].filter(Boolean).join(', '),
    },
    { key: 'starts', head: 'From', sort: 'startsAt', width: '180px', cell: (a) => <Time at={a.startsAt} /> },
    { key: 'ends', head: 'Until', sort: 'endsAt', width: '180px', cell: (a) => <Time at={a.endsAt} /> },
  ];
}
