import '@xterm/xterm/css/xterm.css';
import { Button } from '@mantine/core';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal as XTerm } from '@xterm/xterm';
import { useEffect, useRef, useState } from 'react';
import type { Deployment } from '../../../api/deployments';
import { loadSSH, type Phase, type Session } from '../../../api/ssh';
import './terminal.css';

interface Props {
  of: Deployment;
  secret: { privateKey: string; passphrase?: string };
  onOpen: () => void;
  /** The key does not fit; another may. */
  onRefused: (error: { code: string; message: string }) => void;
}

const keyFaults = new Set(['KEY_INVALID', 'PASSPHRASE_MISSING', 'PASSPHRASE_WRONG', 'SIGN_IN_REFUSED']);

const words: Record<Phase['phase'] | 'loading', string> = {
  loading: 'Loading the terminal…',
  connecting: 'Connecting…',
  hostKey: 'Checking the machine’s key…',
  signingIn: 'Signing in…',
  open: 'Connected',
};

export function Screen({ of: d, secret, onOpen, onRefused }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<Phase['phase'] | 'loading' | 'closed'>('loading');
  const [end, setEnd] = useState('');
  const [seen, setSeen] = useState<{ fingerprint: string; known: boolean } | null>(null);
  const [attempt, setAttempt] = useState(0);
  // The effect below must not begin anew because a parent rendered.
  const told = useRef({ onOpen, onRefused });
  told.current = { onOpen, onRefused };
  const { id, sshUser, sshHostKeys } = d;
  const target = useRef({ sshUser, sshHostKeys });
  target.current = { sshUser, sshHostKeys };

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt opens another session
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let gone = false;
    let session: Session | undefined;
    setState('loading');
    setEnd('');
    const term = new XTerm({
      fontFamily: getComputedStyle(document.body).getPropertyValue('--mantine-font-family-monospace'),
      fontSize: 14,
      cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      scrollback: 5000,
      screenReaderMode: true,
      theme: { background: '#0e1114', foreground: '#e4e8eb', cursor: '#f4b042', selectionBackground: '#3b444d' },
    });
    const fit = new FitAddon();
    term.loadAddon(fit);
    term.open(element);
    fit.fit();
    const observer = new ResizeObserver(() => {
      fit.fit();
      session?.resize(term.cols, term.rows);
    });
    observer.observe(element);
    // Tab belongs to the shell, so that there must be another way out by keyboard.
    term.attachCustomKeyEventHandler((e) => {
      if (!(e.ctrlKey && e.shiftKey && e.key.toLowerCase() === 'x')) return true;
      e.preventDefault();
      if (e.type === 'keydown') document.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus();
      return false;
    });
    term.onData((data) => session?.write(data));

    const run = async () => {
      const ssh = await loadSSH();
      if (gone) return;
      const opened = await ssh.connect({
        url: `/api/v1/inventory/deployments/${id}/terminal`,
        user: target.current.sshUser ?? 'root',
        hostKeys: target.current.sshHostKeys,
        ...secret,
        cols: term.cols,
        rows: term.rows,
        onData: (bytes) => term.write(bytes),
        onStatus: (s) => {
          if (gone) return;
          setState(s.phase);
          if (s.phase === 'hostKey') setSeen({ fingerprint: s.fingerprint, known: s.known });
        },
        onClose: ({ message, exitCode }) => {
          session = undefined;
          if (gone) return;
          setState('closed');
          setEnd(exitCode === null ? message : `The shell ended${exitCode ? ` with code ${exitCode}` : ''}.`);
        },
      });
      if (gone) return opened.close();
      session = opened;
      session.resize(term.cols, term.rows);
      told.current.onOpen();
      term.focus();
    };
    run().catch((thrown: unknown) => {
      if (gone) return;
      const error = thrown as { code?: string; message?: string };
      const code = error.code ?? 'FAILED';
      const message = error.message ?? 'The terminal could not be opened.';
      if (keyFaults.has(code)) told.current.onRefused({ code, message });
      else {
        setState('closed');
        setEnd(`${message} (${code})`);
      }
    });
    return () => {
      gone = true;
      observer.disconnect();
      session?.close();
      term.dispose();
    };
  }, [id, secret, attempt]);

  return (
    <section className="terminal" aria-label={`Terminal on ${d.name}`}>
      <div className="terminal-head">
        <span role="status">{state === 'closed' ? end : words[state]}</span>
        {seen && (
          <span className="small mono truncate" title={seen.fingerprint}>
            {seen.known ? 'known machine key' : 'machine key at first sight'} {seen.fingerprint}
          </span>
        )}
        {state === 'closed' && (
          <Button size="compact-sm" variant="default" onClick={() => setAttempt(attempt + 1)}>
            Connect again
          </Button>
        )}
      </div>
      <div ref={box} className="terminal-screen" />
      <p className="small dim">Ctrl+Shift+X leaves the terminal by keyboard.</p>
    </section>
  );
}
