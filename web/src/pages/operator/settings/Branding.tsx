import { Button } from '@mantine/core';
import { useRef, useState } from 'react';
import { fieldErrors, useSend } from '../../../api/hooks';
import { type Track, useSettings, useSettingsGroup } from '../../../api/settings';
import { ErrorBox } from '../../../parts/ErrorBox';
import { PageSkeleton } from '../../../parts/Skeletons';
import { toast } from '../../../parts/toast';
import { GroupForm, TextSetting } from './GroupForm';

/** The logo of this cloud. */
export function LogoForm() {
  const settings = useSettings();
  const upload = useSend('put', '/api/v1/operator/settings/logo');
  const remove = useSend('delete', '/api/v1/operator/settings/logo');
  const [unread, setUnread] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const logo = settings.data?.value.branding.logo;
  const send = async (file: File) => {
    setUnread(false);
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      let text = '';
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      upload.mutate(
        { body: { content: btoa(text) } },
        {
          onSuccess: () => toast('Logo saved'),
        },
      );
    } catch {
      setUnread(true);
    }
  };
  const errors = fieldErrors(upload.error);
  const wrong = errors.at('content');
  if (!settings.data) return <PageSkeleton />;
  return (
    <div className="stack">
      <div className="dim">
        PNG, JPEG or WebP, up to 256 KiB, from 16 to 1024 pixels wide and high. It is shown in the dashboard, on the
        public pages and in emails. A logo that is at least twice as wide as high replaces the name.
      </div>
      {logo ? (
        <div className="logo-preview">
          <img src={logo.url} width={logo.width} height={logo.height} alt="Current logo" />
          <span className="dim small">
            {logo.width} × {logo.height} pixels
          </span>
        </div>
      ) : (
        <div>The built-in logo is shown.</div>
      )}
      <div className="filters-row" style={{ marginBottom: 0 }}>
        <input
          ref={field}
          type="file"
          accept="image/png,image/jpeg,image/webp"
          className="file-input"
          aria-label="Logo file"
          tabIndex={-1}
          onChange={(e) => {
            const file = e.currentTarget.files?.[0];
            e.currentTarget.value = '';
            if (file) void send(file);
          }}
        />
        <Button loading={upload.isPending} onClick={() => field.current?.click()}>
          Upload logo
        </Button>
        {logo && (
          <Button
            variant="default"
            loading={remove.isPending}
            onClick={() =>
              remove.mutate(
                {},
                {
                  onSuccess: () => toast('Logo removed'),
                },
              )
            }
          >
            Remove logo
          </Button>
        )}
      </div>
      {wrong && (
        <div role="alert" className="field-wrong">
          The file {wrong}
        </div>
      )}
      {unread && (
        <div role="alert" className="field-wrong">
          The file cannot be read. Choose it again.
        </div>
      )}
      <ErrorBox error={errors.general ?? remove.error} />
    </div>
  );
}

/** The color of this cloud. */
export function ColorForm({ track }: { track: Track }) {
  const g = useSettingsGroup('branding', track);
  return (
    <GroupForm of={g} what="color">
      <TextSetting
        of={g}
        name="primaryColor"
        label="Primary color"
        description="Color of buttons and links, such as #1f6feb. Text on it needs a contrast of 4.5:1."
        placeholder="Built-in color"
        maxLength={7}
      />
    </GroupForm>
  );
}
