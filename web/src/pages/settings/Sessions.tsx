import { Button } from '@mantine/core';
import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { Panel } from '../../parts/Panel';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { browserOf } from './browser';

type Session = Schema['SessionInfo'];

/** The user's sessions in all browsers. */
export function Sessions() {
  const sessions = useAll('/api/v1/account/sessions');
  const end = useSend('delete', '/api/v1/account/sessions/{id}');
  const endOthers = useSend('delete', '/api/v1/account/sessions/others');
  const rows = useListRows(sessions);
  return (
    <Panel
      title="Sessions"
      bare
      actions={
        rows.count > 1 && (
          <Button
            size="compact-sm"
            variant="default"
            loading={endOthers.isPending}
            onClick={() => endOthers.mutate({}, { onSuccess: () => toast('Signed out of all other sessions') })}
          >
            Sign out of all other sessions
          </Button>
        )
      }
    >
      <ResourceTable
        label="Sessions"
        columns={columns}
        rows={rows}
        rowKey={(s) => s.id}
        name={(s) => `the session of ${browserOf(s.userAgent)} from ${s.address}`}
        empty={null}
        actions={(s) => (s.current ? [] : [{ text: 'Sign out', run: () => end.mutate(withId(s.id)), danger: true }])}
      />
      <ErrorBox error={end.error ?? endOthers.error} />
    </Panel>
  );
}

const columns: Column<Session>[] = [
  {
    key: 'browser',
    head: 'Browser',
    cell: (s) => (
      <span title={s.userAgent}>
        <span className="strong">{browserOf(s.userAgent)}</span> {s.current && <Chip tone="good">this session</Chip>}
        <span className="cell-sub">{s.address}</span>
      </span>
    ),
  },
  { key: 'seen', head: 'Last active', width: '130px', cell: (s) => <Ago at={s.seenAt} /> },
  { key: 'created', head: 'Signed in', width: '130px', cell: (s) => <Ago at={s.createdAt} /> },
];
