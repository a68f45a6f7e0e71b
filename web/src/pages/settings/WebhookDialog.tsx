import { TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { webhookTypes } from '../../api/eventTypes';
import { fieldErrors, useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

interface Props {
  /** The webhook to edit; null to create one. */
  of: Schema['Webhook'] | null;
  onClose: () => void;
  onCreated: (w: Schema['NewWebhook']) => void;
}

export function WebhookDialog({ of: w, onClose, onCreated }: Props) {
  const [url, setUrl] = useState(w?.url ?? '');
  const [description, setDescription] = useState(w?.description ?? '');
  const [types, setTypes] = useState<string[]>(w?.types ?? []);
  const create = useSend('post', '/api/v1/inventory/webhooks');
  const update = useSend('patch', '/api/v1/inventory/webhooks/{id}');
  const { at, general } = fieldErrors(create.error ?? update.error);
  const submit = () => {
    const body = { url: url.trim(), description: description.trim(), types };
    if (!w) return create.mutate({ body }, { onSuccess: onCreated });
    update.mutate(
      { ...withId(w.id), body },
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
      title={w ? 'Edit webhook' : 'Create webhook'}
      submit={w ? 'Save' : 'Create webhook'}
      size="lg"
      disabled={!url.trim()}
      busy={create.isPending || update.isPending}
      error={general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="URL"
        description="An HTTPS URL on a public address"
        placeholder="https://example.com/billet"
        value={url}
        onChange={(e) => setUrl(e.currentTarget.value)}
        error={at('url')}
        maxLength={2000}
        required
        data-autofocus
        autoComplete="off"
        spellCheck={false}
      />
      <TextInput
        label="Description"
        placeholder="Scheduler, chat"
        value={description}
        onChange={(e) => setDescription(e.currentTarget.value)}
        error={at('description')}
        maxLength={200}
        autoComplete="off"
      />
      <TagsInput
        label="Event types"
        description="e.g. deployment.running or deployment.*. Leave empty for all events."
        placeholder={types.length ? undefined : 'All events'}
        data={webhookTypes}
        value={types}
        onChange={setTypes}
        maxTags={50}
        error={at('types')}
        clearable
        clearButtonProps={{ 'aria-label': 'Clear event types' }}
      />
    </FormDialog>
  );
}
