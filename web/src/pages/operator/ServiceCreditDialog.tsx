import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../api/hooks';
import { type OperatorDeployment, serviceCreditsPath } from '../../api/operator';
import { parseCount } from '../../parts/count';
import { FormDialog } from '../../parts/FormDialog';
import { formatMoney, micro } from '../../parts/money';
import { toast } from '../../parts/toast';

interface Props {
  /** The deployment, if it is known; else its ID is asked for. */
  of?: OperatorDeployment;
  onClose: () => void;
}

/** Proposes a service credit for GPUs that failed, which is not measured. */
export function ServiceCreditDialog({ of: d, onClose }: Props) {
  const create = useSend('post', serviceCreditsPath);
  const [deployment, setDeployment] = useState(d?.id ?? '');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [failed, setFailed] = useState(d?.gpuCount === 1 ? '1' : '');
  const [note, setNote] = useState('');
  const gpus = parseCount(failed, d?.gpuCount ?? 1000);
  const backwards = from !== '' && to !== '' && to <= from;
  const errors = fieldErrors(create.error);
  const submit = () => {
    if (!gpus) return;
    const body = {
      deploymentId: deployment.trim(),
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
      failedGpus: gpus,
      ...(note.trim() && { note: note.trim() }),
    };
    create.mutate(
      { body },
      {
        onSuccess: (c) => {
          toast(`${formatMoney(micro(c.amount), 2, 2)} for ${c.deploymentName} proposed`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={d ? `Create service credit for ${d.name}` : 'Create service credit'}
      submit="Create service credit"
      size="lg"
      disabled={!deployment.trim() || !from || !to || !gpus || backwards}
      busy={create.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <div>The amount follows from the charged hours. It is credited to the account when it is approved.</div>
      {!d && (
        <TextInput
          label="Deployment ID"
          description="As Operator → Deployments shows it"
          placeholder="dep_…"
          value={deployment}
          maxLength={40}
          onChange={(e) => setDeployment(e.currentTarget.value)}
          error={errors.at('deploymentId')}
          autoComplete="off"
          required
          data-autofocus
        />
      )}
      <div className="split">
        <TextInput
          type="datetime-local"
          label="From"
          description="When the GPUs stopped working, in your time zone"
          value={from}
          onChange={(e) => setFrom(e.currentTarget.value)}
          error={errors.at('from') ?? (d && errors.at('deploymentId'))}
          required
          data-autofocus={d ? true : undefined}
        />
        <TextInput
          type="datetime-local"
          label="To"
          description="When they worked again, or the bill ended"
          value={to}
          onChange={(e) => setTo(e.currentTarget.value)}
          error={backwards ? 'Choose a later time than the first.' : errors.at('to')}
          required
        />
      </div>
      <TextInput
        label="Failed GPUs"
        description={
          d
            ? `Of the machine's ${d.gpuCount === 1 ? 'one GPU' : `${d.gpuCount} GPUs`}`
            : "How many of the machine's GPUs did not work"
        }
        inputMode="numeric"
        value={failed}
        onChange={(e) => setFailed(e.currentTarget.value)}
        error={gpus === undefined ? `Enter a number from 1 to ${d?.gpuCount ?? 1000}.` : errors.at('failedGpus')}
        autoComplete="off"
        required
      />
      <TextInput
        label="Note"
        description="Optional. The account reads it."
        value={note}
        maxLength={200}
        onChange={(e) => setNote(e.currentTarget.value)}
        error={errors.at('note')}
      />
    </FormDialog>
  );
}
