import { Checkbox } from '@mantine/core';
import { useState } from 'react';
import { Money } from '../../parts/Money';
import { micro, sum } from '../../parts/money';
import { BulkDialog, type BulkResult, deployments } from './BulkDialog';

interface Props {
  ids: string[];
  onClose: () => void;
  onDone: () => void;
}

/** Lists what would end and what is refunded, and ends it. */
export function BulkTerminate({ ids, onClose, onDone }: Props) {
  const [earliest, setEarliest] = useState(false);
  return (
    <BulkDialog
      ids={ids}
      request={{ action: 'terminate', when: earliest ? 'earliest' : 'now' }}
      title={`Terminate ${deployments(ids.length)}?`}
      command="Terminate"
      danger
      will={(r) => (r.queued ? 'Terminates once the minimum runtime is met.' : 'Terminates now.')}
      done="terminating"
      column={{ head: 'Returned', cell: (r) => <Money amount={returned(r)} /> }}
      after={(results) => (
        <>
          <div>
            Returned to the wallet:{' '}
            <b>
              <Money amount={sum(...results.filter((r) => r.ok).map(returned))} />
            </b>
          </div>
          {(earliest || results.some((r) => r.error?.code === 'MINIMUM_RUNTIME_NOT_MET')) && (
            <Checkbox
              label="Terminate the others once their minimum runtime is met"
              checked={earliest}
              onChange={(e) => setEarliest(e.currentTarget.checked)}
            />
          )}
        </>
      )}
      onClose={onClose}
      onDone={onDone}
    >
      <div>This permanently deletes the machines and their local disks. Attached volumes are kept.</div>
    </BulkDialog>
  );
}

function returned(r: BulkResult) {
  return sum(micro(r.refund), micro(r.release));
}
