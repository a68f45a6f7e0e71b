import { Button } from '@mantine/core';
import { type Deployment, useCheckHealth, useHealth } from '../../api/deployments';
import { withId } from '../../api/hooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { Panel } from '../../parts/Panel';
import { Status } from '../../parts/Status';
import { Time } from '../../parts/Time';

type Verdict = NonNullable<Deployment['health']['verdict']>;

/** A verdict. "Not checked" has the color of none. */
function VerdictStatus({ of: v }: { of: Verdict | null }) {
  return <Status value={(v ?? 'not_checked').replace('_', ' ')} />;
}

/** The newest check of the GPUs. Renders nothing where the operator has none checked. */
export function Health({ of: d }: { of: Deployment }) {
  const report = useHealth(d);
  const check = useCheckHealth();
  if (d.health.policy === 'off') return null;
  const pending = report.data?.checks.some((c) => c.finishedAt === null) ?? false;
  const nodes = report.data?.latest?.nodes ?? [];
  return (
    <Panel
      title="GPU health"
      actions={
        d.status === 'running' &&
        d.health.access === 'keep' &&
        d.health.keyInstalled && (
          <Button
            size="compact-sm"
            variant="default"
            loading={pending || check.isPending}
            onClick={() => check.mutate({ ...withId(d.id), body: {} })}
          >
            Check GPUs
          </Button>
        )
      }
    >
      <ErrorBox error={check.error ?? report.error} />
      <Facts
        items={[
          ['Verdict', <VerdictStatus key="v" of={d.health.verdict} />],
          ['Reason', d.health.reason ?? undefined],
          ['Checked', d.health.checkedAt ? <Time key="t" at={d.health.checkedAt} /> : undefined],
          ["Billet's key", d.health.keyInstalled ? 'Installed; root on the machine can remove it' : 'None'],
        ]}
      />
      {nodes.length > 0 && (
        <details>
          <summary className="small">Single checks</summary>
          <div style={{ overflowX: 'auto', marginTop: 8 }}>
            <table className="plain-table" aria-label="Single checks">
              <thead>
                <tr>
                  {nodes.length > 1 && <th scope="col">Node</th>}
                  <th scope="col">Check</th>
                  <th scope="col">Verdict</th>
                  <th scope="col">Detail</th>
                </tr>
              </thead>
              <tbody>
                {nodes.flatMap((n) =>
                  n.checks.map((c) => (
                    <tr key={`${n.index} ${c.name}`}>
                      {nodes.length > 1 && <td>{n.index}</td>}
                      <td>{c.name.replaceAll('_', ' ')}</td>
                      <td>
                        <VerdictStatus of={c.verdict} />
                      </td>
                      <td>{c.detail}</td>
                    </tr>
                  )),
                )}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </Panel>
  );
}
