import { Button, Group, Modal } from '@mantine/core';
import { type APIKey, type NewAPIKey, useCreateApiKey, useUpdateApiKey } from '../../api/apiKeys';
import { ApiError } from '../../api/client';
import { ErrorBox } from '../../parts/ErrorBox';
import { toast } from '../../parts/toast';
import { KeyFields, useKeyForm } from './KeyForm';

interface Props {
  /** The key to change; null to make one. */
  of: APIKey | null;
  onClose: () => void;
  onMade: (key: NewAPIKey) => void;
}

export function KeyDialog({ of: k, onClose, onMade }: Props) {
  const form = useKeyForm(k);
  const create = useCreateApiKey();
  const update = useUpdateApiKey(k?.id ?? '');
  const busy = create.isPending || update.isPending;
  const error = create.error ?? update.error;
  const submit = () => {
    if (!k) return create.mutate(form.made(), { onSuccess: onMade });
    update.mutate(form.changes(), {
      onSuccess: () => {
        toast('Saved');
        onClose();
      },
    });
  };

  return (
    <Modal opened onClose={onClose} title={k ? `Change ${k.name}` : 'Create a key'} size="lg">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (!busy) submit();
        }}
      >
        <KeyFields form={form} error={error} />
        {error && !(error instanceof ApiError && error.fields.length > 0) && <ErrorBox error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={!form.ready}>
            {k ? 'Save' : 'Create key'}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
