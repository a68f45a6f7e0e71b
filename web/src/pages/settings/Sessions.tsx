import { Button } from '@mantine/core';
import { useEndOtherSessions, useEndSession, useSessions } from '../../api/members';
import { ErrorBox } from '../../parts/ErrorBox';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';

/** Where one is signed in. */
export function Sessions() {
  const sessions = useSessions();
  const end = useEndSession();
  const others = useEndOtherSessions();
  const rows = sessions.data ?? [];
  return (
    <section className="panel" aria-labelledby="sessions">
      <div className="panel-head">
        <h2 id="sessions">Sessions</h2>
        {rows.length > 1 && (
          <Button
            size="compact-sm"
            variant="default"
            loading={others.isPending}
            onClick={() => others.mutate(undefined, { onSuccess: () => toast('Your other sessions have ended') })}
          >
            End all others
          </Button>
        )}
      </div>
      <div className="panel-body stack">
        {rows.map((s) => (
          <div key={s.id} className="card-row">
            <span style={{ minWidth: 0 }}>
              <span className="cell-main strong" title={s.userAgent}>
                {browser(s.userAgent)} {s.current && <Chip tone="good">this one</Chip>}
              </span>
              <span className="cell-sub">
                {s.address} · seen <Ago at={s.seenAt} /> · since <Ago at={s.createdAt} />
              </span>
            </span>
            {!s.current && (
              <Button
                size="compact-sm"
                variant="subtle"
                color="gray"
                loading={end.isPending && end.variables === s.id}
                onClick={() => end.mutate(s.id)}
                aria-label={`End the session of ${browser(s.userAgent)} from ${s.address}`}
              >
                End
              </Button>
            )}
          </div>
        ))}
        <ErrorBox error={sessions.error ?? end.error ?? others.error} />
      </div>
    </section>
  );
}

/** A user agent in words: enough to recognise one's own. */
function browser(agent: string): string {
  const name = [
    ['Edg/', 'Edge'],
    ['OPR/', 'Opera'],
    ['Firefox/', 'Firefox'],
    ['Chrome/', 'Chrome'],
    ['Safari/', 'Safari'],
    ['curl/', 'curl'],
  ].find(([mark]) => agent.includes(mark ?? ''))?.[1];
  const system = [
    ['iPhone', 'iPhone'],
    ['iPad', 'iPad'],
    ['Android', 'Android'],
    ['Windows', 'Windows'],
    ['Mac OS', 'macOS'],
    ['Linux', 'Linux'],
  ].find(([mark]) => agent.includes(mark ?? ''))?.[1];
  return [name ?? (agent.slice(0, 40) || 'Unknown'), system].filter(Boolean).join(' on ');
}
