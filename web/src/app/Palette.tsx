import { Modal } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQueries } from '@tanstack/react-query';
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import type { Path, Row } from '../api/client';
import { pageQuery } from '../api/hooks';
import { type Scope, useCan, useMe } from '../api/session';
import { actionDestinations, type Destination, matches, pageDestinations } from './destinations';
import { SearchIcon } from './icons';
import './palette.css';

interface Option {
  key: string;
  text: string;
  note?: string;
  to: string;
}

interface Group {
  name: string;
  options: Option[];
}

/** How many results there are of a kind. */
const most = 5;

/** What the server is searched for: a list, its title, and how a row is shown. */
function kind<P extends Path<'get'>>(
  name: string,
  path: P,
  scope: Scope,
  query: object,
  show: (row: Row<P>) => Omit<Option, 'key'>,
) {
  return {
    name,
    scope,
    request: (search: string) => ({
      ...pageQuery(path, { params: { query: { ...query, search, page: 1, limit: most } } } as never),
      staleTime: 5_000,
      retry: false,
    }),
    show: show as (row: unknown) => Omit<Option, 'key'>,
  };
}

const kinds = [
  kind('Deployments', '/api/v1/inventory/deployments', 'deployments:read', { sort: ['-createdAt'] }, (d) => ({
    text: d.name,
    note: `${d.status} · ${d.gpuCount} × ${d.gpuType}`,
    to: `/deployments/${d.id}`,
  })),
  kind('Volumes', '/api/v1/inventory/volumes', 'volumes:read', {}, (v) => ({
    text: v.name,
    note: `${v.sizeGb} GB · ${v.region}`,
    to: `/volumes?search=${v.id}`,
  })),
  kind('Images', '/api/v1/inventory/images', 'deployments:read', {}, (i) => ({
    text: i.name,
    note: i.format,
    to: `/images?search=${i.id}`,
  })),
  kind('SSH keys', '/api/v1/inventory/ssh-keys', 'ssh-keys:read', {}, (k) => ({
    text: k.name,
    note: k.type,
    to: `/ssh-keys?search=${k.id}`,
  })),
  kind('API keys', '/api/v1/account/api-keys', 'api-keys:read', {}, (k) => ({
    text: k.name,
    note: k.revokedAt ? 'revoked' : k.prefix,
    to: `/settings/api-keys?search=${k.id}`,
  })),
];

/**
 * The command palette: pages, actions and a search over the account's resources. It is a combobox
 * whose list is always open: the field keeps the focus, and the arrow keys move the active option.
 */
