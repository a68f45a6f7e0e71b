import { SegmentedControl, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../api/hooks';
import type { Image } from '../../api/images';
import { CopyField } from '../../parts/Copy';
import { FormDialog } from '../../parts/FormDialog';
import { fileSize } from './words';

interface Props {
  onDone: (image: Image) => void;
  onClose: () => void;
}

/** Adds an image by its URL. Nothing is uploaded. */
export function AddImageDialog({ onDone, onClose }: Props) {
  const create = useSend('post', '/api/v1/inventory/images');
  const [name, setName] = useState('');
  const [url, setUrl] = useState('');
  const [format, setFormat] = useState<Image['format']>('qcow2');
  const [sha256, setSha256] = useState('');
  const [size, setSize] = useState('');
  const { at, general } = fieldErrors(create.error);
  const bytes = /^\d{1,15}$/.test(size.trim()) ? Number(size) : undefined;
  const isSum = /^[0-9a-f]{64}$/i.test(sha256.trim());
  return (
    <FormDialog
      title="Add image"
      submit="Add image"
      size="lg"
      busy={create.isPending}
      disabled={!name.trim() || !url.trim() || !isSum || bytes === undefined}
      error={general}
      onSubmit={() =>
        create.mutate(
          { body: { name: name.trim(), url: url.trim(), format, sha256: sha256.trim(), sizeBytes: bytes ?? 0 } },
          { onSuccess: onDone },
        )
      }
      onClose={onClose}
    >
      <TextInput
        label="Name"
        placeholder="rocky-cuda"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={at('name')}
        maxLength={64}
        required
        autoComplete="off"
        data-autofocus
      />
      <TextInput
        label="URL"
        description="An https URL at a public address. The machine downloads the file when it is installed"
        placeholder="https://images.example.com/rocky-cuda.qcow2"
        value={url}
        onChange={(e) => {
          const text = e.currentTarget.value;
          setUrl(text);
          // The ending nearly always tells.
          if (/\.qcow2$/i.test(text)) setFormat('qcow2');
          if (/\.raw$/i.test(text)) setFormat('raw');
        }}
        error={at('url')}
        maxLength={2000}
        required
        autoComplete="off"
        inputMode="url"
      />
      <div>
        <div className="small" id="image-format">
          Format
        </div>
        <SegmentedControl
          aria-labelledby="image-format"
          value={format}
          onChange={(f) => setFormat(f as Image['format'])}
          data={['qcow2', 'raw']}
        />
        {at('format') && <div className="refused small">{at('format')}</div>}
      </div>
      <TextInput
        label="SHA-256"
        description="The machine starts the image only if its file has this checksum"
        value={sha256}
        onChange={(e) => setSha256(e.currentTarget.value)}
        error={at('sha256') ?? (sha256.trim() && !isSum ? 'Enter the 64 hexadecimal digits.' : undefined)}
        required
        autoComplete="off"
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem' } }}
      />
      <TextInput
        label="Size in bytes"
        description={bytes !== undefined && bytes > 0 ? fileSize(bytes) : 'Of the file, at most 200 GB'}
        value={size}
        onChange={(e) => setSize(e.currentTarget.value)}
        error={at('sizeBytes') ?? (size.trim() && bytes === undefined ? 'Enter a whole number.' : undefined)}
        required
        autoComplete="off"
        inputMode="numeric"
      />
      <div>
        <div className="small dim" style={{ marginBottom: 4 }}>
          If you have the file, this command prints its SHA-256 and size:
        </div>
        <CopyField value="sha256sum image.qcow2; wc -c image.qcow2" label="command" />
      </div>
    </FormDialog>
  );
}
