import '@xterm/xterm/css/xterm.css';
import { Button } from '@mantine/core';
import type { Terminal as XTerm } from '@xterm/xterm';
import { useCallback, useEffect, useRef, useState } from 'react';
import { call } from '../../../api/client';
import type { Deployment } from '../../../api/deployments';
import { asApiError } from '../../../api/error';
import { withId } from '../../../api/hooks';
import { copyText } from '../../../parts/clipboard';
import { useConfirm } from '../../../parts/confirm';
import { sentence } from '../../../parts/text';
import { toast } from '../../../parts/toast';
import { asksBefore, cleanPaste, longestPaste, PastePreview, pasteTitle } from './paste';
import './terminal.css';
import { openXTerm } from './xterm';

/** The server sends something every 4 seconds; without anything for so long, it is gone. */
const silence = 10_000;

type State = 'connecting' | 'open' | 'closed';

/**
 * Why a WebSocket to the console was refused, which a page learns only from a plain request. It is
 * never carried out: where nothing stands in the way, it is refused because it is no WebSocket.
 */
async function whyRefused(id: string): Promise<string> {
  try {
    await call('get', '/api/v1/inventory/deployments/{id}/console', withId(id));
  } catch (thrown) {
    const error = asApiError(thrown);
    if (!error.fields.some((f) => f.field === 'header.Upgrade')) return sentence(error.message);
  }
  return 'The machine’s serial console does not answer. Try again shortly.';
}

/** The serial console of the machine. */
export default function Console({ of: d }: { of: Deployment }) {
  const box = useRef<HTMLDivElement>(null);
  const terminal = useRef<XTerm | null>(null);
  const socket = useRef<WebSocket | null>(null);
  const [state, setState] = useState<State>('connecting');
  const [end, setEnd] = useState('');
  const [selected, setSelected] = useState(false);
  const [attempt, setAttempt] = useState({ number: 0, takeOver: false });
  const ask = useConfirm();
  const { id } = d;

  const type = useCallback((text: string) => {
    if (socket.current?.readyState === WebSocket.OPEN) socket.current.send(new TextEncoder().encode(text));
  }, []);
  const paste = (raw: string) => {
    const text = cleanPaste(raw);
    if (!text || socket.current?.readyState !== WebSocket.OPEN) return;
    if (text.length > longestPaste) return toast('The text is too long to paste.');
    const put = () => {
      terminal.current?.paste(text);
      setTimeout(() => terminal.current?.focus());
    };
    if (!asksBefore(text)) return put();
    ask({
      title: pasteTitle(text),
      body: <PastePreview text={text} bracketed={terminal.current?.modes.bracketedPasteMode ?? false} />,
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
      onData: type,
      // A serial line has no size: the machine keeps the one that it has.
      onResize: () => {},
    });
    terminal.current = opened.term;
    return () => {
      terminal.current = null;
      opened.close();
    };
  }, [type]);

  useEffect(() => {
    const term = terminal.current;
    if (!term) return;
    let gone = false;
    let opened = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    setState('connecting');
    setEnd('');
    const ws = new WebSocket(
      `${location.origin.replace(/^http/, 'ws')}/api/v1/inventory/deployments/${id}/console` +
        (attempt.takeOver ? '?takeOver=true' : ''),
    );
    ws.binaryType = 'arraybuffer';
    socket.current = ws;
    const close = (text: string) => {
      clearTimeout(timer);
      if (gone) return;
      gone = true;
      setState('closed');
      setEnd(text);
    };
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        close('The connection was lost.');
        ws.close();
      }, silence);
    };
    ws.onopen = () => {
      if (gone) return;
      opened = true;
      alive();
      setState('open');
      term.focus();
    };
    ws.onmessage = (e: MessageEvent<ArrayBuffer>) => {
      if (gone) return;
      alive();
      if (e.data.byteLength > 0) term.write(new Uint8Array(e.data));
    };
    ws.onclose = (e) => {
      if (opened) return close(e.reason || 'The connection was lost.');
      if (!gone) whyRefused(id).then(close);
    };
    return () => {
      gone = true;
      clearTimeout(timer);
      ws.close();
      socket.current = null;
    };
  }, [id, attempt]);

  const copy = () => {
    if (!terminal.current?.hasSelection()) return;
    copyText(terminal.current.getSelection()).then(
      () => toast('Copied'),
      () => toast('The browser blocked copying.'),
    );
    terminal.current.focus();
  };
  const again = (takeOver: boolean) => setAttempt({ number: attempt.number + 1, takeOver });
  const takeOver = () =>
    ask({
      title: 'Take the console over?',
      body: 'A console that another user has open is closed.',
      action: 'Take over',
      run: () => again(true),
    });
  return (
    <section className="console" aria-label={`Serial console of ${d.name}`}>
      <div className="console-head">
        <span role="status">{state === 'closed' ? end : state === 'open' ? 'Connected' : 'Connecting…'}</span>
        <span className="console-buttons">
          {state === 'closed' && (
            <>
              <Button size="compact-sm" onClick={() => again(false)}>
                Reconnect
              </Button>
              <Button size="compact-sm" variant="default" onClick={takeOver}>
                Take over
              </Button>
            </>
          )}
          <Button size="compact-sm" variant="default" disabled={!selected} onClick={copy}>
            Copy
          </Button>
        </span>
      </div>
      <div className="console-box">
        <div ref={box} className="console-rows" />
      </div>
      <div className="console-foot small dim">
        <p>
          This is what the machine writes to its serial port, for when it does not start or SSH does not work. Press
          Enter to see its sign-in. Linux writes to it with <code>console=ttyS0</code> or <code>console=ttyS1</code> on
          the kernel’s command line. The audit log has who opened the console, and for how long, not what is shown.
        </p>
        <p>Press Ctrl+Shift+X to exit the console. In a shell: billet console {d.name}</p>
      </div>
    </section>
  );
}
