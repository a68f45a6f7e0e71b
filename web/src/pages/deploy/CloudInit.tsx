import { Button, FileButton, Group, Textarea } from '@mantine/core';
import { formatNumber } from '../../parts/locale';

interface Props {
  text: string;
  onChange: (text: string) => void;
  error?: string;
}

export function CloudInit({ text, onChange, error }: Props) {
  return (
    <div>
      <Textarea
        label="cloud-init"
        description="cloud-config to run on first boot"
        placeholder={'#cloud-config\npackages:\n  - htop'}
        value={text}
        onChange={(e) => onChange(e.currentTarget.value)}
        error={error}
        autosize
        minRows={4}
        maxRows={16}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.82rem' } }}
      />
      <Group gap="xs" mt={6}>
        <FileButton accept=".yaml,.yml,.txt,text/*" onChange={(file) => void file?.text().then(onChange)}>
          {(props) => (
            <Button {...props} size="compact-sm" variant="default">
              Load file
            </Button>
          )}
        </FileButton>
        {text && <span className="small dim">{formatNumber(new Blob([text]).size)} of 65,536 bytes</span>}
      </Group>
    </div>
  );
}
