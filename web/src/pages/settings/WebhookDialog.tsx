import { Alert, Button, Group, Modal, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { webhookTypes } from '../../api/eventTypes';
import { type NewWebhook, useCreateWebhook, useUpdateWebhook, type Webhook } from '../../api/webhooks';
import { CopyField } from '../../parts/Copy';
import { ErrorBox } from '../../parts/ErrorBox';
import { toast } from '../../parts/toast';

interface Props {
  /** The webhook to change; null to make one. */
  of: Webhook | null;
  onClose: () => void;
  onMade: (w: NewWebhook) => void;
}

export function WebhookDialog({ of: w, onClose, onMade }: Props) {
  const [url, setUrl] = useState(w?.url ?? '');
  const [description, setDescription] = useState(w?.description ?? '');
  const [wanted, setWanted] = useState<string[]>(w?.types ?? []);
  const create = useCreateWebhook();
  const update = useUpdateWebhook();
  const busy = create.isPending || update.isPending;
  const thrown = create.error ?? update.error;
  const error = thrown instanceof ApiError ? thrown : null;
  const fault = (field: string) => error?.fields.find((f) => f.field.startsWith(field))?.message;
  const submit = () => {
    const body = { url: url.trim(), description: description.trim(), types: wanted };
    if (!w) return create.mutate(body, { onSuccess: onMade });
    update.mutate(
      { id: w.id, ...body },
      {
        onSuccess: () => {
          toast('Saved');
          onClose();
        },
      },
    );
  };
  return (
    <Modal opened onClose={onClose} title={w ? 'Change the webhook' : 'Create a webhook'} size="lg">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (!busy) submit();
        }}
      >
        <TextInput
          label="URL"
          description="Where events are sent: https, on a public address"
          placeholder="https://example.com/billet"
          value={url}
          onChange={(e) => setUrl(e.currentTarget.value)}
          error={fault('url')}
          maxLength={2000}
          required
          data-autofocus
          autoComplete="off"
          spellCheck={false}
        />
        <TextInput
          label="Description"
          placeholder="scheduler, chat…"
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
          error={fault('description')}
          maxLength={200}
          autoComplete="off"
        />
        <TagsInput
          label="Event types"
          description="Such as deployment.running, or deployment.* for all that begin so; everything where there are none"
          placeholder={wanted.length ? undefined : 'everything'}
          data={webhookTypes}
          value={wanted}
          onChange={setWanted}
          maxTags={50}
          error={fault('types')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear the types' }}
        />
        {thrown && (error?.fields.length ?? 0) === 0 && <ErrorBox error={thrown} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={!url.trim()}>
            {w ? 'Save' : 'Create webhook'}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

/** The one time that a secret is shown. Closing takes a deliberate press: a slip would lose it. */
export function SecretShown({ of: w, onClose }: { of: NewWebhook; onClose: () => void }) {
  return (
    <Modal
      opened
      onClose={onClose}
      title="The signing secret"
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <div className="stack">
        <Alert color="amber" variant="outline">
          Copy it now. It is not shown again.
          {w.oldSecretValidUntil && ' For 24 hours requests are signed with the one before, too.'}
        </Alert>
        <CopyField value={w.secret} label="Signing secret" />
        <div className="small dim">
          Every request is signed with it, by the Standard Webhooks specification. Whoever receives them must check the
          signature: anybody can send to an address.
        </div>
        <Group justify="flex-end">
          <Button onClick={onClose}>I have it</Button>
        </Group>
      </div>
    </Modal>
  );
}
