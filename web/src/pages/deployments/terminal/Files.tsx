import { Button, TextInput } from '@mantine/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Deployment } from '../../../api/deployments';
import type { Entry, Listing, Files as MachineFiles, Session } from '../../../api/ssh';
import { useConfirm } from '../../../parts/confirm';
import { ErrorBox } from '../../../parts/ErrorBox';
import { ResourceTable } from '../../../parts/ResourceTable';
import { useListRows } from '../../../parts/rows';
import { Time } from '../../../parts/Time';
import { joinPath, nameProblem, parentOf, safeName, shellQuote, sizeText } from './fileNames';
import { asSSHError } from './sshError';
import './files.css';
import { Transfers } from './Transfers';
import { useTransfers } from './transfers';

interface Props {
  /** Null while the terminal is not connected. */
  session: Session | null;
  of: Deployment;
  node: { ipAddress: string; sshPort: number } | undefined;
  onBusy: (busy: boolean) => void;
}

const isFolder = (e: Entry) => e.kind === 'folder' || e.linksTo === 'folder';
const isFile = (e: Entry) => e.kind === 'file' || e.linksTo === 'file';

/** The machine's files, by SFTP over the terminal's connection. */
export function Files({ session, of: d, node, onBusy }: Props) {
  const [files, setFiles] = useState<MachineFiles | null>(null);
  const [listing, setListing] = useState<Listing | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState('');
  const [dropping, setDropping] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const ask = useConfirm();
  const shown = useRef('.');
  const read = useRef(0);

  const open = useCallback(async (from: MachineFiles, path: string) => {
    const request = ++read.current;
    try {
      const next = await from.list(path);
      if (request !== read.current) return; // another folder was opened meanwhile
      shown.current = next.path;
      setListing(next);
      setTyped(next.path);
      setError(null);
    } catch (thrown) {
      if (request === read.current) setError(asSSHError(thrown));
    }
  }, []);

  useEffect(() => {
    if (!session) return;
    let gone = false;
    let opened: MachineFiles | null = null;
    session.files().then(
      (f) => {
        if (gone) return f.close();
        opened = f;
        setFiles(f);
        void open(f, shown.current);
      },
      (thrown) => {
        if (!gone) setError(asSSHError(thrown));
      },
    );
    return () => {
      gone = true;
      opened?.close();
      setFiles(null);
    };
  }, [session, open]);

  const reload = () => {
    if (files) void open(files, shown.current);
  };
  const transfers = useTransfers(files, reload);
  useEffect(() => onBusy(transfers.busy), [onBusy, transfers.busy]);
  const go = (path: string) => {
    if (files) void open(files, path);
  };
  const run = async (act: (f: MachineFiles) => Promise<void>) => {
    if (!files) throw new Error('The terminal is not connected.');
    try {
      await act(files);
    } catch (thrown) {
      throw asSSHError(thrown);
    } finally {
      reload();
    }
  };

  const folder = listing?.path ?? '';
  const upload = (chosen: File[], refused: number) => {
    if (refused > 0)
      setError(new Error('A folder cannot be uploaded. Pack it first, for example with tar, and upload the archive.'));
    if (!listing || chosen.length === 0) return;
    const taken = chosen.filter((f) => listing.entries.some((e) => e.name === f.name));
    const start = () => {
      for (const f of chosen) transfers.upload(joinPath(folder, f.name), f, taken.includes(f));
    };
    if (taken.length === 0) return start();
    ask({
      title: taken.length === 1 ? 'Replace the file?' : `Replace ${taken.length} files?`,
      body: (
        <>
          {safeName(folder)} already has <b>{taken.map((f) => safeName(f.name)).join(', ')}</b>. Uploading replaces the
          content.
        </>
      ),
      action: 'Replace',
      danger: true,
      run: start,
    });
  };
  const askName = (title: string, action: string, before: string, act: (name: string) => Promise<void>) =>
    ask({
      title,
      body: (
        <TextInput
          name="name"
          label="Name"
          defaultValue={before}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
      ),
      action,
      run: (form) => {
        const name = String(form.get('name') ?? '');
        const problem = nameProblem(name);
        if (problem) throw new Error(problem);
        return act(name);
      },
    });
  const download = (e: Entry) => {
    const path = joinPath(folder, e.name);
    const from = `${d.sshUser ?? 'root'}@${node?.ipAddress ?? d.ipAddress ?? ''}`;
    const instead = `scp -P ${node?.sshPort ?? d.sshPort ?? 22} ${from}:${shellQuote(path)} .`;
    transfers.download(path, e.name, instead).catch((thrown) => setError(asSSHError(thrown)));
  };
  const actions = (e: Entry) => {
    const path = joinPath(folder, e.name);
    const shownName = safeName(e.name);
    if (!e.usable) return [];
    return [
      ...(isFolder(e) ? [{ text: 'Open', run: () => go(path) }] : []),
      ...(isFile(e) ? [{ text: 'Download', run: () => download(e) }] : []),
      {
        text: 'Rename',
        run: () =>
          askName(`Rename ${shownName}`, 'Rename', e.name, (name) =>
            run((f) => f.rename(path, joinPath(folder, name))),
          ),
      },
      {
        text: 'Delete',
        danger: true,
        run: () =>
          ask({
            title: `Delete ${shownName}?`,
            body:
              e.kind === 'folder'
                ? 'The folder is deleted with everything in it. This cannot be undone.'
                : e.kind === 'link'
                  ? 'The link is deleted. What it leads to stays.'
                  : 'The file is deleted. This cannot be undone.',
            action: 'Delete',
            danger: true,
            run: () => run((f) => f.remove(path).done),
          }),
      },
    ];
  };

  const rows = useListRows(
    { data: listing?.entries, error, refetch: reload },
    {
      sort: 'name',
      sorts: {
        name: (e) => `${isFolder(e) ? 0 : 1} ${e.name}`,
        size: (e) => (isFile(e) ? e.size : null),
        modified: (e) => e.modified,
      },
      text: (e) => e.name,
    },
  );
  const connected = files !== null;
  return (
    <section
      className="files"
      aria-label={`Files on ${d.name}`}
      data-drop={dropping || undefined}
      onDragOver={(e) => {
        if (!connected || !e.dataTransfer.types.includes('Files')) return;
        e.preventDefault();
        setDropping(true);
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={(e) => {
        e.preventDefault();
        setDropping(false);
        if (!connected) return;
        const items = [...e.dataTransfer.items].filter((i) => i.kind === 'file');
        const plain = items.filter((i) => !i.webkitGetAsEntry?.()?.isDirectory);
        upload(
          plain.map((i) => i.getAsFile()).filter((f) => f !== null),
          items.length - plain.length,
        );
      }}
    >
      <form
        className="files-bar"
        onSubmit={(e) => {
          e.preventDefault();
          go(typed);
        }}
      >
        <TextInput
          className="files-path"
          label="Folder"
          value={typed}
          disabled={!connected}
          onChange={(e) => setTyped(e.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        />
        <Button type="submit" variant="default" disabled={!connected}>
          Open
        </Button>
        <Button
          variant="default"
          disabled={!connected || !listing || folder === '/'}
          onClick={() => go(parentOf(folder))}
        >
          Up
        </Button>
        <Button variant="default" disabled={!connected} onClick={reload}>
          Refresh
        </Button>
        <Button
          variant="default"
          disabled={!connected || !listing}
          onClick={() =>
            askName('New folder', 'Create folder', '', (name) => run((f) => f.makeFolder(joinPath(folder, name))))
          }
        >
          New folder
        </Button>
        <Button disabled={!connected || !listing} onClick={() => picker.current?.click()}>
          Upload files
        </Button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label="Files to upload"
          onChange={(e) => {
            upload([...(e.currentTarget.files ?? [])], 0);
            e.currentTarget.value = '';
          }}
        />
      </form>
      {error !== null && listing && <ErrorBox error={error} retry={connected ? reload : undefined} />}
      <Transfers of={transfers.list} onCancel={transfers.cancel} onDismiss={transfers.dismiss} />
      {!connected && !error && (
        <div className="dim small files-note">Files are available while the terminal is connected.</div>
      )}
      {(connected || listing) && (
        <ResourceTable
          label="Files"
          rows={rows}
          rowKey={(e) => e.name}
          name={(e) => safeName(e.name)}
          empty={<div className="panel panel-body dim">This folder is empty. Drop files here to upload them.</div>}
          actions={connected ? actions : undefined}
          columns={[
            {
              key: 'name',
              head: 'Name',
              sort: 'name',
              cell: (e) => <Name of={e} onOpen={() => go(joinPath(folder, e.name))} />,
            },
            {
              key: 'size',
              head: 'Size',
              sort: 'size',
              width: '110px',
              end: true,
              cell: (e) => (isFile(e) ? sizeText(e.size) : <span className="dim">–</span>),
            },
            {
              key: 'modified',
              head: 'Modified',
              sort: 'modified',
              width: '190px',
              cell: (e) => <Time at={e.modified} />,
            },
            {
              key: 'mode',
              head: 'Permissions',
              width: '140px',
              from: 760,
              cell: (e) => <span className="mono">{e.mode}</span>,
            },
          ]}
        />
      )}
      {listing?.partial && (
        <p className="small dim files-note">
          Not all files in this folder are listed. Type the path of a folder above, or use the terminal.
        </p>
      )}
      <p className="small dim files-note">
        Drop files anywhere on this list to upload them to {safeName(folder) || 'it'}.
      </p>
    </section>
  );
}

function Name({ of: e, onOpen }: { of: Entry; onOpen: () => void }) {
  const text = (
    <>
      <bdi>{safeName(e.name)}</bdi>
      {e.kind === 'folder' && '/'}
      {e.kind === 'link' && <span className="dim"> (link)</span>}
      {!e.usable && <span className="dim"> (name is not UTF-8)</span>}
    </>
  );
  if (isFolder(e) && e.usable)
    return (
      <button type="button" className="files-name plain-link" title={safeName(e.name)} onClick={onOpen}>
        {text}
      </button>
    );
  return (
    <span className="files-name" title={safeName(e.name)}>
      {text}
    </span>
  );
}
