import type { Schema } from '../../api/client';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';
import { ApiKeyFields, useApiKeyForm } from './ApiKeyFields';

interface Props {
  /** The key to edit; null to create one. */
  of: Schema['APIKey'] | null;
  onClose: () => void;
  onCreated: (key: Schema['NewAPIKey']) => void;
}

export function ApiKeyDialog({ of: k, onClose, onCreated }: Props) {
  const form = useApiKeyForm(k);
  const create = useSend('post', '/api/v1/account/api-keys');
  const update = useSend('patch', '/api/v1/account/api-keys/{id}');
  const error = create.error ?? update.error;
  const submit = () => {
    if (!k) return create.mutate({ body: form.created() }, { onSuccess: onCreated });
    update.mutate(
      { ...withId(k.id), body: form.changes() },
      {
        onSuccess: () => {
          toast('Saved');
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={k ? `Edit ${k.name}` : 'Create API key'}
      submit={k ? 'Save' : 'Create API key'}
      size="lg"
      disabled={!form.ready}
      busy={create.isPending || update.isPending}
      error={fieldErrors(error).general}
      onSubmit={submit}
      onClose={onClose}
    >
      <ApiKeyFields form={form} error={error} />
    </FormDialog>
  );
}
