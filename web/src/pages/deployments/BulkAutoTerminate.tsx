import { useState } from 'react';
import { serverNow } from '../../api/clock';
import { AutoTerminate } from '../deploy/AutoTerminate';
import { endOf } from '../deploy/request';
import { BulkDialog, deployments } from './BulkDialog';

interface Props {
  ids: string[];
  onClose: () => void;
  onDone: () => void;
}

/** Sets when many deployments auto-terminate. */
export function BulkAutoTerminate({ ids, onClose, onDone }: Props) {
  const [end, setEnd] = useState('12');
  // Fixed with the choice: a time that moves with the clock would be another request each time.
  const [at, setAt] = useState<number | null>(() => endOf('12', serverNow()));
  const valid = at === null || Number.isFinite(at);
  return (
    <BulkDialog
      ids={ids}
      request={
        valid ? { action: 'setAutoTerminate', autoTerminateAt: at === null ? null : new Date(at).toISOString() } : null
      }
      title={`Set auto-termination of ${deployments(ids.length)}`}
      command="Change"
      will={() => (at === null ? 'Will not auto-terminate.' : 'Will auto-terminate then.')}
      done="changed"
      onClose={onClose}
      onDone={onDone}
    >
      <AutoTerminate
        end={end}
        onChange={(next) => {
          setEnd(next);
          setAt(endOf(next, serverNow()));
        }}
      />
    </BulkDialog>
  );
}
