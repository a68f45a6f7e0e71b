import { Radio, Stack, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import type { OperatorAccount } from '../../api/operator';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

type Terminate = NonNullable<Schema['SuspendAccount']['terminate']>;

const choices: Record<Terminate, string> = {
  never: 'Keep them running',
  earliest: 'Terminate each when its minimum runtime is met',
  now: 'Terminate all now',
};

/** Suspends an account: it can start nothing new, and reads why. */
export function SuspendDialog({ of: a, onClose }: { of: OperatorAccount; onClose: () => void }) {
  const suspend = useSend('post', '/api/v1/operator/accounts/{id}/suspend');
  const [reason, setReason] = useState(a.suspension?.reason ?? '');
  const [terminate, setTerminate] = useState<Terminate>('never');
  const errors = fieldErrors(suspend.error);
  const text = reason.replace(/\s+/g, ' ').trim();
  const submit = () =>
    suspend.mutate(
      { ...withId(a.id), body: { reason: text, terminate } },
      {
        onSuccess: () => {
          toast(`${a.name} is suspended`);
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title={`Suspend ${a.name}`}
      submit={terminate === 'now' ? 'Suspend and terminate' : 'Suspend'}
      danger
      disabled={!text}
      busy={suspend.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <p className="small dim">
        New deployments, power-ons and volumes are refused. The account can still view, terminate and pay.
      </p>
      <Textarea
        label="Reason"
        description="Shown to the account"
        value={reason}
        maxLength={500}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={errors.at('reason')}
        required
        data-autofocus
      />
      <Radio.Group
        label="Its deployments"
        value={terminate}
        onChange={(v) => setTerminate(v as Terminate)}
        description="Terminated machines lose their data. Volumes are kept."
      >
        <Stack gap={6} mt={6}>
          {Object.entries(choices).map(([value, label]) => (
            <Radio key={value} value={value} label={label} />
          ))}
        </Stack>
      </Radio.Group>
    </FormDialog>
  );
}
