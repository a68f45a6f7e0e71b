import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link } from 'react-router';
import { call, type Schema } from '../../api/client';
import { bulkPath } from '../../api/deployments';
import { useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { sentence } from '../../parts/text';
import { toast } from '../../parts/toast';

export type BulkRequest = Omit<Schema['BulkDeployments'], 'ids' | 'filter' | 'dryRun'>;
export type BulkResult = Schema['BulkResults']['results'][number];

interface Props {
  ids: string[];
  /** What is done, but for the deployments; null while the form is not complete. */
  request: BulkRequest | null;
  title: string;
  /** The label of the button, before the number of deployments. */
  command: string;
  danger?: boolean;
  /** What the action will do to a deployment, and has done to it. */
  will: (r: BulkResult) => string;
  done: string;
  /** A column of its own, such as what is refunded. */
  column?: { head: string; cell: (r: BulkResult) => ReactNode };
  /** The form, above the list. */
  children: ReactNode;
  /** What follows the list. */
  after?: (results: BulkResult[]) => ReactNode;
  onClose: () => void;
  /** Called when everything was done. */
  onDone: () => void;
}

/**
 * Does one action with many deployments by one call. It shows before what would happen to each, and
 * afterwards what was refused.
 */
export function BulkDialog(p: Props) {
  const preview = useQuery({
    queryKey: [bulkPath, 'preview', p.ids, p.request],
    queryFn: () => call('post', bulkPath, { body: { ...(p.request as BulkRequest), ids: p.ids, dryRun: true } }),
    enabled: p.request !== null,
    gcTime: 0,
    retry: false,
  });
  const send = useSend('post', bulkPath);
  const [sent, setSent] = useState<BulkResult[] | null>(null);
  const possible = preview.data?.results.filter((r) => r.ok) ?? [];
  if (sent)
    return (
      <FormDialog title={`${p.command}: results`} submit="Done" final size="lg" onSubmit={p.onDone} onClose={p.onDone}>
        <div role="status">
          {deployments(sent.filter((r) => r.ok).length)} {p.done}. {deployments(sent.filter((r) => !r.ok).length)}{' '}
          refused.
        </div>
        <Results label="Results" results={sent} text={() => sentence(p.done)} column={p.column} />
      </FormDialog>
    );
  return (
    <FormDialog
      title={p.title}
      submit={p.request && preview.data ? `${p.command} ${deployments(possible.length)}` : p.command}
      danger={p.danger}
      size="lg"
      disabled={p.request === null || possible.length === 0}
      busy={send.isPending}
      error={send.error ?? (p.request && preview.error)}
      onSubmit={() =>
        send.mutate(
          { body: { ...(p.request as BulkRequest), ids: possible.map((r) => r.id) } },
          {
            onSuccess: ({ results }) => {
              const refused = [...results, ...(preview.data?.results ?? [])].filter((r) => !r.ok);
              if (refused.length > 0) return setSent([...results.filter((r) => r.ok), ...refused]);
              toast(`${deployments(results.length)} ${p.done}`);
              p.onDone();
            },
          },
        )
      }
      onClose={p.onClose}
    >
      {p.children}
      {p.request && !preview.error && (
        <Loaded query={preview}>
          {({ results }) => <Results label="Deployments" results={results} text={(r) => p.will(r)} column={p.column} />}
        </Loaded>
      )}
      {preview.data && p.after?.(preview.data.results)}
    </FormDialog>
  );
}

interface ResultsProps {
  label: string;
  results: BulkResult[];
  text: (r: BulkResult) => string;
  column?: Props['column'];
}

function Results({ label, results, text, column }: ResultsProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keyboard
    <section className="bulk-list" tabIndex={0} aria-label={label}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Deployment</th>
            <th scope="col">Result</th>
            {column && (
              <th scope="col" data-end>
                {column.head}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {results.map((r) => (
            <tr key={r.id}>
              <td>
                <Link to={`/deployments/${r.id}`} className="plain-link">
                  {r.name || r.id}
                </Link>
              </td>
              <td>{r.error ? <span className="refused">{sentence(r.error.message)}</span> : text(r)}</td>
              {column && <td data-end>{column.cell(r)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function deployments(n: number): string {
  return n === 1 ? '1 deployment' : `${n} deployments`;
}
