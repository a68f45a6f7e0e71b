import { Button, Group, TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import type { SettingsGroup } from '../../../api/settings';
import { ErrorBox } from '../../../parts/ErrorBox';
import { PageSkeleton } from '../../../parts/Skeletons';
import { toast } from '../../../parts/toast';

interface Props {
  of: SettingsGroup;
  /** What the button saves, such as "mail server". */
  what: string;
  /** Why what is typed cannot be saved yet. */
  invalid?: boolean;
  children: ReactNode;
}

/** The form of a group of settings. It saves what was changed, and nothing else. */
export function GroupForm({ of: g, what, invalid = false, children }: Props) {
  if (!g.ready) return <PageSkeleton />;
  return (
    <form
      className="stack"
      onSubmit={(e) => {
        e.preventDefault();
        g.save.mutate(undefined, { onSuccess: () => toast('Saved. Every server follows within seconds.') });
      }}
      noValidate
    >
      {children}
      <ErrorBox error={g.general} />
      <Group gap="xs">
        <Button type="submit" disabled={!g.unsaved || invalid} loading={g.save.isPending}>
          Save {what}
        </Button>
        {g.conflict ? (
          <Button variant="default" onClick={() => void g.reload()}>
            Load current values
          </Button>
        ) : (
          g.unsaved && (
            <Button variant="subtle" color="gray" onClick={() => void g.reload()}>
              Discard changes
            </Button>
          )
        )}
      </Group>
    </form>
  );
}

interface FieldProps {
  of: SettingsGroup;
  name: string;
  label: string;
  description: string;
  placeholder?: string;
  type?: 'email' | 'url';
  maxLength?: number;
  required?: boolean;
  /** Runs after the setting has changed. */
  onText?: (text: string) => void;
}

/** A setting that is a text. */
export function TextSetting({ of: g, name, onText, ...field }: FieldProps) {
  return (
    <TextInput
      {...field}
      value={String(g.get(name) ?? '')}
      onChange={(e) => {
        g.set(name, e.currentTarget.value);
        onText?.(e.currentTarget.value);
      }}
      error={g.error(name)}
      autoComplete="off"
    />
  );
}
