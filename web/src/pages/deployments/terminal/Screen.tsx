import '@xterm/xterm/css/xterm.css';
import { Alert, Button, Checkbox } from '@mantine/core';
import type { Terminal as XTerm } from '@xterm/xterm';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import type { Deployment } from '../../../api/deployments';
import { loadSSH, type Phase, type Session } from '../../../api/ssh';
import { copyText } from '../../../parts/clipboard';
import { useConfirm } from '../../../parts/confirm';
import { useLeaveGuard } from '../../../parts/leaveGuard';
import { toast } from '../../../parts/toast';
import { Files } from './Files';
import { asksBefore, cleanPaste, longestPaste, PastePreview, pasteTitle } from './paste';
import { atPrompt, backoff, endText, isLost, setWantsPlain, shellName, wantsPlain } from './session';
import './terminal.css';
import { openXTerm } from './xterm';

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

/** A shell that goes on shows its end: for so long, its history scrolls by. */
const follow = 2000;

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
  const filesBox = useRef<HTMLDivElement>(null);
  const transferring = useRef(false);
  const failures = useRef(0);
  const [live, setLive] = useState<Session | null>(null);
  const [state, setState] = useState<Phase['phase'] | 'loading' | 'lost' | 'closed'>('loading');
  const [end, setEnd] = useState('');
  const [changedKey, setChangedKey] = useState('');
  const [seen, setSeen] = useState<{ fingerprint: string; known: boolean } | null>(null);
  const [kept, setKept] = useState<boolean | null>(null);
  const [plain, setPlain] = useState(wantsPlain);
  const [selected, setSelected] = useState(false);
  const [showFiles, setShowFiles] = useState(false);
  // Hidden files stay, so that transfers go on.
  const [filesOpened, setFilesOpened] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const ask = useConfirm();
  // A parent's render must not restart the effects below.
  const callbacks = useRef({ onOpen, onRefused });
  callbacks.current = { onOpen, onRefused };
  const { id, sshUser } = d;
  const node = d.nodes[Number(useSearchParams()[0].get('node') ?? 0)] ?? d.nodes[0];
  const index = node?.index ?? 0;
  const sshHostKeys = node?.sshHostKeys ?? d.sshHostKeys;
  const target = useRef({ sshUser, sshHostKeys });
  target.current = { sshUser, sshHostKeys };
  const keptNow = useRef(false);
  keptNow.current = kept === true;

  const onBusy = useCallback((is: boolean) => {
    transferring.current = is;
  }, []);
  const atRisk = () =>
    session.current !== null && terminal.current !== null && !keptNow.current && busy(terminal.current);
  useLeaveGuard({
    needed: () => transferring.current || atRisk(),
    title: 'Leave the terminal?',
    get body() {
      return transferring.current
        ? 'A file transfer is running. Leaving cancels it.'
        : `A program is running in the terminal on ${d.name}. Leaving closes the terminal and ends the program.`;
    },
    action: 'Leave',
  });

  const paste = (raw: string) => {
    const term = terminal.current;
    const text = cleanPaste(raw);
    if (!term || !text || !session.current) return;
    if (text.length > longestPaste) return toast('The text is too long to paste. Upload it as a file instead.');
    const put = () => {
      term.paste(text);
      // After the dialog has given the focus back.
      setTimeout(() => term.focus());
    };
    if (!asksBefore(text)) return put();
    ask({
      title: pasteTitle(text),
      body: <PastePreview text={text} bracketed={term.modes.bracketedPasteMode} />,
      action: 'Paste',
      run: put,
    });
  };
  const pasteNow = useRef(paste);
  pasteNow.current = paste;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const opened = openXTerm(element, {
      onSelection: setSelected,
      onPaste: (text) => pasteNow.current(text),
      onData: (data) => session.current?.write(data),
      onResize: (cols, rows) => session.current?.resize(cols, rows),
    });
    terminal.current = opened.term;
    return () => {
      terminal.current = null;
      opened.close();
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt opens another session
  useEffect(() => {
    const term = terminal.current;
    if (!term) return;
    let gone = false;
    let openedAt = 0;
    let followUntil = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reconnecting = failures.current > 0;
    setState('loading');
    setEnd('');
    setChangedKey('');

    const retryLater = () => {
      if (openedAt && Date.now() - openedAt > stable) failures.current = 0;
      failures.current++;
      setState('lost');
      timer = setTimeout(() => setAttempt((n) => n + 1), backoff(failures.current));
    };
    const hold = (opened: Session | null) => {
      session.current = opened;
      setLive(opened);
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
        ...(!plain && { keep: shellName(id, index) }),
        onData: (bytes) => {
          if (!gone) term.write(bytes, Date.now() < followUntil ? () => term.scrollToBottom() : undefined);
        },
        onStatus: (s) => {
          if (gone) return;
          setState(s.phase);
          if (s.phase === 'hostKey') setSeen({ fingerprint: s.fingerprint, known: s.known });
          if (s.phase !== 'open') return;
          setKept(s.kept);
          // Before the first output. A shell that goes on sends its history and its screen again.
          if (s.resumed) {
            term.write(`${reset}\x1b[H\x1b[2J\x1b[3J`);
            followUntil = Date.now() + follow;
          } else if (reconnecting) term.write(newShell);
        },
        onClose: (how) => {
          hold(null);
          if (gone) return;
          if (isLost(how)) return retryLater();
          failures.current = 0;
          setState('closed');
          setEnd(endText(how));
        },
      });
      if (gone) return opened.close();
      hold(opened);
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
      if (keyErrors.has(code)) return callbacks.current.onRefused({ code, message });
      if (reconnecting && code === 'UNREACHABLE') return retryLater();
      failures.current = 0;
      setState('closed');
      if (code === 'HOST_KEY_MISMATCH') {
        setChangedKey(message);
        setEnd('The host key does not match.');
      } else setEnd(`${message} (${code})`);
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
      hold(null);
    };
  }, [id, secret, attempt, plain]);

  const copy = () => {
    const term = terminal.current;
    if (!term?.hasSelection()) return;
    copyText(term.getSelection()).then(
      () => toast('Copied'),
      () => toast('The browser blocked copying.'),
    );
    term.focus();
  };
  const pasteClipboard = () =>
    (navigator.clipboard?.readText?.() ?? Promise.reject()).then(paste, () =>
      toast('The browser does not let this page read the clipboard. Press Ctrl+Shift+V (⌘V) in the terminal.'),
    );
  // The terminal takes Tab for itself, so that the focus needs another way past it.
  const toFiles = () => {
    filesBox.current?.focus({ preventScroll: true });
    filesBox.current?.scrollIntoView({ block: 'center' });
  };
  const choosePlain = (next: boolean) => {
    const choose = () => {
      setWantsPlain(next);
      setPlain(next);
    };
    if (!transferring.current && !atRisk()) return choose();
    ask({
      title: 'Open another shell?',
      body: 'The terminal connects again. Programs in a shell that is not kept end, and so do file transfers.',
      action: 'Open another shell',
      run: choose,
    });
  };

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
        <span className="console-buttons">
          {(state === 'closed' || state === 'lost' || retrying) && (
            <Button size="compact-sm" onClick={() => setAttempt(attempt + 1)}>
              {state === 'closed' ? 'Reconnect' : 'Reconnect now'}
            </Button>
          )}
          <Button size="compact-sm" variant="default" disabled={!selected} onClick={copy}>
            Copy
          </Button>
          <Button size="compact-sm" variant="default" disabled={!live} onClick={() => void pasteClipboard()}>
            Paste
          </Button>
          <Button
            size="compact-sm"
            variant="default"
            aria-expanded={showFiles}
            onClick={() => {
              setFilesOpened(true);
              setShowFiles(!showFiles);
              if (!showFiles) setTimeout(toFiles);
            }}
          >
            {showFiles ? 'Hide files' : 'Show files'}
          </Button>
          {showFiles && (
            <button type="button" className="skip" onClick={toFiles}>
              Skip to files
            </button>
          )}
        </span>
      </div>
      {changedKey && (
        <Alert color="red" variant="outline" role="alert" title="Host key changed" className="error-box console-alert">
          <p>{changedKey}</p>
          <p>
            The connection was closed before your key was used. This happens after the operating system was installed
            again outside of Billet, and when something between Billet and the machine intercepts the connection. If you
            did not expect it, do not enter secrets on this machine. Reinstall the machine from this page to give it new
            keys, or ask the provider.
          </p>
        </Alert>
      )}
      <div className="console-box">
        <div ref={box} className="console-rows" />
      </div>
      <div className="console-foot small dim">
        <p>
          Copy: Ctrl+Shift+C, or Ctrl+C with a selection (⌘C). Without a selection, Ctrl+C interrupts. Paste:
          Ctrl+Shift+V (⌘V). Press Ctrl+Shift+X to exit the terminal.
        </p>
        <Checkbox
          size="xs"
          label="Keep the shell when the connection is lost (tmux)"
          checked={!plain}
          onChange={(e) => choosePlain(!e.currentTarget.checked)}
        />
        {state === 'open' && <p>{keepText(kept === true, plain)}</p>}
      </div>
      {filesOpened && (
        <div hidden={!showFiles} ref={filesBox} tabIndex={-1} style={{ outline: 'none' }}>
          <Files session={live} of={d} node={node} onBusy={onBusy} />
        </div>
      )}
    </section>
  );
}

/** What happens to the shell when the connection is lost. */
function keepText(kept: boolean, plain: boolean): string {
  if (kept)
    return (
      'The shell runs in tmux on the machine. It keeps running when the connection is lost, when you reload this ' +
      'tab, and while you visit other pages in it.'
    );
  if (plain) return 'When the connection is lost, the shell and its programs end.';
  return (
    'The machine has no working tmux: when the connection is lost, the shell and its programs end. ' +
    'Install it, for example with “sudo apt install tmux”, and reconnect.'
  );
}

/** Reports whether a program may be running: anything but an empty prompt counts. */
function busy(term: XTerm): boolean {
  const screen = term.buffer.active;
  const line = screen.getLine(screen.baseY + screen.cursorY)?.translateToString(false, 0, screen.cursorX) ?? '';
  return !atPrompt(screen.type === 'alternate', line);
}
