import { PasswordInput, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useAll, useSend } from '../../api/hooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

interface Props {
  /** Receives the slug of the new account. */
  onAdded?: (slug: string) => void;
  onClose: () => void;
}

/** Adds an account at a provider. Its API key is written only. */
export function ProviderDialog({ onAdded, onClose }: Props) {
  const kinds = useAll('/api/v1/operator/provider-kinds');
  const add = useSend('post', '/api/v1/operator/provider-accounts');
  const [kind, setKind] = useState<string | null>(null);
  const [slug, setSlug] = useState('');
  const [baseUrl, setBaseUrl] = useState('');
  const [apiKey, setApiKey] = useState('');
  const [settings, setSettings] = useState<Record<string, string>>({});
  const chosen = kinds.data?.find((k) => k.kind === kind);
  const errors = fieldErrors(add.error);
  const submit = () => {
    if (!chosen) return;
    const given = Object.fromEntries(
      Object.entries(settings)
        .map(([name, value]) => [name, value.trim()] as const)
        .filter(([name, value]) => value !== '' && name in chosen.settings),
    );
    add.mutate(
      {
        body: {
          kind: chosen.kind,
          apiKey: apiKey.trim(),
          settings: given,
          ...(slug.trim() && { slug: slug.trim() }),
          ...(baseUrl.trim() && { baseUrl: baseUrl.trim() }),
        },
      },
      {
        onSuccess: (p) => {
          toast(`${p.name} added. Check it before you sell from it.`);
          onAdded?.(p.slug);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title="Add provider"
      submit="Add provider"
      disabled={!chosen || !apiKey.trim()}
      busy={add.isPending}
      error={errors.general ?? (errors.at('body') ? add.error : null)}
      onSubmit={submit}
      onClose={onClose}
    >
      {kinds.error ? <ErrorBox error={kinds.error} /> : null}
      <Select
        label="Cloud"
        data={kinds.data?.map((k) => ({ value: k.kind, label: k.name })) ?? []}
        value={kind}
        onChange={setKind}
        error={errors.at('kind')}
        required
        data-autofocus
      />
      <PasswordInput
        label="API key"
        description="It is encrypted and never shown again."
        autoComplete="off"
        value={apiKey}
        onChange={(e) => setApiKey(e.currentTarget.value)}
        error={errors.at('apiKey')}
        required
      />
      <TextInput
        label="Slug"
        description={`Identifier in the API. You cannot change it later.${chosen ? ` Default: ${chosen.kind}` : ''}`}
        value={slug}
        onChange={(e) => setSlug(e.currentTarget.value)}
        error={errors.at('slug')}
      />
      <TextInput
        label="Base URL"
        description="URL of the API. Leave empty to use the cloud's own. You cannot change it later."
        value={baseUrl}
        onChange={(e) => setBaseUrl(e.currentTarget.value)}
        error={errors.at('baseUrl')}
      />
      {Object.entries(chosen?.settings ?? {}).map(([name, description]) => (
        <TextInput
          key={name}
          label={name}
          description={description}
          value={settings[name] ?? ''}
          onChange={(e) => {
            const value = e.currentTarget.value;
            setSettings((old) => ({ ...old, [name]: value }));
          }}
        />
      ))}
    </FormDialog>
  );
}
