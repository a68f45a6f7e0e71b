import { ActionIcon, Tooltip, VisuallyHidden } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { CheckIcon, CopyIcon } from '../app/icons';
import './copy.css';

/** A button that copies, and says that it has. */
export function CopyButton({ value, label }: { value: string; label: string }) {
  const clipboard = useClipboard({ timeout: 1600 });
  return (
    <Tooltip label={clipboard.copied ? 'Copied' : `Copy ${label}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="md"
        aria-label={`Copy ${label}`}
        onClick={() => clipboard.copy(value)}
      >
        {clipboard.copied ? <CheckIcon /> : <CopyIcon />}
        <VisuallyHidden aria-live="polite">{clipboard.copied ? `${label} copied` : ''}</VisuallyHidden>
      </ActionIcon>
    </Tooltip>
  );
}

/** One line to copy, such as an address or a command. */
export function CopyField({ value, label }: { value: string; label: string }) {
  return (
    <div className="copy-field">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, which must work by keyboard too */}
      <code className="copy-text" tabIndex={0}>
        {value}
      </code>
      <CopyButton value={value} label={label} />
    </div>
  );
}

/** Several lines to copy. */
export function CodeBlock({ value, label }: { value: string; label: string }) {
  return (
    <div className="code-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which must work by keyboard too */}
      <section aria-label={label} tabIndex={0} className="code-scroll">
        <pre>
          <code>{value}</code>
        </pre>
      </section>
      <div className="code-copy">
        <CopyButton value={value} label={label} />
      </div>
    </div>
  );
}