export default function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [wanted] = useDebouncedValue(text.trim(), 200);
  const can = useCan();
  const operator = useMe().data?.user.operator ?? false;
  const navigate = useNavigate();
  const list = useId();
  const box = useRef<HTMLDivElement>(null);
  const searched = kinds.filter((k) => can(k.scope));
  const found = useQueries({
    queries: searched.map((k) => ({ ...k.request(wanted), enabled: wanted.length > 1 })),
  });
  const searching = wanted.length > 1 && (text.trim() !== wanted || found.some((f) => f.isPending));

  const allowed = (d: Destination) => (!d.scope || can(d.scope)) && (!d.operator || operator);
  const option = (d: Destination): Option => ({ key: d.text, text: d.text, to: d.to });
  const groups: Group[] = [
    ...(text.trim().length > 1
      ? searched.map((k, i) => ({
          name: k.name,
          options: ((found[i]?.data?.rows ?? []) as { id: string }[]).map((row) => ({ key: row.id, ...k.show(row) })),
        }))
      : []),
    { name: 'Actions', options: actionDestinations.filter((d) => allowed(d) && matches(d, text)).map(option) },
    { name: 'Pages', options: pageDestinations.filter((d) => allowed(d) && matches(d, text)).map(option) },
    ...(operator && text.trim() ? [{ name: 'All accounts', options: everywhere(text.trim()) }] : []),
  ].filter((g) => g.options.length > 0);
  const options = groups.flatMap((g) => g.options);

  // The active option stays the same one while results arrive, and is the first one of a new text.
  const [active, setActive] = useState<string | null>(null);
  const at = Math.max(
    0,
    options.findIndex((o) => o.key === active),
  );
  const idOf = (index: number) => `${list}-${index}`;
  useEffect(() => {
    box.current?.querySelector(`[id="${list}-${at}"]`)?.scrollIntoView({ block: 'nearest' });
  }, [list, at]);

  const choose = (o: Option | undefined, newTab = false) => {
    setEntered(false);
    if (!o) return;
    if (newTab) window.open(o.to, '_blank', 'noopener');
    else {
      onClose();
      navigate(o.to);
    }
  };
  // Enter during a search is for its first result, and waits for that.
  const [entered, setEntered] = useState(false);
  useEffect(() => {
    if (entered && !searching) choose(options[at]);
  });
  const move = (to: number) => setActive(options[(to + options.length) % options.length]?.key ?? null);
  const press = (e: KeyboardEvent) => {
    if (e.nativeEvent.isComposing || (options.length === 0 && !searching)) return;
    if (e.key === 'ArrowDown') move(at + 1);
    else if (e.key === 'ArrowUp') move(at - 1);
    else if (e.key === 'PageDown') move(Math.min(options.length - 1, at + 8));
    else if (e.key === 'PageUp') move(Math.max(0, at - 8));
    else if (e.key === 'Enter' && searching && active === null) setEntered(true);
    else if (e.key === 'Enter') choose(options[at], e.ctrlKey || e.metaKey);
    else return;
    e.preventDefault();
  };

  let index = -1;
  return (
    <Modal.Root opened onClose={onClose} size={620} yOffset="12dvh">
      <Modal.Overlay />
      <Modal.Content aria-label="Command palette">
        <div className="palette-field">
          <SearchIcon />
          <input
            type="text"
            role="combobox"
            aria-label="Search pages, actions and resources"
            aria-expanded="true"
            aria-controls={list}
            aria-autocomplete="list"
            aria-activedescendant={options.length > 0 ? idOf(at) : undefined}
            placeholder="Search pages, actions and resources"
            autoComplete="off"
            spellCheck={false}
            maxLength={64}
            data-autofocus
            value={text}
            onChange={(e) => {
              setText(e.currentTarget.value);
              setActive(null);
              setEntered(false);
            }}
            onKeyDown={press}
          />
        </div>
        <div id={list} ref={box} role="listbox" aria-label="Results" className="palette-list">
          {groups.map((g) => (
            // biome-ignore lint/a11y/useSemanticElements: a fieldset is no group of a listbox
            <div key={g.name} role="group" aria-labelledby={`${list}-${g.name}`}>
              <div id={`${list}-${g.name}`} className="palette-group" role="presentation">
                {g.name}
              </div>
              {g.options.map((o) => {
                index++;
                const mine = index;
                return (
                  // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's
                  // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field
                  <div
                    key={o.key}
                    id={idOf(mine)}
                    role="option"
                    aria-selected={mine === at}
                    className="palette-option"
                    onMouseMove={() => setActive(o.key)}
                    onClick={(e) => choose(o, e.ctrlKey || e.metaKey)}
                    onAuxClick={(e) => e.button === 1 && choose(o, true)}
                  >
                    <span className="cell-main">{o.text}</span>
                    {o.note && <span className="small dim">{o.note}</span>}
                  </div>
                );
              })}
            </div>
          ))}
        </div>
        <div className="palette-foot small dim">
          <span role="status">
            {searching
              ? 'Searching…'
              : options.length === 0
                ? 'No results.'
                : `${options.length} ${options.length === 1 ? 'result' : 'results'}`}
          </span>
          <span aria-hidden="true">↑ ↓ to move · Enter to open · Esc to close</span>
        </div>
      </Modal.Content>
    </Modal.Root>
  );
}

/** The operator's lists of all accounts, with that search. */
function everywhere(text: string): Option[] {
  const search = encodeURIComponent(text);
  return [
    {
      key: 'all-deployments',
      text: `Deployments of all accounts: ${text}`,
      to: `/operator/deployments?search=${search}`,
    },
    { key: 'all-volumes', text: `Volumes of all accounts: ${text}`, to: `/operator/volumes?search=${search}` },
    { key: 'all-accounts', text: `Accounts: ${text}`, to: `/operator?search=${search}` },
  ];
}
