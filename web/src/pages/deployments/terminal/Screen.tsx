import '@xterm/xterm/css/xterm.css';
import { Button } from '@mantine/core';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal as XTerm } from '@xterm/xterm';
import { useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import type { Deployment } from '../../../api/deployments';
import { loadSSH, type Phase, type Session } from '../../../api/ssh';
import { copyText } from '../../../parts/clipboard';
import { useLeaveGuard } from '../../../parts/leaveGuard';
import { atPrompt, backoff, endText, isLost } from './session';
import { keyAction, platformOf } from './shortcuts';
import './terminal.css';

interface Props {
  of: Deployment;
  secret: { privateKey: string; passphrase?: string };
  onOpen: () => void;
  /** The machine refused the key; another may work. */
  onRefused: (error: { code: string; message: string }) => void;
}

const keyErrors = new Set(['KEY_INVALID', 'PASSPHRASE_MISSING', 'PASSPHRASE_WRONG', 'SIGN_IN_REFUSED']);

/** A session that lasted this long resets the backoff. */
const stable = 30_000;

const phases: Record<Phase['phase'] | 'loading', string> = {
  loading: 'Loading terminal…',
  connecting: 'Connecting…',
  hostKey: 'Verifying host key…',
  signingIn: 'Signing in…',
  open: 'Connected',
};

/**
 * Resets what the previous program may have set: full screen, mouse, paste mode, hidden cursor,
 * colors.
 */
const reset = '\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?25h\x1b[0m';
const newShell =
  `${reset}\r\n\x1b[2mReconnected. This is a new shell. ` +
  'Programs in the old one have ended, except in tmux or screen.\x1b[0m\r\n';

export function Screen({ of: d, secret, onOpen, onRefused }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const terminal = useRef<XTerm | null>(null);
  const session = useRef<Session | null>(null);
  const failures = useRef(0);
  const [state, setState] = useState<Phase['phase'] | 'loading' | 'lost' | 'closed'>('loading');
  const [end, setEnd] = useState('');
  const [seen, setSeen] = useState<{ fingerprint: string; known: boolean } | null>(null);
  const [attempt, setAttempt] = useState(0);
  // A parent's render must not restart the effects below.
  const callbacks = useRef({ onOpen, onRefused });
  callbacks.current = { onOpen, onRefused };
  const { id, sshUser } = d;
  const node = d.nodes[Number(useSearchParams()[0].get('node') ?? 0)] ?? d.nodes[0];
  const index = node?.index ?? 0;
  const sshHostKeys = node?.sshHostKeys ?? d.sshHostKeys;
  const target = useRef({ sshUser, sshHostKeys });
  target.current = { sshUser, sshHostKeys };

  useLeaveGuard({
    needed: () => session.current !== null && terminal.current !== null && busy(terminal.current),
    title: 'Leave the terminal?',
    body: `A program is running in the terminal on ${d.name}. Leaving closes the terminal and ends the program.`,
    action: 'Leave',
  });

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const font = getComputedStyle(document.body).getPropertyValue('--mantine-font-family-monospace');
    const term = new XTerm({
      fontFamily: font,
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
    terminal.current = term;
    // The cells were measured with the fallback font until the bundled one is there.
    void document.fonts.load(`14px ${font.split(',')[0]}`).then(() => {
      if (terminal.current !== term) return;
      term.options.fontFamily = `${font}, monospace`;
      fit.fit();
    });
    const observer = new ResizeObserver(() => {
      fit.fit();
      session.current?.resize(term.cols, term.rows);
    });
    observer.observe(element);
    const platform = platformOf(navigator.userAgent);
    term.attachCustomKeyEventHandler((e) => {
      const action = keyAction(e, term.hasSelection(), platform);
      if (action === 'shell') return true;
      // The browser pastes, and xterm receives the event.
      if (action === 'paste') return false;
      e.preventDefault();
      if (e.type !== 'keydown') return false;
      // The shell uses Tab, so that leaving by keyboard needs another key.
      if (action === 'exit') document.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus();
      else if (term.hasSelection()) {
        copyText(term.getSelection()).catch(() => {});
        // The next Ctrl+C interrupts again.
        term.clearSelection();
      }
      return false;
    });
    term.onData((data) => session.current?.write(data));
    return () => {
      observer.disconnect();
      terminal.current = null;
      term.dispose();
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt opens another session
  useEffect(() => {
    const term = terminal.current;
    if (!term) return;
    let gone = false;
    let openedAt = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reconnecting = failures.current > 0;
    setState('loading');
    setEnd('');

    const retryLater = () => {
      if (openedAt && Date.now() - openedAt > stable) failures.current = 0;
      failures.current++;
      setState('lost');
      timer = setTimeout(() => setAttempt((n) => n + 1), backoff(failures.current));
    };

    const run = async () => {
      const ssh = await loadSSH();
      if (gone) return;
      const opened = await ssh.connect({
        url: `/api/v1/inventory/deployments/${id}/terminal${index ? `?node=${index}` : ''}`,
        user: target.current.sshUser ?? 'root',
        hostKeys: target.current.sshHostKeys,
        ...secret,
        cols: term.cols,
        rows: term.rows,
        onData: (bytes) => {
          if (!gone) term.write(bytes);
        },
        onStatus: (s) => {
          if (gone) return;
          // Before the first output of the new shell.
          if (s.phase === 'open' && reconnecting) term.write(newShell);
          setState(s.phase);
          if (s.phase === 'hostKey') setSeen({ fingerprint: s.fingerprint, known: s.known });
        },
        onClose: (how) => {
          session.current = null;
          if (gone) return;
          if (isLost(how)) return retryLater();
          failures.current = 0;
          setState('closed');
          setEnd(endText(how));
        },
      });
      if (gone) return opened.close();
      session.current = opened;
      openedAt = Date.now();
      opened.resize(term.cols, term.rows);
      callbacks.current.onOpen();
      if (!reconnecting) term.focus();
    };
    run().catch((thrown: unknown) => {
      if (gone) return;
      const error = thrown as { code?: string; message?: string };
      const code = error.code ?? 'FAILED';
      const message = error.message ?? 'The terminal could not be opened.';
      if (keyErrors.has(code)) callbacks.current.onRefused({ code, message });
      else if (reconnecting && code === 'UNREACHABLE') retryLater();
      else {
        failures.current = 0;
        setState('closed');
        setEnd(`${message} (${code})`);
      }
    });
    const online = () => {
      if (!timer) return;
      clearTimeout(timer);
      setAttempt((n) => n + 1);
    };
    window.addEventListener('online', online);
    return () => {
      gone = true;
      clearTimeout(timer);
      window.removeEventListener('online', online);
      session.current?.close();
      session.current = null;
    };
  }, [id, secret, attempt]);

  const retrying = failures.current > 0 && state !== 'open' && state !== 'closed';
  return (
    <section className="console" aria-label={`Terminal on ${d.name}`}>
      <div className="console-head">
        <span role="status">
          {state === 'closed' ? end : retrying || state === 'lost' ? 'Connection lost. Reconnecting…' : phases[state]}
        </span>
        {seen && !retrying && (
          <span className="small mono truncate" title={seen.fingerprint}>
            {seen.known ? 'Host key verified' : 'New host key'} {seen.fingerprint}
          </span>
        )}
        {(state === 'closed' || state === 'lost') && (
          <Button size="compact-sm" variant="default" onClick={() => setAttempt(attempt + 1)}>
            {state === 'closed' ? 'Reconnect' : 'Reconnect now'}
          </Button>
        )}
      </div>
      <div className="console-box">
        <div ref={box} className="console-rows" />
      </div>
      <p className="small dim">
        Copy: Ctrl+Shift+C, or Ctrl+C with a selection (⌘C). Paste: Ctrl+Shift+V (⌘V). Press Ctrl+Shift+X to exit the
        terminal.
      </p>
    </section>
  );
}

/** Reports whether a program may be running: anything but an empty prompt counts. */
function busy(term: XTerm): boolean {
  const screen = term.buffer.active;
  const line = screen.getLine(screen.baseY + screen.cursorY)?.translateToString(false, 0, screen.cursorX) ?? '';
  return !atPrompt(screen.type === 'alternate', line);
}
