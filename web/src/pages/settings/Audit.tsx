import { Button, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { type AuditEntry, type AuditFilter, useAudit } from '../../api/members';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';
import '../../parts/table.css';

const names = ['actor', 'action', 'subject'] as const;

export default function Audit() {
  const [params, setParams] = useSearchParams();
  const [settled] = useDebouncedValue(params.toString(), 300);
  const filter = useMemo((): AuditFilter => {
    const p = new URLSearchParams(settled);
    const found: AuditFilter = {};
    for (const n of names) {
      const value = p.get(n)?.trim();
      if (value) found[n] = value;
    }
    return found;
  }, [settled]);
  const audit = useAudit(filter);
  const rows = audit.data?.pages.flatMap((p) => p.rows) ?? [];
  const set = (name: string, value: string) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  return (
    <>
      <PageHead title="Audit log">Every change in this account: who, what, from where. Nothing edits it.</PageHead>
      <search className="filters-row audit-filters">
        <TextInput
          type="search"
          aria-label="Who: id of a user or key"
          placeholder="Who (id)"
          value={params.get('actor') ?? ''}
          onChange={(e) => set('actor', e.currentTarget.value)}
        />
        <TextInput
          aria-label="What: name of the action"
          placeholder="What, such as createDeployment"
          value={params.get('action') ?? ''}
          onChange={(e) => set('action', e.currentTarget.value)}
        />
        <TextInput
          aria-label="On: id of the subject"
          placeholder="On (id)"
          value={params.get('subject') ?? ''}
          onChange={(e) => set('subject', e.currentTarget.value)}
        />
      </search>
      {!audit.data ? (
        audit.isError ? (
          <ErrorBox error={audit.error} retry={() => void audit.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : rows.length === 0 ? (
        <div className="panel panel-body dim">Nothing that fits.</div>
      ) : (
        <>
          <section className="panel table-wrap" aria-label="Audit log">
            <table className="plain-table stacked">
              <thead>
                <tr>
                  <th scope="col">When</th>
                  <th scope="col">Who</th>
                  <th scope="col">What</th>
                  <th scope="col" className="wide">
                    From
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((e) => (
                  <Row key={e.id} of={e} set={set} />
                ))}
              </tbody>
            </table>
          </section>
          {audit.hasNextPage && (
            <Button
              variant="default"
              mt="sm"
              loading={audit.isFetchingNextPage}
              onClick={() => void audit.fetchNextPage()}
            >
              Older
            </Button>
          )}
        </>
      )}
    </>
  );
}

function Row({ of: e, set }: { of: AuditEntry; set: (name: string, value: string) => void }) {
  return (
    <tr>
      <td>
        <Time at={e.at} seconds />
      </td>
      <td>
        <button type="button" className="bare" onClick={() => set('actor', e.actor.id)} title={`Only ${e.actor.id}`}>
          {e.actor.name || e.actor.id || e.actor.kind}
        </button>{' '}
        {e.actor.kind !== 'user' && <Chip>{e.actor.kind}</Chip>}
      </td>
      <td>
        <button type="button" className="bare" onClick={() => set('action', e.action)} title={`Only ${e.action}`}>
          {words(e.action)}
        </button>
        {e.subject && (
          <span className="cell-sub mono">
            <button
              type="button"
              className="bare"
              onClick={() => set('subject', e.subject)}
              title={`Only ${e.subject}`}
            >
              {e.subject}
            </button>
          </span>
        )}
      </td>
      <td className="wide">
        {e.address}
        <span className="cell-sub mono">{e.requestId}</span>
      </td>
    </tr>
  );
}

/** "createSshKey" as "create ssh key". */
function words(action: string): string {
  return action.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}
