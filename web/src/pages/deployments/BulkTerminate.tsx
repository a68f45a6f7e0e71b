import { Checkbox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client';
import { bulkPath } from '../../api/deployments';
import { useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Money } from '../../parts/Money';
import { micro, sum } from '../../parts/money';
import { sentence } from '../../parts/text';
import { toast } from '../../parts/toast';

/** Lists what would end and what is refunded, and ends it by one call. */
export function BulkTerminate({ ids, onClose, onDone }: { ids: string[]; onClose: () => void; onDone: () => void }) {
  const [earliest, setEarliest] = useState(false);
  const when = earliest ? 'earliest' : 'now';
  const preview = useQuery({
    queryKey: [bulkPath, 'preview', ids, when],
    queryFn: () => call('post', bulkPath, { body: { action: 'terminate', ids, when, dryRun: true } }),
    gcTime: 0,
  });
  const terminate = useSend('post', bulkPath);
  const results = preview.data?.results ?? [];
  const possible = results.filter((r) => r.ok);
  const tooEarly = results.some((r) => r.error?.code === 'MINIMUM_RUNTIME_NOT_MET');
  return (
    <FormDialog
      title={`Terminate ${deployments(ids.length)}?`}
      submit={`Terminate ${deployments(possible.length)}`}
      danger
      size="lg"
      disabled={possible.length === 0}
      busy={terminate.isPending}
      error={terminate.error}
      onSubmit={() =>
        terminate.mutate(
          { body: { action: 'terminate', ids: possible.map((r) => r.id), when } },
          {
            onSuccess: (done) => {
              const failed = done.results.filter((r) => !r.ok).length;
              toast(
                failed > 0
                  ? `${deployments(failed)} could not be terminated`
                  : `Terminating ${deployments(done.results.length)}`,
              );
              onDone();
            },
          },
        )
      }
      onClose={onClose}
    >
      <div>This permanently deletes the machines and their local disks. Attached volumes are kept.</div>
      <Loaded query={preview}>
        {(p) => (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keyboard
          <section className="bulk-list" tabIndex={0} aria-label="Deployments to terminate">
            <table className="plain-table">
              <thead>
                <tr>
                  <th scope="col">Deployment</th>
                  <th scope="col">Result</th>
                  <th scope="col" data-end>
                    Returned
                  </th>
                </tr>
              </thead>
              <tbody>
                {p.results.map((r) => (
                  <tr key={r.id}>
                    <td>{r.name || r.id}</td>
                    <td>
                      {r.error
                        ? sentence(r.error.message)
                        : r.queued
                          ? 'Terminates once the minimum runtime is met'
                          : 'Terminates now'}
                    </td>
                    <td data-end>
                      <Money amount={sum(micro(r.refund), micro(r.release))} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        )}
      </Loaded>
      <div>
        Returned to the wallet:{' '}
        <b>
          <Money amount={sum(...possible.flatMap((r) => [micro(r.refund), micro(r.release)]))} />
        </b>
      </div>
      {(tooEarly || earliest) && (
        <Checkbox
          label="Terminate the others once their minimum runtime is met"
          checked={earliest}
          onChange={(e) => setEarliest(e.currentTarget.checked)}
        />
      )}
    </FormDialog>
  );
}

function deployments(n: number): string {
  return n === 1 ? '1 deployment' : `${n} deployments`;
}
