import { Alert, Checkbox, PasswordInput, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';
import { type Field, fields, type Reach, requestOf, textsOf, wrongIn } from './machineFields';
import './priceRules.css';

type Machine = Schema['Machine'];
const path = '/api/v1/operator/machines';

/** Adds one of the operator's own servers, or changes one. */
export function MachineDialog({ of: m, onClose }: { of?: Machine; onClose: () => void }) {
  const create = useSend('post', path);
  const update = useSend('patch', `${path}/{id}`);
  const stored = textsOf(m);
  const [reach, setReach] = useState<Reach>(m?.sshAddress ? 'ssh' : 'bmc');
  const [texts, setTexts] = useState(stored);
  const [rotate, setRotate] = useState(m?.rotatePassword ?? true);
  const saving = m ? update : create;
  const errors = fieldErrors(saving.error);
  const shown = fields.filter((f) => !f.of || f.of === reach);
  const body = {
    ...requestOf(shown, texts, stored),
    ...(reach === 'bmc' && rotate !== (m?.rotatePassword ?? true) && { rotatePassword: rotate }),
  };
  const done = (text: string) => ({
    onSuccess: () => {
      toast(text);
      onClose();
    },
  });
  const submit = () =>
    m
      ? update.mutate({ ...withId(m.id), body }, done(`${m.name} saved`))
      : create.mutate(
          { body },
          {
            onSuccess: (added) => {
              toast(
                added.sshPublicKey
                  ? `${added.name} added. Authorize its SSH key, which Edit shows, then inspect it.`
                  : `${added.name} added. Inspect it to put it up for sale.`,
              );
              onClose();
            },
          },
        );
  // The server names fields that no field here is for, such as those of the other kind.
  const elsewhere = errors.general ?? (errors.at(...shown.map((f) => f.name), 'rotatePassword') ? null : saving.error);
  return (
    <FormDialog
      title={m ? `Edit ${m.name}` : 'Add machine'}
      submit={m ? 'Save machine' : 'Add machine'}
      size="lg"
      busy={saving.isPending}
      disabled={shown.some((f) => wrongIn(f, texts[f.name])) || (m !== undefined && Object.keys(body).length === 0)}
      error={elsewhere}
      onSubmit={submit}
      onClose={onClose}
    >
      {m ? (
        !['enrolled', 'quarantined', 'retired'].includes(m.state) && (
          <Alert color="gray" variant="outline">
            The BMC, SSH, network, region, fabric and hardware change only while the machine is enrolled, quarantined or
            retired.
          </Alert>
        )
      ) : (
        <SegmentedControl
          aria-label="How the machine is reached"
          value={reach}
          onChange={(r) => setReach(r as Reach)}
          data={[
            { value: 'bmc', label: 'Has a BMC' },
            { value: 'ssh', label: 'Answers SSH only' },
          ]}
        />
      )}
      {reach === 'ssh' && (
        <Alert color="amber" variant="outline" title="For trusted tenants only">
          Without a BMC, a tenant with root can lock Billet out. Only accounts that you trust see its offer: open an
          account to trust it.
          {m?.sshPublicKey && (
            <>
              {' '}
              This user must accept the public key <code style={{ overflowWrap: 'anywhere' }}>{m.sshPublicKey}</code>
            </>
          )}
        </Alert>
      )}
      <div className="price-fields">
        {shown.map((f) => (
          <Input
            key={f.name}
            field={f}
            text={texts[f.name] ?? ''}
            onChange={(text) => setTexts((old) => ({ ...old, [f.name]: text }))}
            error={wrongIn(f, texts[f.name]) ?? errors.at(f.name)}
            stored={m !== undefined}
          />
        ))}
      </div>
      {reach === 'bmc' && (
        <Checkbox
          label="Replace the BMC password with a random one after each tenant"
          checked={rotate}
          onChange={(e) => setRotate(e.currentTarget.checked)}
          error={errors.at('rotatePassword')}
        />
      )}
    </FormDialog>
  );
}

interface InputProps {
  field: Field;
  text: string;
  onChange: (text: string) => void;
  error?: string;
  /** Whether the machine exists, so that a secret may be left as it is. */
  stored: boolean;
}

function Input({ field: f, text, onChange, error, stored }: InputProps) {
  const common = {
    label: f.label,
    placeholder: f.kind === 'secret' && stored ? 'unchanged' : f.example,
    value: text,
    onChange: (e: { currentTarget: { value: string } }) => onChange(e.currentTarget.value),
    error,
    autoComplete: 'off',
  };
  if (f.name === 'sshPrivateKey') return <Textarea {...common} autosize minRows={1} maxRows={4} spellCheck={false} />;
  if (f.kind === 'secret') return <PasswordInput {...common} autoComplete="new-password" />;
  return <TextInput {...common} inputMode={f.kind === 'number' ? 'decimal' : undefined} />;
}
