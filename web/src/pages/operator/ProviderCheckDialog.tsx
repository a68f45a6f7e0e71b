import { Modal } from '@mantine/core';
import { useEffect } from 'react';
import { useSend, withId } from '../../api/hooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { Chip } from '../../parts/Status';

const tones = { agrees: 'good', differs: 'warn', failed: 'bad', skipped: 'idle' } as const;

interface Props {
  slug: string;
  name: string;
}

/** Asks a provider what its adapter expects, and shows the answers. Nothing is changed there. */
export function ProviderCheckDialog({ slug, name, onClose }: Props & { onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={`Check ${name}`} size="lg">
      <ProviderCheck slug={slug} name={name} />
    </Modal>
  );
}

/** The check, which begins at once. */
export function ProviderCheck({ slug, name }: Props) {
  const { mutate, data, error } = useSend('post', '/api/v1/operator/provider-accounts/{id}/check');
  useEffect(() => mutate(withId(slug)), [mutate, slug]);
  return (
    <div className="stack" aria-live="polite">
      {error ? <ErrorBox error={error} retry={() => mutate(withId(slug))} /> : null}
      {!error && !data && <p className="dim">Waiting for {name}. This can take a minute.</p>}
      {data && (
        <>
          <p>{data.passed ? `${name} answers as expected.` : `${name} does not answer as expected.`}</p>
          <ul style={{ listStyle: 'none', margin: 0, padding: 0, display: 'grid', gap: 10 }}>
            {data.checks.map((c) => (
              <li key={`${c.what} ${c.detail}`}>
                <Chip tone={tones[c.verdict]}>{c.verdict}</Chip> {c.what}
                {c.detail && (
                  <div className="small dim" style={{ overflowWrap: 'anywhere' }}>
                    {c.detail}
                  </div>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
