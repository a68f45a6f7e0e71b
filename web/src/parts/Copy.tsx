import { ActionIcon, Tooltip, VisuallyHidden } from '@mantine/core';
import { useEffect, useState } from 'react';
import { CheckIcon, CopyIcon } from '../app/icons';
import { copyText } from './clipboard';
import './copy.css';

/** A button that copies, and confirms it. */
export function CopyButton({ value, label }: { value: string; label: string }) {
  const [copied, setCopied] = useState<'yes' | 'no' | null>(null);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(null), 1600);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () =>
    copyText(value).then(
      () => setCopied('yes'),
      () => setCopied('no'),
    );
  const result = copied === 'yes' ? 'Copied' : copied === 'no' ? 'Copying failed. Select the text instead.' : null;
  return (
    <Tooltip label={result ?? `Copy ${label}`}>
      <ActionIcon variant="subtle" color="gray" size="md" aria-label={`Copy ${label}`} onClick={() => void copy()}>
        {copied === 'yes' ? <CheckIcon /> : <CopyIcon />}
        <VisuallyHidden aria-live="polite">{copied === 'yes' ? `${label} copied` : (result ?? '')}</VisuallyHidden>
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
