import { Checkbox, PasswordInput } from '@mantine/core';
import { useState } from 'react';
import { useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

/** Replaces a provider's API key. A key that shows none of our machines needs a confirmation. */
export function ProviderKeyDialog({ slug, name, onClose }: { slug: string; name: string; onClose: () => void }) {
  const update = useSend('patch', '/api/v1/operator/provider-accounts/{id}');
  const [apiKey, setApiKey] = useState('');
  const [force, setForce] = useState(false);
  const submit = () =>
    update.mutate(
      { ...withId(slug), body: { apiKey: apiKey.trim(), ...(force && { force }) } },
      {
        onSuccess: () => {
          toast(`API key of ${name} replaced`);
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title={`Replace API key of ${name}`}
      submit="Replace API key"
      disabled={!apiKey.trim()}
      busy={update.isPending}
      error={update.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <PasswordInput
        label="New API key"
        description="It is encrypted and never shown again."
        autoComplete="off"
        value={apiKey}
        onChange={(e) => setApiKey(e.currentTarget.value)}
        required
        data-autofocus
      />
      {update.error && (
        <Checkbox
          label="Use this key even if it does not show Billet's machines and volumes there"
          checked={force}
          onChange={(e) => setForce(e.currentTarget.checked)}
        />
      )}
    </FormDialog>
  );
}
